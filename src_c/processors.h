/* What the thread pool needs to know of the processor and the operating system. */
#ifndef FC_PROCESSORS_H
#define FC_PROCESSORS_H

#include <stdint.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* FASTCONV_NUM_THREADS if it is a number from 1 to `most`; else how many processors this process may use: the smaller
 * of its affinity and its cgroup's quota (rounded up), within 1 .. most. */
int fc_default_threads(int most);

/* The smallest quota of the groups that `membership` (the file /proc/self/cgroup) names and of their ancestors, in
 * processors, at least 1; `most` where there is none. `root` is where the groups are mounted. Version 1 and 2. */
int fc_cgroup_processors(const char *membership, const char *root, int most);

/* The processor that the calling thread runs on, and the system's number of the thread; -1 where nobody says. */
int fc_processor(void);
int fc_thread_number(void);

/* Lets a thread run wherever the calling thread may, but for one processor, unless that is the only one. */
void fc_keep_from(int thread_number, int processor);

/* A short rest for the other hardware thread of a spinning core. */
static inline void fc_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/* The floating-point control register, and which of its bits are rounding, flush-to-zero and traps: the others are the
 * flags raised so far. */
#if defined(__SSE__)
static const uint32_t FC_FP_CONTROL = 0xffc0, FC_FP_DEFAULT = 0x1f80;
static inline uint32_t fc_fp_get(void) { return _mm_getcsr(); }
static inline void fc_fp_set(uint32_t control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
static const uint32_t FC_FP_CONTROL = UINT32_MAX, FC_FP_DEFAULT = 0;
static inline uint32_t fc_fp_get(void) {
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return (uint32_t)control;
}
static inline void fc_fp_set(uint32_t control) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)control)); }
#else
static const uint32_t FC_FP_CONTROL = UINT32_MAX, FC_FP_DEFAULT = 0;
static inline uint32_t fc_fp_get(void) { return 0; }
static inline void fc_fp_set(uint32_t control) { (void)control; }
#endif

#endif
