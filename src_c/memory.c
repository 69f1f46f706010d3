/* A network asks for the same sizes in every step. The C library maps large blocks anew and gives them back at once,
 * and the system clears each page again: 0.1 ms a megabyte, more than a kernel needs to fill it. So blocks from 32 KiB
 * on are kept by size, four sizes an octave. Before a large block is mapped, and every now and then, kept ones are
 * given back until all together are at most an eighth more than has lately been in use at a time, or 64 MB: keeping
 * adds no more than that to the peak. A block may serve arrays of half its size, and counts whole: many arrays of sizes
 * drawn at random took 1.5 times their own bytes at the peak (tests/test_memory.py).
 *
 * Large blocks are mapped one by one, in huge pages where the system has them: there the C library would leave gaps,
 * and a page of 4 KiB costs 3 us when it is first touched, 512 of them ten times as much as one of 2 MiB. They begin at
 * changing places of a small page, lest arrays that a kernel reads side by side all want the same lines of a cache.
 *
 * Python's global lock guards the lists, at a fork as well: only code that makes and drops arrays comes here. */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
  LINE = 64,
  SMALL_PAGE = 4096,
  PAGE = 1 << 21,     /* a huge one: blocks from here on are large */
  SMALLEST = 1 << 15, /* smaller ones are the C library's business */
  STEPS = 4,          /* sizes an octave */
  SIZES = 16 * STEPS, /* up to 2 GiB; larger ones are not kept */
  SPARE = 64 << 20,   /* bytes: a network for inference uses little at a time, of many sizes in turn */
  LONG_TIME = 2000    /* blocks: more than a training step of a deep network takes */
};

/* In front of every block, in a cache line of its own. */
typedef struct fc_block {
  struct fc_block *next;
  size_t bytes;
  int size;        /* the index of its list, or -1 */
  unsigned offset; /* from where it was mapped */
} fc_block;

static fc_block *kept[SIZES];
static size_t kept_bytes, used_bytes;
static size_t most_used, most_used_before; /* bytes at a time, since LONG_TIME last passed and in the time before */
static uint64_t taken, last_taken[SIZES]; /* blocks so far, and how many they were when one of this size was the last */

/* The smallest of the sizes that holds `bytes`; its index, or -1 for what is not kept. */
static int round_up(size_t *bytes) {
  if (*bytes < SMALLEST) return -1;
  size_t octave = SMALLEST;
  for (int size = 0; size < SIZES; size += STEPS, octave *= 2)
    for (int step = 0; step < STEPS; step++) {
      const size_t room = octave + octave / STEPS * (size_t)(step + 1);
      if (*bytes <= room) {
        *bytes = room;
        return size + step;
      }
    }
  return -1;
}

/* Memory aligned to a huge page, whose small pages are given back by munmap. */
static char *map(size_t bytes) {
  if (bytes > SIZE_MAX - PAGE) return NULL;
  char *begin = mmap(NULL, bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) return NULL;
  const size_t before = (PAGE - (uintptr_t)begin % PAGE) % PAGE;
  if (before) munmap(begin, before);
  munmap(begin + before + bytes, PAGE - before);
#ifdef MADV_HUGEPAGE
  madvise(begin + before, bytes, MADV_HUGEPAGE);
#endif
  return begin + before;
}

/* A block with room for `bytes` beside its head. */
static fc_block *new_block(size_t bytes, int size) {
  static unsigned blocks;
  unsigned offset = 0;
  void *begin = NULL;
  if (bytes > SIZE_MAX - 2 * SMALL_PAGE) return NULL;
  bytes += LINE;
  if (bytes < PAGE) {
    if (posix_memalign(&begin, LINE, bytes) != 0) return NULL;
  } else {
    bytes = (bytes / SMALL_PAGE + 2) * SMALL_PAGE;
    offset = blocks++ * 13 % (SMALL_PAGE / LINE) * LINE;
    begin = map(bytes);
    if (!begin) return NULL;
  }
  fc_block *block = (fc_block *)((char *)begin + offset);
  block->bytes = bytes, block->size = size, block->offset = offset;
  return block;
}

static void give_back(fc_block *block) {
  if (block->bytes < PAGE)
    free(block);
  else
    munmap((char *)block - block->offset, block->bytes);
}

/* Takes a block out of a list. */
static fc_block *take(int size) {
  fc_block *block = kept[size];
  kept[size] = block->next;
  kept_bytes -= block->bytes;
  return block;
}

/* Gives large blocks back, those first that nobody has asked for longest, until `bytes` more are within what was used
 * at a time. */
static void make_room(size_t bytes) {
  const size_t most = most_used > most_used_before ? most_used : most_used_before;
  const size_t spare = most / 8 > SPARE ? most / 8 : SPARE;
  while (used_bytes + kept_bytes + bytes > most + spare) {
    int oldest = -1;
    for (int size = 0; size < SIZES; size++)
      if (kept[size] && kept[size]->bytes >= PAGE && (oldest < 0 || last_taken[size] < last_taken[oldest]))
        oldest = size;
    if (oldest < 0) return;
    give_back(take(oldest));
  }
}

void *fc_memory_acquire(size_t bytes) {
  const int size = round_up(&bytes);
  fc_block *block = NULL;
  if (size >= 0) {
    last_taken[size] = ++taken;
    if (taken % LONG_TIME == 0) {
      most_used_before = most_used, most_used = used_bytes;
      make_room(0);
    }
    const int largest = bytes < PAGE ? size : size + STEPS; /* twice as large */
    for (int fit = size; fit <= largest && fit < SIZES && !block; fit++)
      if (kept[fit]) block = take(fit);
  }
  if (!block) {
    if (bytes >= PAGE) make_room(bytes);
    block = new_block(bytes, size);
    if (!block) return NULL;
  }
  used_bytes += block->bytes;
  if (used_bytes > most_used) most_used = used_bytes;
  return (char *)block + LINE;
}

void fc_memory_release(void *memory) {
  if (!memory) return;
  fc_block *block = (fc_block *)((char *)memory - LINE);
  used_bytes -= block->bytes;
  if (block->size < 0) {
    give_back(block);
    return;
  }
  block->next = kept[block->size];
  kept[block->size] = block;
  kept_bytes += block->bytes;
}

void fc_memory_trim(void) {
  for (int size = 0; size < SIZES; size++)
    while (kept[size]) give_back(take(size));
}
