/* Which instruction set runs: tables in priority order, one pointer to the active one. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fastconv.h"

#if defined(__x86_64__)
#define FC_ISAS(X) X(avx512) X(avx2) X(scalar)
#elif defined(__aarch64__)
#define FC_ISAS(X) X(neon) X(scalar)
#else
#define FC_ISAS(X) X(scalar)
#endif

#define FC_DECLARE(isa) extern const fc_table fc_table_##isa##_f32, fc_table_##isa##_f64;
FC_ISAS(FC_DECLARE)

#define FC_ENTRY(isa) {#isa, &fc_table_##isa##_f32, &fc_table_##isa##_f64},
static const fc_isa compiled[] = {FC_ISAS(FC_ENTRY)};
enum { COMPILED = sizeof compiled / sizeof compiled[0] };

static _Atomic(const fc_isa *) active;

const fc_isa *fc_isa_list(int *count) {
  static fc_isa available[COMPILED];
  static atomic_int known;
  int found = atomic_load(&known);
  if (!found) { /* two threads may both fill the list: with the same values */
    for (int i = 0; i < COMPILED; i++)
      if (fc_cpu_has(compiled[i].name)) available[found++] = compiled[i];
    atomic_store(&known, found);
  }
  *count = found;
  return available;
}

int fc_use_isa(const char *name) {
  int count;
  const fc_isa *list = fc_isa_list(&count);
  for (int i = 0; i < count; i++)
    if (strcmp(list[i].name, name) == 0) {
      atomic_store(&active, &list[i]);
      return 0;
    }
  return -1;
}

const fc_isa *fc_active_isa(void) {
  const fc_isa *isa = atomic_load(&active);
  if (isa) return isa;
  const char *forced = getenv("FASTCONV_ISA");
  if (forced && *forced) {
    if (fc_use_isa(forced) != 0) return NULL;
  } else {
    int count;
    atomic_store(&active, &fc_isa_list(&count)[0]);
  }
  return atomic_load(&active);
}
