/* The default thread count: environment and cgroup quotas. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src_c/processors.h"
#include "check.h"

static char root[200];

static void write_file(const char *name, const char *text) {
  char path[400];
  snprintf(path, sizeof path, "%s/%s", root, name);
  for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
    *slash = '\0';
    mkdir(path, 0700);
  }
  FILE *file = fopen(path, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int processors(const char *membership) {
  char path[400];
  write_file("membership", membership);
  snprintf(path, sizeof path, "%s/membership", root);
  return fc_cgroup_processors(path, root, 64);
}

static void test_version_2(void) {
  write_file("free/cpu.max", "max 100000\n");
  write_file("one/cpu.max", "20000 100000\n");
  write_file("three/cpu.max", "250000 100000\n");
  write_file("three/inner/cpu.max", "max 100000\n");
  write_file("three/inner/most/cpu.max", "900000 100000\n");
  write_file("odd/cpu.max", "100000 0\n");
  write_file("empty/cpu.max", "");
  write_file("huge/cpu.max", "9223372036854775807 1\n");
  CHECK(processors("0::/free\n") == 64);
  CHECK(processors("0::/one\n") == 1);
  CHECK(processors("0::/three\n") == 3);
  CHECK(processors("0::/three/inner/most\n") == 3); /* an ancestor's quota holds too */
  CHECK(processors("0::/odd\n") == 64 && processors("0::/empty\n") == 64 && processors("0::/huge\n") == 64);
  CHECK(processors("0::/not/there\n") == 64 && processors("0::/\n") == 64);
  write_file("cpu.max", "400000 100000\n"); /* a container sees its own group as the root */
  CHECK(processors("0::/\n") == 4 && processors("0::/not/there\n") == 4 && processors("0::/three\n") == 3);
}

static void test_version_1(void) {
  write_file("cpu/cpu.cfs_quota_us", "-1\n");
  write_file("cpu/cpu.cfs_period_us", "100000\n");
  write_file("cpu/two/cpu.cfs_quota_us", "150000\n");
  write_file("cpu/two/cpu.cfs_period_us", "100000\n");
  CHECK(processors("3:memory:/two\n4:cpuacct,cpu:/two\n1:name=systemd:/\n") == 2);
  CHECK(processors("4:cpu:/two/deeper\n") == 2);
  CHECK(processors("4:cpu:/\n5:cpuset:/two\n") == 64);
}

static void test_broken_files(void) {
  CHECK(processors("") == 64 && processors("nonsense\n0:\n\n3:cpu\n") == 64);
  CHECK(fc_cgroup_processors("/not/there", root, 7) == 7);
}

static void test_environment(void) {
  static const char *const bad[] = {"", "0", "-3", "257", "2.5", "two", "4 ", "99999999999999999999"};
  unsetenv("FASTCONV_NUM_THREADS");
  const int found = fc_default_threads(256);
  CHECK(found >= 1 && found <= sysconf(_SC_NPROCESSORS_ONLN));
  CHECK(fc_default_threads(1) == 1);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    setenv("FASTCONV_NUM_THREADS", bad[i], 1);
    CHECK(fc_default_threads(256) == found);
  }
  setenv("FASTCONV_NUM_THREADS", "256", 1);
  CHECK(fc_default_threads(256) == 256);
  setenv("FASTCONV_NUM_THREADS", "7", 1);
  CHECK(fc_default_threads(256) == 7);
}

int main(int count, char **arguments) {
  CHECK(count == 2); /* an empty folder to write in */
  snprintf(root, sizeof root, "%s", arguments[1]);
  RUN(test_version_1);
  RUN(test_version_2);
  RUN(test_broken_files);
  RUN(test_environment);
  return 0;
}
