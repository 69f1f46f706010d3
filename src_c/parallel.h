/* The one thread pool of the process, and working memory for kernels.
 *
 * A kernel cuts its work into pieces that do not depend on the number of threads, so that results do not either:
 *
 *     void *scratch = fc_scratch_acquire(fc_workers(), bytes_for_one_piece);
 *     if (scratch == NULL)
 *         return FC_NO_MEMORY;
 *     int status = fc_parallel(pieces, multiply_adds, run_piece, &context);
 *     fc_scratch_release(scratch);
 *     return status;
 */
#ifndef FC_PARALLEL_H
#define FC_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

/* What kernels and the pool return. */
enum { FC_OK = 0, FC_NO_MEMORY = 1, FC_INTERRUPTED = 2, FC_NOT_FINITE = 3 };

enum { FC_MAX_THREADS = 256 };

/* Everything else in the extension is hidden: threadpoolctl finds these two by name. */
#define FC_EXPORT __attribute__((visibility("default")))

/* One piece of a job. `worker` is in [0, fc_workers()) and unique among pieces that run at the same time: an index
 * for scratch memory. */
typedef void (*fc_piece)(void *context, ptrdiff_t piece, int worker);

/* Runs pieces 0 .. pieces-1, in any order, and returns when all are done: FC_OK, or FC_INTERRUPTED when the poll asked
 * to stop (pieces not yet begun are dropped, running ones finish or leave early). Nothing refers to `context`
 * afterwards.
 *
 * `work` is a rough count of elementary operations (multiply-adds, elements visited) of the whole job: below a
 * threshold, inside another job, and while another thread uses the pool, the caller does all pieces itself.
 * Pieces run with the default floating-point environment, whichever thread they are on; the caller's is restored. */
int fc_parallel(ptrdiff_t pieces, double work, fc_piece run, void *context);

/* How many of a job's units (rows, pixels, vectors) make a piece of about `least` of its `work`: an even number of
 * pieces, so that the shares of two threads are equal. Handing one out costs some 0.3 us where cores take turns. */
static inline ptrdiff_t fc_units_a_piece(ptrdiff_t units, double work, double least) {
  const ptrdiff_t pieces = 2 * ((ptrdiff_t)(work / (2 * least)) + 1);
  return units > pieces ? (units + pieces - 1) / pieces : 1;
}

/* Whether the job this piece belongs to shall stop. A piece that may last longer than about 50 ms asks between its
 * steps, which costs some 10 ns, and returns at once if so, its result half done. Otherwise Ctrl-C is answered between
 * pieces. False outside jobs. */
bool fc_stopping(void);

/* Upper bound of `worker` + 1 in the jobs that this thread starts from now until it releases its scratch memory, even
 * if the thread count is changed meanwhile. 1 inside a job. */
int fc_workers(void);

/* The thread count of the next job, the caller included: 1 .. FC_MAX_THREADS; returns 0, or -1 if n is outside. Starts
 * nothing. The default is FASTCONV_NUM_THREADS if it is such a number, else the smaller of affinity and cgroup
 * quota. */
FC_EXPORT int fc_set_num_threads(int n);
FC_EXPORT int fc_get_num_threads(void);

/* `poll` is called by the thread that called fc_parallel, outside any lock, between pieces and while it waits for the
 * last workers, about every 20 ms. Nonzero stops the job. NULL: no polling. */
void fc_set_poll(int (*poll)(void));

/* `parts` blocks of at least `bytes` each, all aligned to 64 bytes and an odd multiple of 64 bytes apart, contents
 * undefined; NULL if there is not so much memory or the size overflows. Returns part 0; fc_scratch_part finds the
 * others. Any thread may acquire, also inside a piece or while it holds another block; the same thread releases.
 *
 * Released blocks are kept for the next call, so that a steady state maps no memory and faults no pages: at most 16
 * blocks and 64 MiB in the process, the largest first (they can serve any request); the rest is freed at once. */
void *fc_scratch_acquire(ptrdiff_t parts, size_t bytes);
void *fc_scratch_part(void *scratch, ptrdiff_t part);
void fc_scratch_release(void *scratch);

/* Between fc_dry_run(true) and fc_dry_run(false) this thread's jobs return at once and compute nothing, while scratch
 * memory is acquired as ever: fc_scratch_peak then tells what a kernel needs, the most bytes that this thread has held
 * at a time since. */
void fc_dry_run(bool dry);
size_t fc_scratch_peak(void);

#endif
