/* The thread pool: jobs, nesting, concurrent callers, thread counts, interruption. Includes the source, to look at the
 * state a caller cannot see. Built and run by tests/test_parallel_c.py, also under thread sanitizer. With --latency it
 * tests nothing and prints what a job costs. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "../../src_c/parallel.c"
#include "check.h"

static const double LARGE = 1e9;

/* A job that notes what ran: every piece once, no two on one worker at a time. */
enum { MOST_PIECES = 5000 };
typedef struct {
  atomic_int ran[MOST_PIECES];
  atomic_int running[FC_MAX_THREADS];
  atomic_int highest_worker;
  int piece_us;
} record;

static void record_piece(void *context, ptrdiff_t piece, int worker) {
  record *r = context;
  CHECK(worker >= 0 && worker < FC_MAX_THREADS);
  CHECK(atomic_fetch_add(&r->running[worker], 1) == 0);
  int highest = atomic_load(&r->highest_worker);
  while (worker > highest && !atomic_compare_exchange_weak(&r->highest_worker, &highest, worker)) continue;
  if (r->piece_us > 0) usleep((useconds_t)r->piece_us);
  atomic_fetch_add(&r->ran[piece], 1);
  atomic_fetch_sub(&r->running[worker], 1);
}

static void check_once(record *r, ptrdiff_t pieces) {
  for (ptrdiff_t i = 0; i < MOST_PIECES; i++) CHECK(atomic_load(&r->ran[i]) == (i < pieces));
  memset(r, 0, sizeof *r);
}

static record noted; /* too large for the stack of a test thread */

static int count_threads(void) {
  int count = -2; /* . and .. */
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) return -1; /* not Linux */
  while (readdir(tasks) != NULL) count++;
  closedir(tasks);
  return count;
}

static void test_small_jobs_start_no_thread(void) {
  const int before = count_threads();
  CHECK(pool.started == 0);
  CHECK(fc_set_num_threads(4) == 0);
  CHECK(fc_parallel(100, 10, record_piece, &noted) == FC_OK);
  check_once(&noted, 100);
  CHECK(fc_parallel(1, LARGE, record_piece, &noted) == FC_OK);
  check_once(&noted, 1);
  CHECK(pool.started == 0 && count_threads() == before);
}

static void test_every_piece_runs_once(void) {
  static const ptrdiff_t sizes[] = {-1, 0, 1, 2, 3, 7, 64, MOST_PIECES};
  static const int threads[] = {1, 2, 3, 8, 32, 2, 1, 8};
  for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
    CHECK(fc_set_num_threads(threads[t]) == 0 && fc_get_num_threads() == threads[t]);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      CHECK(fc_parallel(sizes[i], LARGE, record_piece, &noted) == FC_OK);
      CHECK(atomic_load(&noted.highest_worker) < threads[t]);
      check_once(&noted, sizes[i]);
    }
  }
  CHECK(pool.started == 31); /* surplus workers stay, and sleep */
}

static void test_workers_share(void) {
  CHECK(fc_set_num_threads(3) == 0);
  noted.piece_us = 20000;
  const int64_t begin = now_us();
  CHECK(fc_parallel(6, LARGE, record_piece, &noted) == FC_OK);
  CHECK(now_us() - begin < 100000); /* 120 ms for one */
  CHECK(atomic_load(&noted.highest_worker) == 2);
  check_once(&noted, 6);
}

/* The caller stays in its first piece until all others are done, its own among them. */
static atomic_int others_done;

static void stuck_piece(void *pieces, ptrdiff_t piece, int worker) {
  (void)piece;
  while (worker == 0 && atomic_load(&others_done) < *(int *)pieces - 1) fc_relax();
  atomic_fetch_add(&others_done, 1);
}

static void test_workers_take_what_the_caller_leaves(void) {
  CHECK(fc_set_num_threads(2) == 0);
  for (int pieces = 2; pieces < 10; pieces++) {
    atomic_store(&others_done, 0);
    CHECK(fc_parallel(pieces, LARGE, stuck_piece, &pieces) == FC_OK);
    CHECK(atomic_load(&others_done) == pieces);
  }
}

/* Contexts live on the stack and are overwritten at once: a worker that came late would write into the next one. */
typedef struct {
  atomic_long sum;
  long expected;
} tiny;

static void tiny_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  atomic_fetch_add(&((tiny *)context)->sum, piece + 1);
}

static void run_tiny_jobs(int count, int pause_us) {
  for (int i = 0; i < count; i++) {
    const ptrdiff_t pieces = 2 + i % 5;
    tiny job_context = {0, pieces * (pieces + 1) / 2};
    CHECK(fc_parallel(pieces, LARGE, tiny_piece, &job_context) == FC_OK);
    CHECK(atomic_load(&job_context.sum) == job_context.expected);
    if (pause_us > 0) usleep((useconds_t)(i % 2 == 0 ? pause_us : 0));
  }
}

static void test_many_tiny_jobs(void) {
  for (int threads = 1; threads <= 4; threads++) {
    CHECK(fc_set_num_threads(threads) == 0);
    run_tiny_jobs(20000, 0);
  }
  for (int pause = 1; pause <= 300; pause *= 3) run_tiny_jobs(100, pause); /* around the moment they fall asleep */
}

static void outer_piece(void *context, ptrdiff_t piece, int worker) {
  (void)piece, (void)worker;
  tiny inner = {0, 55};
  CHECK(fc_workers() == 1);
  CHECK(fc_parallel(10, LARGE, tiny_piece, &inner) == FC_OK);
  CHECK(atomic_load(&inner.sum) == inner.expected);
  void *scratch = fc_scratch_acquire(fc_workers(), 1000);
  CHECK(scratch != NULL);
  memset(scratch, worker, 1000);
  fc_scratch_release(scratch);
  atomic_fetch_add(&((tiny *)context)->sum, 1);
}

static void test_jobs_inside_jobs_run_alone(void) {
  CHECK(fc_set_num_threads(3) == 0);
  for (int i = 0; i < 500; i++) {
    tiny outer = {0, 0};
    CHECK(fc_parallel(8, i % 2 == 0 ? LARGE : 1, outer_piece, &outer) == FC_OK);
    CHECK(atomic_load(&outer.sum) == 8);
  }
  CHECK(fc_workers() == 3);
}

/* Several callers at once, who use scratch by worker index while another thread changes the thread count. */
static void scratch_piece(void *context, ptrdiff_t piece, int worker) {
  long *mine = fc_scratch_part(context, worker);
  for (int i = 0; i < 16; i++) mine[i] += piece + 1;
}

static void *scratch_caller(void *unused) {
  for (int i = 0; i < 2000; i++) {
    const int workers = fc_workers();
    long *scratch = fc_scratch_acquire(workers, 16 * sizeof(long));
    CHECK(scratch != NULL);
    for (int w = 0; w < workers; w++) memset(fc_scratch_part(scratch, w), 0, 16 * sizeof(long));
    for (int repeat = 0; repeat < 2; repeat++) CHECK(fc_parallel(9, LARGE, scratch_piece, scratch) == FC_OK);
    CHECK(fc_workers() == workers);
    long sum = 0;
    for (int w = 0; w < workers; w++) sum += ((long *)fc_scratch_part(scratch, w))[15];
    CHECK(sum == 90);
    fc_scratch_release(scratch);
  }
  CHECK(fc_this_thread.scratch_held == 0 && fc_this_thread.promised == 0);
  return unused;
}

static void test_concurrent_callers(void) {
  pthread_t callers[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&callers[i], NULL, scratch_caller, NULL) == 0);
  for (int i = 0; i < 500; i++) {
    CHECK(fc_set_num_threads(1 + i % 7) == 0);
    run_tiny_jobs(10, 0);
  }
  for (int i = 0; i < 4; i++) CHECK(pthread_join(callers[i], NULL) == 0);
  CHECK(atomic_load(&pool.busy) == false);
}

static void test_thread_count_is_checked(void) {
  CHECK(fc_set_num_threads(5) == 0);
  CHECK(fc_set_num_threads(0) == -1 && fc_set_num_threads(-1) == -1);
  CHECK(fc_set_num_threads(FC_MAX_THREADS + 1) == -1 && fc_get_num_threads() == 5);
}

static atomic_int polls, poll_answer;
static int64_t poll_from, poll_last, poll_shortest;
static pthread_t poll_thread;

static int stop_after_50_ms(void) {
  const int64_t now = now_us();
  CHECK(pthread_equal(pthread_self(), poll_thread));
  if (atomic_fetch_add(&polls, 1) > 0 && now - poll_last < poll_shortest) poll_shortest = now - poll_last;
  poll_last = now;
  return now - poll_from > 50000 ? atomic_load(&poll_answer) : 0;
}

static void start_polling(int answer) {
  poll_thread = pthread_self();
  poll_from = now_us();
  poll_shortest = INT64_MAX;
  atomic_store(&polls, 0);
  atomic_store(&poll_answer, answer);
  fc_set_poll(stop_after_50_ms);
}

static void test_the_poll_stops_a_job(void) {
  for (int threads = 1; threads <= 3; threads++) {
    CHECK(fc_set_num_threads(threads) == 0);
    noted.piece_us = 3000;
    start_polling(1);
    CHECK(fc_parallel(1000, LARGE, record_piece, &noted) == FC_INTERRUPTED);
    CHECK(now_us() - poll_from < 200000);
    CHECK(atomic_load(&polls) >= 2 && poll_shortest >= POLL_MS * 1000 / 2);
    int ran = 0;
    for (int w = 0; w < FC_MAX_THREADS; w++) CHECK(atomic_load(&noted.running[w]) == 0);
    for (int i = 0; i < 1000; i++) ran += atomic_load(&noted.ran[i]);
    CHECK(ran > 0 && ran < 1000);
    usleep(10000);
    for (int i = 0; i < 1000; i++) ran -= atomic_load(&noted.ran[i]);
    CHECK(ran == 0); /* nothing ran after the return */
    memset(&noted, 0, sizeof noted);

    noted.piece_us = 100;
    start_polling(0); /* polled, but not stopped */
    CHECK(fc_parallel(1000, LARGE, record_piece, &noted) == FC_OK);
    CHECK(atomic_load(&polls) >= 1);
    check_once(&noted, 1000);
  }
  fc_set_poll(NULL);
}

static void long_on_workers(void *context, ptrdiff_t piece, int worker) {
  (void)piece;
  if (worker != 0) {
    atomic_store((atomic_bool *)context, true);
    usleep(120000);
  } else {
    while (!atomic_load((atomic_bool *)context)) usleep(100); /* until a worker has the other piece */
  }
}

static void test_the_poll_is_asked_while_waiting(void) {
  atomic_bool begun = false;
  CHECK(fc_set_num_threads(2) == 0);
  start_polling(1);
  CHECK(fc_parallel(2, LARGE, long_on_workers, &begun) == FC_INTERRUPTED);
  CHECK(atomic_load(&polls) >= 2);
  fc_set_poll(NULL);
}

static void endless_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  while (!fc_stopping()) fc_relax();
  CHECK(fc_stopping()); /* once is for all */
  if (piece == 0) CHECK(fc_parallel(3, LARGE, tiny_piece, context) == FC_INTERRUPTED);
}

static void endless_inside(void *context, ptrdiff_t piece, int worker) {
  (void)piece, (void)worker;
  CHECK(fc_parallel(2, LARGE, endless_piece, context) == FC_INTERRUPTED);
}

static void test_pieces_can_be_stopped(void) {
  tiny unused = {0, 0};
  CHECK(!fc_stopping());
  for (int threads = 1; threads <= 3; threads++) {
    CHECK(fc_set_num_threads(threads) == 0);
    for (ptrdiff_t pieces = 1; pieces <= 3; pieces++) {
      start_polling(1);
      CHECK(fc_parallel(pieces, LARGE, pieces == 2 ? endless_inside : endless_piece, &unused) == FC_INTERRUPTED);
      CHECK(now_us() - poll_from < 200000);
      CHECK(!fc_stopping());
    }
  }
  fc_set_poll(NULL);
  run_tiny_jobs(10, 0); /* not stopped by what stopped the last one */
}

static void signal_piece(void *context, ptrdiff_t piece, int worker) {
  (void)context, (void)piece;
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  CHECK(sigismember(&mask, SIGINT) == (worker != 0) && sigismember(&mask, SIGUSR1) == (worker != 0));
  CHECK(sigismember(&mask, SIGSEGV) == 0);
  usleep(2000);
}

static void test_workers_take_no_signals(void) {
  CHECK(fc_set_num_threads(3) == 0);
  CHECK(fc_parallel(12, LARGE, signal_piece, NULL) == FC_OK);
}

#if defined(__SSE__)
static void float_piece(void *context, ptrdiff_t piece, int worker) {
  (void)context, (void)piece, (void)worker;
  volatile float tiny_value = 1e-38f;
  CHECK((_mm_getcsr() & 0xffc0) == 0x1f80);
  CHECK(tiny_value / 16 != 0);
  usleep(1000);
}

static void test_floating_point_environment(void) {
  const unsigned before = _mm_getcsr();
  CHECK(fc_set_num_threads(3) == 0);
  _mm_setcsr(0xff80); /* flush to zero, round towards zero: as a library built with -ffast-math may leave it */
  for (int large = 0; large < 2; large++) {
    CHECK(fc_parallel(12, large ? LARGE : 1, float_piece, NULL) == FC_OK);
    CHECK(_mm_getcsr() == 0xff80);
  }
  _mm_setcsr(before);
}
#else
static void test_floating_point_environment(void) {}
#endif

static void nothing(void *context, ptrdiff_t piece, int worker) { (void)context, (void)piece, (void)worker; }

static void meet(void *context, ptrdiff_t piece, int worker) {
  (void)piece, (void)worker;
  atomic_int *arrived = context;
  atomic_fetch_add(arrived, 1);
  while (atomic_load(arrived) < 2) fc_relax();
}

static double us_a_job(int jobs, double work, fc_piece piece, int pause_us) {
  int64_t total = 0;
  for (int i = 0; i < jobs; i++) {
    atomic_int arrived = 0;
    if (pause_us > 0) usleep((useconds_t)pause_us);
    const int64_t begin = now_us() * (pause_us > 0 || i == 0);
    fc_parallel(2, work, piece, &arrived);
    total += now_us() * (pause_us > 0 || i == jobs - 1) - begin;
  }
  return (double)total / jobs;
}

static void print_latency(void) {
  CHECK(fc_set_num_threads(2) == 0);
  printf(
      "us a job of 2 pieces: empty alone %.3f, empty shared %.3f, meeting a worker %.2f, meeting a sleeping one %.1f\n",
      us_a_job(20000, 1, nothing, 0), us_a_job(20000, LARGE, nothing, 0), us_a_job(20000, LARGE, meet, 0),
      us_a_job(200, LARGE, meet, 500));
}

int main(int count, char **arguments) {
  if (count == 2 && strcmp(arguments[1], "--latency") == 0) {
    print_latency();
    return 0;
  }
  RUN(test_small_jobs_start_no_thread);
  RUN(test_every_piece_runs_once);
  RUN(test_workers_share);
  RUN(test_workers_take_what_the_caller_leaves);
  RUN(test_many_tiny_jobs);
  RUN(test_jobs_inside_jobs_run_alone);
  RUN(test_concurrent_callers);
  RUN(test_thread_count_is_checked);
  RUN(test_the_poll_stops_a_job);
  RUN(test_the_poll_is_asked_while_waiting);
  RUN(test_pieces_can_be_stopped);
  RUN(test_workers_take_no_signals);
  RUN(test_floating_point_environment);
  return 0; /* while workers spin: exit must be clean */
}
