/* The micro-kernel every product runs on.
 *
 *     C[m][n] (+)= sum over segments s, k:  A[a_row[m] + segment[s] + k * a_step] * B[s * (length * b_step + b_skip) +
 * k * b_step + n]
 *
 * for one register tile of at most FC_MR rows and FC_NV * VL columns, then the epilogue. A is read by one pointer
 * a row, so a row may be a pixel of an image (k runs over channels, a segment is a tap row) as well as a channel
 * (k runs over pixels, a_step is the pixel's pitch). B is read in whole vectors: packed panels, or a matrix whose
 * rows are at least that wide. */

/* Tiles of rows at equal distances, on both sides, one after the other. */
FC_INLINE void even_body(const int rows, const int vectors, const fc_tile *t, const real *a, real *c, ptrdiff_t tiles) {
  const ptrdiff_t distance = t->a_next, c_step = t->c_step;
  for (; tiles > 0; tiles--) {
    vec sum[FC_MR][FC_NV];
    start_sums(rows, vectors, t, NULL, c, sum);
    if (t->add) FC_UNROLL(16)
    for (int m = 0; m < rows; m++) FC_UNROLL(8)
    for (int v = 0; v < vectors; v++) __builtin_prefetch(t->add + (c - t->c) + m * c_step + v * VL, 0, 3);
    if (t->ahead)
      even_sums(rows, rows, vectors, 1, t, a, NULL, distance, c, c + (rows - 1) * c_step, sum);
    else
      even_sums(rows, rows, vectors, 0, t, a, NULL, distance, c, c + (rows - 1) * c_step, sum);
    store_sums(rows, vectors, t, NULL, c, sum);
    a += rows * distance;
    c += rows * c_step;
  }
}

FC_INLINE void tile_body(const int rows, const int vectors, const fc_tile *t, const ptrdiff_t *a_row,
                         const ptrdiff_t *c_row) {
  vec sum[FC_MR][FC_NV];
  FC_UNROLL(16)
  for (int m = 0; m < rows; m++) FC_UNROLL(8)
  for (int v = 0; v < vectors; v++) {
    __builtin_prefetch(t->c + c_row[m] + v * VL, 1, 3); /* is there for the stores */
    if (t->add) __builtin_prefetch(t->add + c_row[m] + v * VL, 0, 3);
  }
  start_sums(rows, vectors, t, c_row, t->c, sum);
  const real *b = t->b;
  const ptrdiff_t a_step = t->a_step, b_step = t->b_step;
  const int many = rows >= FC_MANY_ROWS && a_step == 1 && t->length >= FC_LONG_SEGMENT;
  const int even = many && rows_even(a_row, rows);
  const int halves = many && !even && rows == FC_MR && rows % 2 == 0 && halves_even(a_row);
  if (even) {
    even_sums(rows, rows, vectors, 0, t, t->a + a_row[0], NULL, a_row[1] - a_row[0], NULL, NULL, sum);
  } else if (halves) {
    even_sums(rows, rows == FC_MR ? rows / 2 : rows, vectors, 0, t, t->a + a_row[0], t->a + a_row[rows / 2],
              a_row[1] - a_row[0], NULL, NULL, sum);
  } else {
    const real *a[FC_MR];
    FC_UNROLL(16)
    for (int m = 0; m < rows; m++) a[m] = t->a + a_row[m];
    for (ptrdiff_t s = 0; s < t->segments; s++) {
      ptrdiff_t i = t->segment[s];
      for (ptrdiff_t k = t->length; k > 0; k--) {
        vec weight[FC_NV];
        FC_UNROLL(8)
        for (int v = 0; v < vectors; v++) weight[v] = v_load(b + v * VL);
        FC_UNROLL(16)
        for (int m = 0; m < rows; m++) {
          const vec value = v_set1(a[m][i]);
          FC_UNROLL(8)
          for (int v = 0; v < vectors; v++) sum[m][v] = v_fma(value, weight[v], sum[m][v]);
        }
        i += a_step;
        b += b_step;
      }
      b += t->b_skip;
    }
  }
  store_sums(rows, vectors, t, c_row, t->c, sum);
}

typedef void (*fc_tile_function)(const fc_tile *, const ptrdiff_t *a_row, const ptrdiff_t *c_row);

#define FC_TILE(rows, vectors)                                                                            \
  static __attribute__((noinline)) void tile_##rows##x##vectors(const fc_tile *t, const ptrdiff_t *a_row, \
                                                                const ptrdiff_t *c_row) {                 \
    tile_body(rows, vectors, t, a_row, c_row);                                                            \
  }
#define FC_TILE_NAME(rows, vectors) [vectors - 1][rows] = tile_##rows##x##vectors,
#define FC_ROWS_4(X, v) X(1, v) X(2, v) X(3, v) X(4, v)
#define FC_ROWS_6(X, v) FC_ROWS_4(X, v) X(5, v) X(6, v)
#define FC_ROWS_8(X, v) FC_ROWS_6(X, v) X(7, v) X(8, v)
#define FC_ROWS_10(X, v) FC_ROWS_8(X, v) X(9, v) X(10, v)
#define FC_ROWS_12(X, v) FC_ROWS_10(X, v) X(11, v) X(12, v)
#define FC_ROWS_14(X, v) FC_ROWS_12(X, v) X(13, v) X(14, v)
#define FC_ROWS_16(X, v) FC_ROWS_14(X, v) X(15, v) X(16, v)
#define FC_ROWS_28(X, v) \
  FC_ROWS_16(X, v)       \
  X(17, v) X(18, v) X(19, v) X(20, v) X(21, v) X(22, v) X(23, v) X(24, v) X(25, v) X(26, v) X(27, v) X(28, v)
#define FC_CAT_(a, b) a##b
#define FC_CAT(a, b) FC_CAT_(a, b)
#define FC_ROWS FC_CAT(FC_ROWS_, FC_MR)
#if FC_NV == 2
#define FC_MORE(X) FC_ROWS(X, 2)
#else
#define FC_MORE(X) FC_ROWS(X, 2) FC_ROWS(X, 3) FC_ROWS(X, 4) FC_ROWS(X, 5) FC_ROWS(X, 6) FC_ROWS(X, 7) FC_ROWS(X, 8)
#endif

FC_ROWS(FC_TILE, 1)
FC_MORE(FC_TILE)
static const fc_tile_function tile_functions[FC_NV][FC_MR + 1] = {FC_ROWS(FC_TILE_NAME, 1) FC_MORE(FC_TILE_NAME)};

typedef void (*fc_even_function)(const fc_tile *, const real *a, real *c, ptrdiff_t tiles);

#define FC_EVEN(rows, vectors)                                                                            \
  static __attribute__((noinline)) void even_##rows##x##vectors(const fc_tile *t, const real *a, real *c, \
                                                                ptrdiff_t tiles) {                        \
    even_body(rows, vectors, t, a, c, tiles);                                                             \
  }
#define FC_EVEN_NAME(rows, vectors) [vectors - 1][rows] = even_##rows##x##vectors,

FC_ROWS(FC_EVEN, 1)
FC_MORE(FC_EVEN)
static const fc_even_function even_functions[FC_NV][FC_MR + 1] = {FC_ROWS(FC_EVEN_NAME, 1) FC_MORE(FC_EVEN_NAME)};

/* The height of tiles. Rows a multiple of 4 KB apart share the few places that a first-level cache has for their lines
 * (8 or 12): a whole tile's would drive each other out before they are used up. */
static ptrdiff_t tile_rows(ptrdiff_t rows, ptrdiff_t distance) {
  enum { PLACES = 8, SETS = 4096 / sizeof(real) };
  return FC_MR > PLACES && rows > PLACES && distance % SETS == 0 ? FC_MR / 2 : FC_MR;
}

#if FC_MR >= 14

#define FC_EDGE(rows, run)                                                                            \
  static __attribute__((noinline)) void edge_##rows##_##run(const fc_tile *t, const ptrdiff_t *a_row, \
                                                            const ptrdiff_t *c_row) {                 \
    edge_body(rows, run, t, a_row, c_row);                                                            \
  }
FC_EDGE(7, 7)
FC_EDGE(14, 7)
FC_EDGE(8, 8)
FC_EDGE(14, 14)

/* Whether edge tiles serve image rows of so many pixels. */
static int has_edges(ptrdiff_t pixels) { return pixels == 7 || pixels == 8 || pixels == 14; }

static void run_edges(const fc_tile *t, ptrdiff_t lines, ptrdiff_t pixels, const ptrdiff_t *a_row,
                      const ptrdiff_t *c_row) {
  const int two = pixels == 7 && tile_rows(FC_MR, a_row[1] - a_row[0]) == FC_MR;
  for (; two && lines > 1; lines -= 2, a_row += 14, c_row += 14) edge_14_7(t, a_row, c_row);
  const fc_tile_function function = pixels == 7 ? edge_7_7 : pixels == 8 ? edge_8_8 : edge_14_14;
  for (; lines > 0; lines--, a_row += pixels, c_row += pixels) function(t, a_row, c_row);
}

#else

static int has_edges(ptrdiff_t pixels) {
  (void)pixels;
  return 0;
}

static void run_edges(const fc_tile *t, ptrdiff_t lines, ptrdiff_t pixels, const ptrdiff_t *a_row,
                      const ptrdiff_t *c_row) {
  (void)t, (void)lines, (void)pixels, (void)a_row, (void)c_row;
}

#endif

/* All rows against one panel of `t->columns` columns: tiles of nearly equal height. */
static void run_tiles(const fc_tile *t, ptrdiff_t rows, const ptrdiff_t *a_row, const ptrdiff_t *c_row) {
  if (rows == 0) return;
  const ptrdiff_t most = t->a_step == 1 && rows > 1 ? tile_rows(rows, a_row[1] - a_row[0]) : FC_MR,
                  tiles = ceil_div(rows, most), height = rows / tiles, taller = rows % tiles;
  const fc_tile_function *functions = tile_functions[(t->columns - 1) / VL];
  for (ptrdiff_t tile = 0, m = 0; tile < tiles; tile++) {
    const ptrdiff_t here = height + (tile < taller);
    functions[here](t, a_row + m, c_row + m);
    m += here;
  }
}

/* The same for rows t->a_next apart in A, the first at `a_row`, and t->c_step in C, at `c_row`. */
static void run_tiles_even(const fc_tile *t, ptrdiff_t a_row, ptrdiff_t c_row, ptrdiff_t rows) {
  if (rows == 0) return;
  const ptrdiff_t most = tile_rows(rows, t->a_next), tiles = ceil_div(rows, most), height = rows / tiles,
                  taller = rows % tiles;
  const fc_even_function *functions = even_functions[(t->columns - 1) / VL];
  const ptrdiff_t done = taller * (height + 1);
  if (taller) functions[height + 1](t, t->a + a_row, t->c + c_row, taller);
  functions[height](t, t->a + a_row + done * t->a_next, t->c + c_row + done * t->c_step, tiles - taller);
}

#if FC_MR_BESIDE

/* The sums alone, for rows that lie side by side in A: row m is at a[m], and its result at c[m * c_step]. One pointer
 * serves all rows, where tile_body has to fetch most of its pointers from memory. */
FC_INLINE void beside_body(const int rows, const int vectors, const fc_tile *t, const real *a, real *c,
                           const real *next, ptrdiff_t step) {
  vec sum[FC_MR_BESIDE][FC_NV];
  const ptrdiff_t tail = t->columns - (vectors - 1) * VL;
  FC_UNROLL(32)
  for (int m = 0; m < rows; m++) FC_UNROLL(8)
  for (int v = 0; v < vectors; v++) sum[m][v] = v_zero();
  const real *b = t->b;
  const ptrdiff_t a_step = t->a_step, b_step = t->b_step;
  for (ptrdiff_t s = 0; s < t->segments; s++) {
    const real *from = a + t->segment[s];
    for (ptrdiff_t k = t->length; k > 0; k--) {
      vec weight[FC_NV];
      FC_UNROLL(8)
      for (int v = 0; v < vectors; v++) weight[v] = v_load(b + v * VL);
      FC_UNROLL(32)
      for (int m = 0; m < rows; m++) {
        const vec value = v_set1(from[m]);
        FC_UNROLL(8)
        for (int v = 0; v < vectors; v++) sum[m][v] = v_fma(value, weight[v], sum[m][v]);
      }
      from += a_step;
      b += b_step;
      __builtin_prefetch(next, 0, 2);
      next += step;
    }
    b += t->b_skip;
  }
  FC_UNROLL(32)
  for (int m = 0; m < rows; m++, c += t->c_step) FC_UNROLL(8)
  for (int v = 0; v < vectors; v++) {
    const ptrdiff_t n = v + 1 < vectors ? VL : tail;
    v_store_n(c + v * VL, t->accumulate ? v_add(sum[m][v], v_load_n(c + v * VL, n)) : sum[m][v], n);
  }
}

typedef void (*fc_beside_function)(const fc_tile *, const real *a, real *c, const real *next, ptrdiff_t step);

#define FC_BESIDE(rows, vectors)                                                                            \
  static __attribute__((noinline)) void beside_##rows##x##vectors(const fc_tile *t, const real *a, real *c, \
                                                                  const real *next, ptrdiff_t step) {       \
    beside_body(rows, vectors, t, a, c, next, step);                                                        \
  }
#define FC_BESIDE_NAME(rows, vectors) [vectors - 1][rows] = beside_##rows##x##vectors,
#define FC_ROWS_BESIDE FC_CAT(FC_ROWS_, FC_MR_BESIDE)

FC_ROWS_BESIDE(FC_BESIDE, 1)
FC_MORE(FC_BESIDE)
static const fc_beside_function beside_functions[FC_NV][FC_MR_BESIDE + 1] = {FC_ROWS_BESIDE(FC_BESIDE_NAME, 1)
                                                                                 FC_MORE(FC_BESIDE_NAME)};

/* All rows that lie side by side in A, from t->a on, their results t->c_step apart. */
static void run_tiles_beside(const fc_tile *t, ptrdiff_t rows) {
  if (rows == 0) return;
  const ptrdiff_t vectors = (t->columns - 1) / VL + 1, most = vectors == 1 ? FC_MR_BESIDE : FC_MR;
  const ptrdiff_t tiles = ceil_div(rows, most), height = rows / tiles, taller = rows % tiles;
  const fc_beside_function *functions = beside_functions[vectors - 1];
  const fc_ahead *ahead = t->ahead;
  for (ptrdiff_t tile = 0, m = 0, column = 0; tile < tiles; tile++, column++) {
    const ptrdiff_t here = height + (tile < taller);
    if (ahead && column == ahead->tiles) ahead++, column = 0;
    if (ahead && ahead->tiles == 0) ahead = NULL;
    const real *a = t->a + m;
    functions[here](t, a, t->c + m * t->c_step, ahead ? ahead->at + column * LINE : a, ahead ? ahead->step : 0);
    m += here;
  }
}

#else /* by pointers as well: GCC 12 makes plain C's vectors of such rows itself, and reads beyond the last */

static void run_tiles_beside(const fc_tile *t, ptrdiff_t rows) {
  ptrdiff_t a_row[FC_MR], c_row[FC_MR];
  fc_tile by_rows = *t;
  by_rows.add = t->accumulate ? t->c : NULL;
  for (ptrdiff_t m = 0; m < rows; m += FC_MR) {
    for (ptrdiff_t i = 0; i < FC_MR; i++) a_row[i] = m + i, c_row[i] = (m + i) * t->c_step;
    run_tiles(&by_rows, min_size(FC_MR, rows - m), a_row, c_row);
  }
}

#endif

/* Width in memory of the panel that begins at `column` of `columns`: whole vectors. */
FC_INLINE ptrdiff_t panel_width(ptrdiff_t columns, ptrdiff_t column) {
  return min_size(FC_PANEL, ceil_div(columns - column, VL) * VL);
}

/* The most floating-point operations this processor can do: FMAs on independent accumulators, nothing else. The
 * accumulators grow by a constant each round, so that the compiler cannot leave the loop out. */
static int kernel_fma_peak(ptrdiff_t rounds, double *operations) {
  enum { CHAINS = FC_MR * FC_NV < 14 ? FC_MR * FC_NV : 14 };
  vec sum[CHAINS];
  const volatile real seed = 1;
  const vec factor = v_set1(seed), step = v_set1(seed / 1024);
  FC_UNROLL(16)
  for (int i = 0; i < CHAINS; i++) sum[i] = v_set1((real)i);
  for (ptrdiff_t round = 0; round < rounds; round++) {
    FC_UNROLL(16)
    for (int i = 0; i < CHAINS; i++) sum[i] = v_fma(sum[i], factor, step);
  }
  real total = 0;
  for (int i = 0; i < CHAINS; i++) total += v_sum(sum[i]);
  *operations = total == 0 ? 0 : 2.0 * CHAINS * VL * (double)rounds;
  return FC_OK;
}
