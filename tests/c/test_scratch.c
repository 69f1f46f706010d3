/* Scratch memory. Includes the source, to see what the cache holds. */
#include <pthread.h>
#include <string.h>

#include "../../src_c/scratch.c"
#include "check.h"

static void check_parts(char *scratch, ptrdiff_t parts, size_t bytes) {
  const size_t pitch = parts > 1 ? (size_t)((char *)fc_scratch_part(scratch, 1) - scratch) : 64;
  CHECK(fc_scratch_part(scratch, 0) == scratch);
  CHECK((uintptr_t)scratch % 64 == 0 && pitch % 128 == 64);
  if (parts > 1) CHECK(pitch >= bytes);
  for (ptrdiff_t i = 0; i < parts; i++) {
    CHECK((char *)fc_scratch_part(scratch, i) == scratch + (size_t)i * pitch);
    memset(fc_scratch_part(scratch, i), (int)i, bytes);
  }
  for (ptrdiff_t i = 0; i < parts; i++)
    for (size_t b = 0; b < bytes; b++) CHECK(((char *)fc_scratch_part(scratch, i))[b] == (char)i);
}

static void test_blocks_and_parts(void) {
  static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 4096, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (ptrdiff_t parts = 0; parts < 5; parts++) {
      void *scratch = fc_scratch_acquire(parts, sizes[i]);
      CHECK(scratch != NULL);
      check_parts(scratch, parts, sizes[i]);
      fc_scratch_release(scratch);
    }
  fc_scratch_release(NULL);
  CHECK(fc_this_thread.scratch_held == 0);
}

static void test_impossible_sizes(void) {
  CHECK(fc_scratch_acquire(-1, 8) == NULL);
  CHECK(fc_scratch_acquire(1, SIZE_MAX) == NULL && fc_scratch_acquire(1, SIZE_MAX - 63) == NULL);
  CHECK(fc_scratch_acquire(1, SIZE_MAX - 200) == NULL && fc_scratch_acquire(1, (size_t)PTRDIFF_MAX - 63) == NULL);
  CHECK(fc_scratch_acquire(PTRDIFF_MAX, 1) == NULL && fc_scratch_acquire(2, (size_t)1 << 63) == NULL);
  CHECK(fc_scratch_acquire((ptrdiff_t)1 << 32, (size_t)1 << 32) == NULL);
  CHECK(fc_scratch_acquire(1, (size_t)1 << 60) == NULL); /* fits the arithmetic, not the machine */
  CHECK(fc_this_thread.scratch_held == 0);
}

static void test_blocks_come_back(void) {
  if (CACHED_BYTES == 0) return; /* address sanitizer: every block is fresh */
  void *large = fc_scratch_acquire(2, 1 << 20);
  void *small = fc_scratch_acquire(1, 1000);
  CHECK(large != small);
  fc_scratch_release(large);
  fc_scratch_release(small);
  for (int i = 0; i < 3; i++) {
    void *again_small = fc_scratch_acquire(1, 900), *again_large = fc_scratch_acquire(1, 2 << 20);
    CHECK(again_small == small && again_large == large);
    fc_scratch_release(again_small);
    fc_scratch_release(again_large);
  }
}

static int kept_blocks(void) {
  int kept = 0;
  size_t bytes = 0;
  for (int i = 0; i < SLOTS; i++) {
    kept += atomic_load(&cache[i].bytes) != EMPTY;
    bytes += atomic_load(&cache[i].bytes);
  }
  CHECK(bytes == atomic_load(&cached_bytes) && bytes <= CACHED_BYTES);
  return kept;
}

static void test_the_cache_is_bounded(void) {
  if (CACHED_BYTES == 0) return;
  void *blocks[3 * SLOTS];
  for (int i = 0; i < 3 * SLOTS; i++) CHECK((blocks[i] = fc_scratch_acquire(1, 5000 + (size_t)i)) != NULL);
  for (int i = 0; i < 3 * SLOTS; i++) fc_scratch_release(blocks[i]);
  CHECK(kept_blocks() == SLOTS);

  void *whole = fc_scratch_acquire(1, CACHED_BYTES - 256), *half = fc_scratch_acquire(1, CACHED_BYTES / 2);
  void *beyond = fc_scratch_acquire(1, CACHED_BYTES);
  CHECK(whole != NULL && half != NULL && beyond != NULL);
  fc_scratch_release(beyond);
  CHECK(kept_blocks() == SLOTS); /* too large to keep, and drives nothing out */
  fc_scratch_release(half);
  fc_scratch_release(whole);
  CHECK(kept_blocks() == 1);
  void *again = fc_scratch_acquire(1, 100);
  CHECK(again == whole && kept_blocks() == 0);
  half = fc_scratch_acquire(1, CACHED_BYTES / 2);
  fc_scratch_release(again);
  fc_scratch_release(half);
  CHECK(kept_blocks() == 1 && fc_scratch_acquire(1, 100) == whole); /* the larger one stayed */
  fc_scratch_release(whole);
}

static void *use_scratch(void *seed) {
  const int mine = (int)(intptr_t)seed;
  for (int i = 0; i < 3000; i++) {
    const size_t bytes = 100 + (size_t)(i * 7919 + mine * 104729) % 20000;
    char *outer = fc_scratch_acquire(1, bytes), *inner = fc_scratch_acquire(1, bytes / 2);
    CHECK(outer != NULL && inner != NULL);
    memset(outer, mine, bytes);
    memset(inner, mine + 100, bytes / 2);
    for (size_t b = 0; b < bytes; b += 50) CHECK(outer[b] == mine);
    fc_scratch_release(outer);
    for (size_t b = 0; b < bytes / 2; b += 50) CHECK(inner[b] == mine + 100);
    fc_scratch_release(inner);
  }
  CHECK(fc_this_thread.scratch_held == 0);
  return NULL;
}

static void test_many_threads(void) {
  pthread_t users[6];
  for (int i = 0; i < 6; i++) CHECK(pthread_create(&users[i], NULL, use_scratch, (void *)(intptr_t)(i + 1)) == 0);
  for (int i = 0; i < 6; i++) CHECK(pthread_join(users[i], NULL) == 0);
  kept_blocks();
}

int main(void) {
  RUN(test_blocks_and_parts);
  RUN(test_impossible_sizes);
  RUN(test_blocks_come_back);
  RUN(test_the_cache_is_bounded);
  RUN(test_many_threads);
  return 0;
}
