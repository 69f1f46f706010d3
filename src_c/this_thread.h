/* What the pool (parallel.c) and scratch memory (scratch.c) both know of the running thread. */
#ifndef FC_THIS_THREAD_H
#define FC_THIS_THREAD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
  bool in_job;
  int promised; /* what fc_workers has answered (0: nothing), until the next job and the scratch sized by it end */
  int scratch_held;
  bool dry;                           /* jobs are not run */
  size_t scratch_bytes, scratch_peak; /* held, and the most since the last fc_dry_run */
} fc_thread;

extern _Thread_local fc_thread fc_this_thread;

#endif
