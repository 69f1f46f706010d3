/* Dropout. Draws are hashes (SplitMix64) of a key and a count, 32 bits each, so that they depend on nothing else: no
 * mask is kept for the gradient, and no thread waits for another. */
enum { DROPOUT_BLOCK = 512, DROPOUT_PIECE = 1 << 14 }; /* elements */

typedef struct {
  const real *x;
  real *out;
  ptrdiff_t rows, n, pieces; /* pieces of a matrix */
  fc_dropout options;
} dropout_job;

/* Draws number `first` and following; returns where they begin in `draws`. */
FC_INLINE const uint32_t *dropout_draws(uint64_t key, ptrdiff_t first, ptrdiff_t n, uint32_t *draws) {
  const uint64_t start = (uint64_t)first >> 1, count = ((uint64_t)(first + n - 1) >> 1) - start + 1;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t z = key + 0x9E3779B97F4A7C15u * (start + i + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    memcpy(draws + 2 * i, &z, sizeof z); /* the low half first: all machines served are little-endian */
  }
  return draws + (first & 1);
}

static void dropout_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const dropout_job *job = context;
  const ptrdiff_t matrix = piece / job->pieces, begin = piece % job->pieces * DROPOUT_PIECE;
  const ptrdiff_t end = job->n - begin < DROPOUT_PIECE ? job->n : begin + DROPOUT_PIECE;
  const real scale = (real)job->options.scale, shift = (real)job->options.shift, dropped = (real)job->options.dropped;
  const uint32_t threshold = job->options.threshold;
  uint32_t draws[DROPOUT_BLOCK + 2];
  for (ptrdiff_t i = begin; i < end && !fc_stopping(); i += DROPOUT_BLOCK) {
    const ptrdiff_t n = end - i < DROPOUT_BLOCK ? end - i : DROPOUT_BLOCK;
    const uint32_t *draw = dropout_draws(job->options.key, matrix * job->n + i, n, draws);
    for (ptrdiff_t row = 0; row < job->rows; row++) {
      const ptrdiff_t offset = (matrix * job->rows + row) * job->n + i;
      const real *x = job->x + offset;
      real *out = job->out + offset;
      for (ptrdiff_t k = 0; k < n; k++) {
        const real kept = x[k] * scale + shift;
        out[k] = draw[k] >= threshold ? kept : dropped;
      }
    }
  }
}

static int kernel_dropout(const void *x, void *out, ptrdiff_t matrices, ptrdiff_t rows, ptrdiff_t n,
                          const fc_dropout *options) {
  dropout_job job = {
      .x = x, .out = out, .rows = rows, .n = n, .pieces = (n + DROPOUT_PIECE - 1) / DROPOUT_PIECE, .options = *options};
  return fc_parallel(matrices * job.pieces, 4 * (double)matrices * (double)rows * (double)n, dropout_piece, &job);
}
