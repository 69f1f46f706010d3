/* A network asks for the same sizes in every step. The C library maps large blocks anew and gives them back at once,
 * and the system clears each page again: 0.1 ms a megabyte, more than a kernel needs to fill it. So blocks from 32 KiB
 * on are kept by size, four sizes an octave, at most a quarter of a gigabyte of them; when that is full, the sizes that
 * nobody has asked for in a long time give way. Python's global lock guards the
 * lists, at a fork as well: only code that makes and drops arrays comes here. */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

enum {
  LINE = 64,
  SMALLEST = 1 << 15, /* smaller ones are the C library's business */
  STEPS = 4,          /* sizes an octave */
  SIZES = 16 * STEPS, /* up to 2 GiB; larger ones are not kept */
  KEPT_BYTES = 1 << 28,
  LONG_TIME = 2000 /* blocks: more than a training step of a deep network takes */
};

/* In front of every block, in a cache line of its own. */
typedef struct fc_block {
  struct fc_block *next;
  size_t bytes;
  int size; /* the index of its list, or -1 */
} fc_block;

static fc_block *kept[SIZES];
static size_t kept_bytes;
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

void *fc_memory_acquire(size_t bytes) {
  const int size = round_up(&bytes);
  fc_block *block = NULL;
  if (size >= 0) {
    last_taken[size] = ++taken;
    block = kept[size];
    if (block) {
      kept[size] = block->next;
      kept_bytes -= block->bytes;
    }
  }
  if (!block) {
    void *memory;
    if (bytes > SIZE_MAX - LINE || posix_memalign(&memory, LINE, bytes + LINE) != 0) return NULL;
    block = memory;
    block->bytes = bytes;
    block->size = size;
  }
  return (char *)block + LINE;
}

/* Frees what is kept of one size. */
static void drop(int size) {
  while (kept[size]) {
    fc_block *block = kept[size];
    kept[size] = block->next;
    kept_bytes -= block->bytes;
    free(block);
  }
}

void fc_memory_release(void *memory) {
  if (!memory) return;
  fc_block *block = (fc_block *)((char *)memory - LINE);
  if (block->size >= 0) {
    for (int size = 0; size < SIZES && kept_bytes + block->bytes > KEPT_BYTES; size++)
      if (last_taken[size] + LONG_TIME < taken) drop(size);
    if (kept_bytes + block->bytes <= KEPT_BYTES) {
      block->next = kept[block->size];
      kept[block->size] = block;
      kept_bytes += block->bytes;
      return;
    }
  }
  free(block);
}

void fc_memory_trim(void) {
  for (int size = 0; size < SIZES; size++) drop(size);
}
