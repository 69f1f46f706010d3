/* Scratch memory, and the number of parts of it that a job needs. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "parallel.h"
#include "this_thread.h"

/* Memory kept between calls. Address sanitizer sees more when every block is fresh. */
#if defined(__SANITIZE_ADDRESS__)
#define FC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FC_ASAN 1
#endif
#endif
#if defined(FC_ASAN)
static const size_t CACHED_BYTES = 0;
#else
static const size_t CACHED_BYTES = (size_t)64 << 20;
#endif

/* Scratch blocks that nobody uses now. `bytes` is the size of the block in a slot, EMPTY, or CHANGING while a thread is
 * putting a block in or taking it out: so there is no lock that a fork could leave locked. */
enum { EMPTY = 0, CHANGING = 1, SLOTS = 16 };
static struct {
  atomic_size_t bytes;
  struct block *block;
} cache[SLOTS];
static atomic_size_t cached_bytes;

/* Before part 0 of a scratch block. */
struct block {
  _Alignas(64) size_t bytes, pitch, asked;
};

int fc_workers(void) {
  if (fc_this_thread.in_job) return 1;
  if (fc_this_thread.promised == 0) fc_this_thread.promised = fc_get_num_threads();
  return fc_this_thread.promised;
}

/* Takes the smallest block of `least` bytes or more out of the cache. */
static struct block *take_block(size_t least) {
  for (;;) {
    int best = -1;
    size_t best_bytes = SIZE_MAX;
    for (int i = 0; i < SLOTS; i++) {
      const size_t bytes = atomic_load(&cache[i].bytes);
      if (bytes > CHANGING && bytes >= least && bytes < best_bytes) best = i, best_bytes = bytes;
    }
    if (best < 0) return NULL;
    if (!atomic_compare_exchange_strong(&cache[best].bytes, &best_bytes, CHANGING)) continue;
    struct block *block = cache[best].block;
    atomic_store(&cache[best].bytes, EMPTY);
    atomic_fetch_sub(&cached_bytes, block->bytes);
    return block;
  }
}

static bool keep_block(struct block *block) {
  if (atomic_fetch_add(&cached_bytes, block->bytes) + block->bytes <= CACHED_BYTES) {
    for (int i = 0; i < SLOTS; i++) {
      size_t expected = EMPTY;
      if (!atomic_compare_exchange_strong(&cache[i].bytes, &expected, CHANGING)) continue;
      cache[i].block = block;
      atomic_store(&cache[i].bytes, block->bytes);
      return true;
    }
  }
  atomic_fetch_sub(&cached_bytes, block->bytes);
  return false;
}

void *fc_scratch_acquire(ptrdiff_t parts, size_t bytes) {
  size_t pitch, total;
  if (parts < 0 || __builtin_add_overflow(bytes, 63, &pitch)) return NULL;
  pitch = pitch / 64 * 64 | 64; /* odd multiple: equal offsets of two parts then fall into different cache sets */
  if (__builtin_mul_overflow(pitch, (size_t)parts, &total)) return NULL;
  if (__builtin_add_overflow(total, sizeof(struct block), &total) || total > PTRDIFF_MAX) return NULL;
  struct block *block = take_block(total);
  if (block == NULL) {
    void *memory;
    if (posix_memalign(&memory, 64, total) != 0) return NULL;
    block = memory;
    block->bytes = total;
  }
  block->pitch = pitch;
  block->asked = total;
  fc_this_thread.scratch_held++;
  fc_this_thread.scratch_bytes += total;
  if (fc_this_thread.scratch_bytes > fc_this_thread.scratch_peak)
    fc_this_thread.scratch_peak = fc_this_thread.scratch_bytes;
  return block + 1;
}

void *fc_scratch_part(void *scratch, ptrdiff_t part) {
  return (char *)scratch + part * (ptrdiff_t)((struct block *)scratch - 1)->pitch;
}

void fc_scratch_release(void *scratch) {
  if (scratch == NULL) return;
  struct block *block = (struct block *)scratch - 1;
  fc_this_thread.scratch_bytes -= block->asked;
  if (--fc_this_thread.scratch_held == 0 && !fc_this_thread.in_job) fc_this_thread.promised = 0;
  while (!keep_block(block)) { /* no room: the smallest goes, for a larger one serves all that it can serve */
    struct block *other = block->bytes <= CACHED_BYTES ? take_block(0) : NULL;
    if (other == NULL) {
      free(block);
      return;
    }
    struct block *larger = other->bytes > block->bytes ? other : block;
    free(larger == other ? block : other);
    block = larger;
  }
}

void fc_dry_run(bool dry) {
  fc_this_thread.dry = dry;
  if (dry) fc_this_thread.scratch_peak = fc_this_thread.scratch_bytes;
}

size_t fc_scratch_peak(void) { return fc_this_thread.scratch_peak; }
