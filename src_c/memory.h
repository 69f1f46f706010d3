/* Memory of arrays: aligned to cache lines, and kept for the next array when it is given back. */
#ifndef FC_MEMORY_H
#define FC_MEMORY_H

#include <stddef.h>

/* At least `bytes` bytes aligned to 64, contents undefined; NULL if there is not so much. Call all three
 * with the GIL held. */
void *fc_memory_acquire(size_t bytes);
void fc_memory_release(void *memory);

/* Gives everything kept back to the system. */
void fc_memory_trim(void);

#endif
