/* What the processor and the operating system offer. */
#include <string.h>

#include "fastconv.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* XCR0: which register files the operating system saves. Only valid where CPUID reports OSXSAVE. */
static unsigned long long saved_state(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((unsigned long long)high << 32) | low;
}

int fc_cpu_has(const char *name) {
  if (strcmp(name, "scalar") == 0) return 1;
  unsigned a, b, c, d, b7, c7, d7;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return 0;
  if (!(c & bit_OSXSAVE)) return 0;
  const unsigned long long state = saved_state();
  const int avx2 = (state & 0x6) == 0x6 && (c & bit_AVX) && (c & bit_FMA) && (b7 & bit_AVX2);
  if (strcmp(name, "avx2") == 0) return avx2;
  const unsigned avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
  if (strcmp(name, "avx512") == 0) return avx2 && (state & 0xe6) == 0xe6 && (b7 & avx512) == avx512;
  return 0;
}
#else
int fc_cpu_has(const char *name) {
#if defined(__aarch64__)
  if (strcmp(name, "neon") == 0) return 1; /* part of the base architecture */
#endif
  return strcmp(name, "scalar") == 0;
}
#endif
