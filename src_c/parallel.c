/* Serial stand-in until the thread pool lands. */
#include "parallel.h"

#include <stdlib.h>

int fc_parallel(ptrdiff_t pieces, double work, fc_piece run, void *context) {
  (void)work;
  for (ptrdiff_t i = 0; i < pieces; i++) run(context, i, 0);
  return FC_OK;
}
int fc_workers(void) { return 1; }
int fc_set_num_threads(int n) { return n == 1 ? 0 : -1; }
int fc_get_num_threads(void) { return 1; }
void fc_set_poll(int (*poll)(void)) { (void)poll; }
void *fc_scratch_acquire(ptrdiff_t parts, size_t bytes) { return aligned_alloc(64, ((bytes + 63) / 64 * 64 + 64) * (size_t)parts); }
void *fc_scratch_part(void *scratch, ptrdiff_t part) { return (void)part, scratch; }
void fc_scratch_release(void *scratch) { free(scratch); }
