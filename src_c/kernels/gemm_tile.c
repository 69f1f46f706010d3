/* What a tile of the micro-kernel does: where its sums begin, the products of rows at equal distances, the epilogue. */

FC_INLINE ptrdiff_t min_size(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
FC_INLINE ptrdiff_t max_size(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
FC_INLINE ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

enum { FC_PANEL = FC_NV * VL }; /* columns of a full panel */

/* Memory that is needed soon: with every product a line of it is fetched, the next one `step` elements further. For
 * rows side by side it is a list, ended by one without tiles: each of so many tiles fetches a line of one pixel after
 * the other, the next tile those pixels' next lines. */
typedef struct {
  const real *at;
  ptrdiff_t step; /* for rows at equal distances 0: the rows after the tile, wherever those are */
  ptrdiff_t tiles;
} fc_ahead;

typedef struct {
  const real *a;
  const ptrdiff_t *segment;
  ptrdiff_t segments, length, a_step;
  const real *b;
  ptrdiff_t b_step, b_skip; /* from one product to the next, and what is left out between two segments */
  real *c;
  ptrdiff_t a_next;  /* from row to row, where rows lie at equal distances in A and in C */
  ptrdiff_t c_step;  /* from row to row, where rows lie side by side in A or at equal distances */
  ptrdiff_t columns; /* columns stored; the tile has one vector if they fit into it */
  const real *bias;  /* one a column, or NULL; the sums start from it */
  const real *add;   /* added to C, laid out as C is, or NULL; for rows side by side `accumulate` */
  int accumulate;    /* for rows side by side: add to what C holds */
  int resume;        /* for other rows: the sums go on from what C holds */
  const char *skips; /* of every segment, for edge tiles: FC_SKIP_FIRST, FC_SKIP_LAST or neither */
  fc_ahead *ahead;   /* what is in no near cache and to be fetched meanwhile, or NULL; not for rows by tables */
  int clamp;
  real low, high;
} fc_tile;

FC_INLINE vec finish(vec value, const fc_tile *t, const real *c, ptrdiff_t n) {
  if (t->add) value = v_add(value, v_load_n(t->add + (c - t->c), n));
  if (t->clamp) value = v_min(v_set1(t->high), v_max(v_set1(t->low), value)); /* a NaN stays */
  return value;
}

/* The results of row m: by the table, or, without one, at equal distances after those of the row before. */
FC_INLINE real *results_of(const fc_tile *t, const ptrdiff_t *c_row, int m, real *before) {
  return c_row ? t->c + c_row[m] : m ? before + t->c_step : before;
}

/* What the sums begin with. The rows are `c`'s, or those of the table. */
FC_INLINE void start_sums(const int rows, const int vectors, const fc_tile *t, const ptrdiff_t *c_row, real *c,
                          vec sum[][FC_NV]) {
  const ptrdiff_t tail = t->columns - (vectors - 1) * VL;
  if (t->resume) {
    FC_UNROLL(16)
    for (int m = 0; m < rows; m++) {
      c = results_of(t, c_row, m, c);
      FC_UNROLL(8)
      for (int v = 0; v < vectors; v++) sum[m][v] = v_load_n(c + v * VL, v + 1 < vectors ? VL : tail);
    }
    return;
  }
  FC_UNROLL(8)
  for (int v = 0; v < vectors; v++) {
    const vec start = t->bias ? v_load_n(t->bias + v * VL, v + 1 < vectors ? VL : tail) : v_zero();
    FC_UNROLL(16)
    for (int m = 0; m < rows; m++) sum[m][v] = start;
  }
}

FC_INLINE void store_sums(const int rows, const int vectors, const fc_tile *t, const ptrdiff_t *c_row, real *c,
                          vec sum[][FC_NV]) {
  const ptrdiff_t tail = t->columns - (vectors - 1) * VL;
  if (!t->add && !t->clamp && tail == VL) {
    FC_UNROLL(16)
    for (int m = 0; m < rows; m++) {
      c = results_of(t, c_row, m, c);
      FC_UNROLL(8)
      for (int v = 0; v < vectors; v++) v_store(c + v * VL, sum[m][v]);
    }
    return;
  }
  FC_UNROLL(16)
  for (int m = 0; m < rows; m++) {
    c = results_of(t, c_row, m, c);
    FC_UNROLL(8)
    for (int v = 0; v < vectors; v++) {
      const ptrdiff_t n = v + 1 < vectors ? VL : tail;
      v_store_n(c + v * VL, finish(sum[m][v], t, c + v * VL, n), n);
    }
  }
}

/* Many rows: some of their pointers would be fetched from memory or other registers for each product. Rows at equal
 * distances, as pixels of one image row are, need a third of the pointers, and two products at a time fewer steps. */
enum {
  FC_MANY_ROWS = 9,
  FC_LONG_SEGMENT = 16,
  WEIGHTS_AHEAD = 32 * FC_PANEL,
  LINE = 64 / sizeof(real) /* elements of a cache line */
};

/* Room for n elements in an odd number of cache lines: rows or planes so far apart spread over a cache's sets. */
FC_INLINE ptrdiff_t odd_lines(ptrdiff_t n) { return (ceil_div(n, LINE) | 1) * LINE; }

static int rows_even(const ptrdiff_t *a_row, int rows) {
  for (int m = 2; m < rows; m++)
    if (a_row[m] - a_row[m - 1] != a_row[1] - a_row[0]) return 0;
  return 1;
}

static int halves_even(const ptrdiff_t *a_row) {
  return rows_even(a_row, FC_MR / 2) && rows_even(a_row + FC_MR / 2, FC_MR / 2) &&
         a_row[1] - a_row[0] == a_row[FC_MR - 1] - a_row[FC_MR - 2];
}

/* Rows at equal distances lie in runs: one of all, or two halves, as two image rows of few pixels do. Three of a run
 * share a pointer: which one row m has, and how far it is from it. */
FC_INLINE int pointer_of(const int m, const int run) { return m / run * ((run + 2) / 3) + m % run / 3; }
FC_INLINE int from_pointer(const int m, const int run) { return m % run % 3; }

/* The pixel of a run that a product leaves out. */
enum { FC_SKIP_NONE, FC_SKIP_FIRST, FC_SKIP_LAST };

FC_INLINE int skipped(const int m, const int run, const int skip) {
  return (skip == FC_SKIP_FIRST && m % run == 0) || (skip == FC_SKIP_LAST && m % run == run - 1);
}

FC_INLINE void even_step(const int rows, const int run, const int vectors, const int skip, const real *const *from,
                         ptrdiff_t distance, ptrdiff_t k, const real *b, vec sum[][FC_NV]) {
  vec weight[FC_NV];
  FC_UNROLL(8)
  for (int v = 0; v < vectors; v++) {
    weight[v] = v_load(b + v * VL);
    if (v * VL % LINE == 0) __builtin_prefetch(b + v * VL + WEIGHTS_AHEAD, 0, 3);
  }
  FC_UNROLL(16)
  for (int m = 0; m < rows; m++) {
    if (skipped(m, run, skip)) continue;
    const vec value = v_set1(from[pointer_of(m, run)][from_pointer(m, run) * distance + k]);
    FC_UNROLL(8)
    for (int v = 0; v < vectors; v++) sum[m][v] = v_fma(value, weight[v], sum[m][v]);
  }
}

/* The sums of rows at equal distances: those of the first run from `first` on, those of a second from `second`. Lines
 * of the results, `line` and its like up to `last`, are fetched meanwhile, unless it is NULL, and what `ahead` says. */
FC_INLINE void even_sums(const int rows, const int run, const int vectors, const int ahead, const fc_tile *t,
                         const real *first, const real *second, ptrdiff_t distance, real *line, const real *last,
                         vec sum[][FC_NV]) {
  const real *b = t->b, *from[FC_MR / 3 + 2], *next = first;
  const ptrdiff_t b_step = t->b_step, c_step = t->c_step;
  ptrdiff_t step = 0;
  if (ahead) {
    next = t->ahead->step ? t->ahead->at : first + t->segment[0] + rows * distance;
    step = t->ahead->step ? t->ahead->step : rows * distance / t->length; /* a line a product, about */
  }
  for (ptrdiff_t s = 0; s < t->segments; s++) {
    FC_UNROLL(16)
    for (int m = 0; m < rows; m++)
      if (from_pointer(m, run) == 0)
        from[pointer_of(m, run)] = (m < run ? first : second) + m % run * distance + t->segment[s];
    ptrdiff_t k = t->length;
    for (; k > 1; k -= 2) {
      if (ahead) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + step, 0, 2);
        next += 2 * step;
      }
      if (line) {
        FC_UNROLL(8)
        for (int v = 0; v < vectors; v++)
          if (v * VL % LINE == 0) __builtin_prefetch(line + v * VL, 1, 3);
        line = line == last ? line : line + c_step;
        FC_UNROLL(8)
        for (int v = 0; v < vectors; v++)
          if (v * VL % LINE == 0) __builtin_prefetch(line + v * VL, 1, 3);
        line = line == last ? line : line + c_step;
      }
      even_step(rows, run, vectors, FC_SKIP_NONE, from, distance, 0, b, sum);
      even_step(rows, run, vectors, FC_SKIP_NONE, from, distance, 1, b + b_step, sum);
      FC_UNROLL(8)
      for (int i = 0; i <= pointer_of(rows - 1, run); i++) from[i] += 2;
      b += 2 * b_step;
    }
    if (k) {
      even_step(rows, run, vectors, FC_SKIP_NONE, from, distance, 0, b, sum);
      b += b_step;
    }
    b += t->b_skip;
  }
  if (ahead) t->ahead->at = next;
}

#if FC_MR >= 14

/* One segment of an edge tile. */
FC_INLINE void edge_segment(const int rows, const int run, const int skip, const fc_tile *t, const real *const *begin,
                            ptrdiff_t distance, const real *b, vec sum[][FC_NV]) {
  const real *from[FC_MR / 3 + 2];
  const ptrdiff_t b_step = t->b_step;
  FC_UNROLL(8)
  for (int i = 0; i <= pointer_of(rows - 1, run); i++) from[i] = begin[i];
  ptrdiff_t k = t->length;
  for (; k > 1; k -= 2) {
    even_step(rows, run, FC_NV, skip, from, distance, 0, b, sum);
    even_step(rows, run, FC_NV, skip, from, distance, 1, b + b_step, sum);
    FC_UNROLL(8)
    for (int i = 0; i <= pointer_of(rows - 1, run); i++) from[i] += 2;
    b += 2 * b_step;
  }
  if (k) even_step(rows, run, FC_NV, skip, from, distance, 0, b, sum);
}

/* Tiles of whole image rows, one or two of `run` pixels, whose segments are taps: where a tap sees the border's zeros
 * with the first or the last pixel, that one is left out. */
FC_INLINE void edge_body(const int rows, const int run, const fc_tile *t, const ptrdiff_t *a_row,
                         const ptrdiff_t *c_row) {
  vec sum[FC_MR][FC_NV];
  const ptrdiff_t distance = a_row[1] - a_row[0];
  const real *b = t->b, *from[FC_MR / 3 + 2];
  start_sums(rows, FC_NV, t, c_row, t->c, sum);
  for (ptrdiff_t s = 0; s < t->segments; s++, b += t->length * t->b_step) {
    FC_UNROLL(16)
    for (int m = 0; m < rows; m++)
      if (from_pointer(m, run) == 0) from[pointer_of(m, run)] = t->a + a_row[m] + t->segment[s];
    if (t->skips[s] == FC_SKIP_FIRST)
      edge_segment(rows, run, FC_SKIP_FIRST, t, from, distance, b, sum);
    else if (t->skips[s] == FC_SKIP_LAST)
      edge_segment(rows, run, FC_SKIP_LAST, t, from, distance, b, sum);
    else
      edge_segment(rows, run, FC_SKIP_NONE, t, from, distance, b, sum);
  }
  store_sums(rows, FC_NV, t, c_row, t->c, sum);
}

#endif
