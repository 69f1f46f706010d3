/* The thread pool that parallel.h describes. POSIX threads and C11 atomics, nothing else. */
#define _GNU_SOURCE
#include "parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "processors.h"
#include "this_thread.h"

enum {
  SPIN_US = 200, /* how long a thread looks for work before it sleeps: what Python does between two layers takes less */
  PATIENCE_US = 5, /* how long it leaves others what is theirs, at most: what lies in their caches is slow to fetch */
  POLL_MS = 20,    /* how long Ctrl-C may go unseen between pieces */
  STACK = 2 << 20, /* bytes; the default of some systems (musl, macOS) is small */
  PIECE_BITS = 27,
  MOST_PLACED = 16 /* workers that are kept from the caller's processor: a call to the system each when he changes it */
};

/* Sharing a job costs about 2 us when the workers are awake and 5 when they sleep: less is quicker done alone. */
static const double SMALL_WORK = 5e4;

/* The job that runs, if any. Its first pieces are the caller's, the others the workers', so that a core finds in its
 * cache what it worked on in the job before; who has done his own waits a little, then takes the others' too. `tickets`
 * holds how many pieces of both nobody has taken yet, and how many threads may take part. A thread takes a piece by
 * lowering it, and counts it in `done` afterwards; the caller returns when every piece taken is done. So a job cannot
 * end while someone has a piece of it, and only who has one reads the other fields: whoever comes late finds no ticket,
 * and touches nothing; whoever has not come is not waited for. */
static struct {
  _Alignas(64) _Atomic uint64_t tickets;
  fc_piece run;
  void *context;
  ptrdiff_t callers, workers; /* pieces of the caller, of the workers */
  atomic_bool stopped;
  _Alignas(64) atomic_ptrdiff_t done;
} job;

static struct {
  _Alignas(64) atomic_bool busy; /* a thread runs a job; it alone uses `started` and `forkable` */
  int started;                   /* workers 1 .. started exist; 0 is the caller */
  bool forkable;
  atomic_bool start_failed;
  atomic_int threads; /* as set; 0: not yet asked for */
  int forks;
  _Atomic(int (*)(void)) poll;
} pool;

/* Where a thread sleeps: workers while there is no job, the caller (0) while others finish theirs. */
static struct bed {
  _Alignas(64) pthread_mutex_t mutex;
  pthread_cond_t wake;
} beds[FC_MAX_THREADS];
static atomic_bool asleep[FC_MAX_THREADS];

/* Where the system's scheduler puts a worker that is woken is left to it, but for the processor of the thread that
 * waits for him. In a virtual machine Linux takes a processor that rests for one that is taken away, and puts both
 * threads on the other: for 20 to 40 ms, until load is balanced, two threads are as slow as one. */
static atomic_int thread_numbers[MOST_PLACED + 1]; /* by worker; 0: not begun yet */
static int kept_from[MOST_PLACED + 1];             /* the processor, or -1; of whoever has pool.busy */

_Thread_local fc_thread fc_this_thread;

/* The job this thread has called, or has a piece of. NULL outside jobs and while the poll runs. */
struct call {
  bool polls;  /* this thread called the job, and not from inside another */
  bool shared; /* the pool runs it */
  bool stopped;
  int64_t due;       /* when to poll next, us; 0 before the first look at the clock */
  ptrdiff_t dropped; /* pieces nobody will take */
};
static _Thread_local struct call *current;

#if !defined(CLOCK_MONOTONIC_COARSE)
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

static int64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t clock_us(clockid_t clock) { return clock_ns(clock) / 1000; }
static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
static int64_t now_us(void) { return now_ns() / 1000; }

/* --- Waiting --- */

static uint64_t make_tickets(int limit, ptrdiff_t callers, ptrdiff_t workers) {
  return (uint64_t)limit << 2 * PIECE_BITS | (uint64_t)callers << PIECE_BITS | (uint64_t)workers;
}
static ptrdiff_t workers_left(uint64_t tickets) { return (ptrdiff_t)(tickets & (((uint64_t)1 << PIECE_BITS) - 1)); }
static ptrdiff_t callers_left(uint64_t tickets) { return workers_left(tickets >> PIECE_BITS); }
static ptrdiff_t tickets_left(uint64_t tickets) { return callers_left(tickets) + workers_left(tickets); }
static ptrdiff_t limit_of(uint64_t tickets) { return (ptrdiff_t)(tickets >> 2 * PIECE_BITS); }

static bool may_take(uint64_t tickets, ptrdiff_t self) { return tickets_left(tickets) > 0 && self < limit_of(tickets); }

static bool has_piece(ptrdiff_t self) { return may_take(atomic_load(&job.tickets), self); }

static bool all_done(ptrdiff_t taken) { return atomic_load(&job.done) >= taken; }

/* Whether awaited(argument) came true within SPIN_US. */
static bool spin(bool (*awaited)(ptrdiff_t), ptrdiff_t argument) {
  int64_t end = 0;
  do {
    for (int i = 0; i < 32; i++) {
      if (awaited(argument)) return true;
      fc_relax();
    }
    if (end == 0) end = now_us() + SPIN_US;
  } while (now_us() < end);
  return false;
}

/* Sleeps until woken, or POLL_MS if `timed`, unless awaited(argument) is true. Who makes it true looks at `asleep`
 * afterwards, who sleeps sets `asleep` before he looks: one of them sees the other. */
static void doze(int self, bool (*awaited)(ptrdiff_t), ptrdiff_t argument, bool timed) {
  struct bed *bed = &beds[self];
  pthread_mutex_lock(&bed->mutex);
  atomic_store(&asleep[self], true);
  if (!awaited(argument)) {
    if (!timed) {
      pthread_cond_wait(&bed->wake, &bed->mutex);
    } else {
#if defined(__APPLE__)
      const struct timespec length = {0, POLL_MS * 1000000};
      pthread_cond_timedwait_relative_np(&bed->wake, &bed->mutex, &length);
#else
      const int64_t until = now_us() + POLL_MS * 1000;
      const struct timespec end = {(time_t)(until / 1000000), (long)(until % 1000000) * 1000};
      pthread_cond_timedwait(&bed->wake, &bed->mutex, &end);
#endif
    }
  }
  atomic_store(&asleep[self], false);
  pthread_mutex_unlock(&bed->mutex);
}

static bool wake(int sleeper) {
  if (!atomic_load(&asleep[sleeper]) || !atomic_exchange(&asleep[sleeper], false)) return false;
  struct bed *bed = &beds[sleeper];
  pthread_mutex_lock(&bed->mutex);
  pthread_cond_signal(&bed->wake);
  pthread_mutex_unlock(&bed->mutex);
  return true;
}

/* --- Workers --- */

/* What a thread knows of its part in a job: when it began, and when it will take what is others'; 0: not yet. */
typedef struct {
  int64_t began, patience;
} part;

/* Whether to leave pieces to those whose they are: a quarter of the time that one's own took, if they have begun. */
static bool leaves_to_others(part *mine, bool begun) {
  if (!begun) return false;
  const int64_t now = now_ns();
  if (mine->patience == 0) {
    const int64_t quarter = (now - mine->began) / 4;
    mine->patience = now + (quarter < PATIENCE_US * 1000 ? quarter : PATIENCE_US * 1000);
  }
  return now < mine->patience;
}

/* A piece of the job, or -1. Everyone who takes one wakes two others while there is more: many wake soon, nobody pays
 * for waking them all, and none of it hangs on a worker that does not get its core. */
static ptrdiff_t take_piece(int self, part *mine) {
  if (mine->began == 0) mine->began = now_ns();
  uint64_t tickets = atomic_load(&job.tickets);
  while (may_take(tickets, self)) {
    const ptrdiff_t callers = callers_left(tickets), workers = workers_left(tickets);
    const bool callers_turn = self == 0 ? callers > 0 : workers == 0;
    if (callers_turn != (self == 0) && leaves_to_others(mine, self != 0 || workers < job.workers)) {
      fc_relax();
      tickets = atomic_load(&job.tickets);
      continue;
    }
    const uint64_t rest = tickets - make_tickets(0, callers_turn, !callers_turn);
    if (!atomic_compare_exchange_weak(&job.tickets, &tickets, rest)) continue;
    int limit = (int)limit_of(tickets), woken = 0;
    for (int i = 1; i < limit && woken < 2 && woken < callers + workers - 1; i++) woken += wake(i);
    return callers_turn ? callers - 1 : job.callers + workers - 1;
  }
  return -1;
}

static void *worker_main(void *index) {
  int self = (int)(intptr_t)index;
  struct call call = {.shared = true};
  current = &call;
  fc_this_thread.in_job = true;
  fc_fp_set(FC_FP_DEFAULT);
  if (self <= MOST_PLACED) atomic_store(&thread_numbers[self], fc_thread_number());
  for (;;) {
    if (!spin(has_piece, self)) doze(self, has_piece, self, false);
    part mine = {0};
    for (ptrdiff_t piece; (piece = take_piece(self, &mine)) >= 0;) {
      job.run(job.context, piece, self);
      atomic_fetch_add(&job.done, 1);
      wake(0);
    }
  }
  return NULL;
}

static void after_fork_in_child(void) {
  atomic_store(&job.tickets, 0);
  atomic_store(&job.done, PTRDIFF_MAX); /* nobody is left to finish anything */
  atomic_store(&job.stopped, true);
  for (int i = 0; i < FC_MAX_THREADS; i++) atomic_store(&asleep[i], false);
  pool.started = 0;
  pool.forks++;
  atomic_store(&pool.start_failed, false);
  atomic_store(&pool.busy, false);
}

static bool make_bed(struct bed *bed) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return false;
#if !defined(__APPLE__)
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
  bool made = pthread_mutex_init(&bed->mutex, NULL) == 0 && pthread_cond_init(&bed->wake, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return made;
}

static bool start_worker(int index) {
  pthread_attr_t attributes;
  pthread_t thread;
  if (!make_bed(&beds[index]) || pthread_attr_init(&attributes) != 0) return false;
  if (index <= MOST_PLACED) {
    atomic_store(&thread_numbers[index], 0);
    kept_from[index] = -1;
  }
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK);
  bool started = pthread_create(&thread, &attributes, worker_main, (void *)(intptr_t)index) == 0;
  pthread_attr_destroy(&attributes);
  return started;
}

/* Makes up to `limit` threads, the caller included, if the system lets us; never more than that is lost. */
static void start_workers(int limit) {
  if (pool.started >= limit - 1 || atomic_load(&pool.start_failed)) return;
  /* Signals belong to the program's own threads, but for those that report a fault of this very thread. */
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&blocked, faults[i]);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);

  bool good = pool.started > 0 || make_bed(&beds[0]);
  if (good && !pool.forkable) good = pool.forkable = pthread_atfork(NULL, NULL, after_fork_in_child) == 0;
  while (good && pool.started < limit - 1 && (good = start_worker(pool.started + 1))) pool.started++;
  if (!good) atomic_store(&pool.start_failed, true); /* until the thread count is set anew */

  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Keeps the workers of a job from the caller's processor. */
static void place_workers(int limit) {
  const int here = fc_processor();
  for (int i = 1; i < limit && i <= pool.started && i <= MOST_PLACED; i++) {
    const int number = atomic_load(&thread_numbers[i]);
    if (kept_from[i] == here || number <= 0) continue;
    fc_keep_from(number, here);
    kept_from[i] = here;
  }
}

/* --- Jobs --- */

static bool stopped(const struct call *call) {
  return call != NULL && (call->stopped || (call->shared && atomic_load(&job.stopped)));
}

bool fc_stopping(void) {
  struct call *call = current;
  if (stopped(call)) return true;
  int (*poll)(void) = call != NULL && call->polls ? atomic_load(&pool.poll) : NULL;
  if (poll == NULL) return false;
  const int64_t now = clock_us(CLOCK_MONOTONIC_COARSE); /* some ms coarse, but 5 ns cheap */
  if (call->due == 0) call->due = now + POLL_MS * 1000; /* so that short jobs do not poll, and start without a clock */
  if (now < call->due) return false;
  current = NULL; /* the poll runs Python code, which may call kernels */
  call->stopped = poll() != 0;
  current = call;
  call->due = clock_us(CLOCK_MONOTONIC_COARSE) + POLL_MS * 1000;
  if (call->stopped && call->shared) {
    atomic_store(&job.stopped, true);
    call->dropped = tickets_left(atomic_exchange(&job.tickets, 0));
  }
  return call->stopped;
}

static int run_alone(ptrdiff_t pieces, fc_piece run, void *context) {
  for (ptrdiff_t i = 0; i < pieces; i++) {
    run(context, i, 0);
    if (i + 1 < pieces) fc_stopping();
    if (stopped(current)) return FC_INTERRUPTED;
  }
  return FC_OK;
}

static int run_shared(ptrdiff_t pieces, int limit, fc_piece run, void *context) {
  const int forks = pool.forks;
  start_workers(limit);
  place_workers(limit);
  job.run = run;
  job.context = context;
  job.callers = (pieces + limit - 1) / limit;
  job.workers = pieces - job.callers;
  atomic_store(&job.stopped, false);
  atomic_store(&job.done, 0);
  atomic_store(&job.tickets, make_tickets(limit, job.callers, job.workers));
  part mine = {0};
  for (ptrdiff_t piece; (piece = take_piece(0, &mine)) >= 0;) {
    run(context, piece, 0);
    atomic_fetch_add(&job.done, 1);
    fc_stopping();
  }
  while (!spin(all_done, pieces - current->dropped)) {
    doze(0, all_done, pieces - current->dropped, true);
    fc_stopping();
  }
  /* If the poll has forked, and this is the child, then what the workers had taken is lost. */
  return current->stopped || pool.forks != forks ? FC_INTERRUPTED : FC_OK;
}

int fc_parallel(ptrdiff_t pieces, double work, fc_piece run, void *context) {
  if (fc_this_thread.dry) return FC_OK;
  if (fc_this_thread.in_job) return run_alone(pieces, run, context);

  int limit = fc_this_thread.promised != 0 ? fc_this_thread.promised : fc_get_num_threads();
  if (limit > pieces) limit = (int)pieces;
  struct call call = {.polls = true};
  call.shared =
      limit > 1 && work >= SMALL_WORK && (uint64_t)pieces >> PIECE_BITS == 0 && !atomic_exchange(&pool.busy, true);
  const uint32_t fp = fc_fp_get();
  const bool fp_foreign = (fp & FC_FP_CONTROL) != FC_FP_DEFAULT;
  if (fp_foreign) fc_fp_set(FC_FP_DEFAULT);
  current = &call;
  fc_this_thread.in_job = true;

  const int status = call.shared ? run_shared(pieces, limit, run, context) : run_alone(pieces, run, context);

  if (call.shared) atomic_store(&pool.busy, false);
  current = NULL;
  fc_this_thread.in_job = false;
  if (fc_this_thread.scratch_held == 0) fc_this_thread.promised = 0;
  if (fp_foreign) fc_fp_set(fp);
  return status;
}

void fc_set_poll(int (*poll)(void)) { atomic_store(&pool.poll, poll); }

int fc_get_num_threads(void) {
  int threads = atomic_load(&pool.threads);
  if (threads == 0) {
    int found = fc_default_threads(FC_MAX_THREADS);
    threads = atomic_compare_exchange_strong(&pool.threads, &threads, found) ? found : threads;
  }
  return threads;
}

int fc_set_num_threads(int n) {
  if (n < 1 || n > FC_MAX_THREADS) return -1;
  atomic_store(&pool.threads, n);
  atomic_store(&pool.start_failed, false);
  return 0;
}
