/* The thread pool across fork(), and when the system gives it no threads. Not for thread sanitizer, which cannot start
 * threads in the child of a process that had some, nor for address sanitizer, whose malloc may hang there. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src_c/parallel.c"
#include "check.h"

static const double LARGE = 1e9;

static void slow_piece(void *context, ptrdiff_t piece, int worker) {
  (void)piece, (void)worker;
  usleep(300);
  atomic_fetch_add((atomic_int *)context, 1);
}

static void run_a_job(void) {
  atomic_int ran = 0;
  CHECK(fc_parallel(20, LARGE, slow_piece, &ran) == FC_OK);
  CHECK(atomic_load(&ran) == 20);
}

static void in_child(void (*test)(void)) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(10); /* a hang is a failure */
    test();
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void use_pool_anew(void) {
  CHECK(pool.started == 0);
  run_a_job();
  CHECK(pool.started == 2);
}

static void fork_again(void) {
  use_pool_anew();
  in_child(use_pool_anew);
  run_a_job();
}

static void test_fork_after_use(void) {
  CHECK(fc_set_num_threads(3) == 0);
  run_a_job();
  in_child(fork_again);
  usleep(1000); /* and when the workers sleep */
  in_child(fork_again);
  run_a_job();
}

static atomic_bool stop;

static void run_with_scratch(void) {
  void *scratch = fc_scratch_acquire(fc_workers(), 10000);
  CHECK(scratch != NULL);
  run_a_job();
  fc_scratch_release(scratch);
}

static void *keep_running_jobs(void *unused) {
  while (!atomic_load(&stop)) run_with_scratch();
  return unused;
}

static void use_pool_and_scratch(void) {
  CHECK(pool.started == 0);
  for (int i = 0; i < 3; i++) run_with_scratch();
  CHECK(pool.started == 2);
}

static void test_fork_during_jobs_of_other_threads(void) {
  pthread_t callers[2];
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&callers[i], NULL, keep_running_jobs, NULL) == 0);
  for (int i = 0; i < 40; i++) {
    usleep((useconds_t)(i * 37 % 1000));
    in_child(use_pool_and_scratch);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < 2; i++) CHECK(pthread_join(callers[i], NULL) == 0);
}

/* A Python signal handler runs inside the poll, and may fork. */
static pid_t forked;

static int fork_once(void) {
  if (forked < 0) forked = fork();
  return 0;
}

static void test_fork_in_the_poll(void) {
  atomic_int ran = 0;
  forked = -1;
  fc_set_poll(fork_once);
  const int status = fc_parallel(400, LARGE, slow_piece, &ran);
  fc_set_poll(NULL);
  CHECK(forked >= 0);
  if (forked == 0) {
    alarm(10);
    CHECK(status == FC_INTERRUPTED && atomic_load(&ran) < 400);
    use_pool_anew();
    _exit(0);
  }
  CHECK(status == FC_OK && atomic_load(&ran) == 400);
  int exit_status;
  CHECK(waitpid(forked, &exit_status, 0) == forked);
  CHECK(WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 0);
}

static void run_without_threads(void) {
  const struct rlimit none = {0, 0};
  if (geteuid() == 0) CHECK(setuid(65534) == 0); /* the limit does not hold for root */
  CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
  run_a_job();
  CHECK(pool.started == 0 && atomic_load(&pool.start_failed));
  run_a_job();
  CHECK(fc_set_num_threads(4) == 0 && !atomic_load(&pool.start_failed));
  run_a_job();
}

static void test_failing_thread_start(void) { in_child(run_without_threads); }

static void exit_with_workers(void) {
  run_a_job();
  exit(0);
}

static void exit_with_sleeping_workers(void) {
  run_a_job();
  usleep(5000);
  exit(0);
}

static void test_exit(void) {
  in_child(exit_with_workers);
  in_child(exit_with_sleeping_workers);
}

int main(void) {
  RUN(test_fork_after_use);
  RUN(test_fork_during_jobs_of_other_threads);
  RUN(test_fork_in_the_poll);
  RUN(test_failing_thread_start);
  RUN(test_exit);
  return 0;
}
