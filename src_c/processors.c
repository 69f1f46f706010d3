/* How many threads to use when nobody says: environment, affinity, cgroup quota. */
#define _GNU_SOURCE
#include "processors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#endif

enum { PATH_BYTES = 4096 };

static int from_environment(int most) {
  const char *text = getenv("FASTCONV_NUM_THREADS");
  if (text == NULL) return 0;
  char *end;
  errno = 0;
  const long value = strtol(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && value >= 1 && value <= most ? (int)value : 0;
}

/* Reads one number or two from a file; returns how many it found. */
static int read_numbers(const char *root, const char *group, const char *name, long long *first, long long *second) {
  char path[2 * PATH_BYTES];
  if (snprintf(path, sizeof path, "%s%s/%s", root, group, name) >= (int)sizeof path) return 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  const int found = fscanf(file, "%lld %lld", first, second);
  fclose(file);
  return found;
}

/* The quota of one group in processors, or `most`. */
static int group_quota(const char *root, const char *group, bool unified, int most) {
  long long quota = 0, period = 0, unused;
  if (unified) {
    if (read_numbers(root, group, "cpu.max", &quota, &period) != 2) return most; /* "max 100000": no quota */
  } else if (read_numbers(root, group, "cpu.cfs_quota_us", &quota, &unused) != 1 ||
             read_numbers(root, group, "cpu.cfs_period_us", &period, &unused) != 1) {
    return most;
  }
  if (quota <= 0 || period <= 0) return most; /* version 1 says -1 for none */
  const long long processors = quota / period + (quota % period != 0);
  return processors < most ? (int)processors : most;
}

static bool lists_cpu(char *controllers) {
  char *rest;
  for (char *word = strtok_r(controllers, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest))
    if (strcmp(word, "cpu") == 0) return true;
  return false;
}

int fc_cgroup_processors(const char *membership, const char *root, int most) {
  FILE *file = fopen(membership, "re");
  if (file == NULL) return most;
  char line[PATH_BYTES], mount[PATH_BYTES];
  while (fgets(line, sizeof line, file) != NULL) { /* "4:cpu,cpuacct:/group" or, version 2, "0::/group" */
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) continue;
    *controllers++ = *group++ = '\0';
    const bool unified = *controllers == '\0';
    if (!unified && !lists_cpu(controllers)) continue;
    if (snprintf(mount, sizeof mount, "%s%s", root, unified ? "" : "/cpu") >= (int)sizeof mount) continue;
    for (char *end = group + strlen(group); end != NULL; end = strrchr(group, '/')) {
      *end = '\0';
      most = group_quota(mount, group, unified, most);
    }
  }
  fclose(file);
  return most;
}

int fc_default_threads(int most) {
  const int asked = from_environment(most);
  if (asked > 0) return asked;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) processors = CPU_COUNT(&allowed);
#endif
  if (processors < 1) processors = 1;
  if (processors > most) processors = most;
#if defined(__linux__)
  processors = fc_cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup", (int)processors);
#endif
  return (int)processors;
}

#if defined(__linux__)

int fc_processor(void) { return sched_getcpu(); }
int fc_thread_number(void) { return (int)syscall(SYS_gettid); }

void fc_keep_from(int thread_number, int processor) {
  cpu_set_t allowed;
  if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  CPU_CLR(processor, &allowed);
  if (CPU_COUNT(&allowed) > 0) sched_setaffinity(thread_number, sizeof allowed, &allowed); /* or it stays as it is */
}

#else

int fc_processor(void) { return -1; }
int fc_thread_number(void) { return -1; }
void fc_keep_from(int thread_number, int processor) { (void)thread_number, (void)processor; }

#endif
