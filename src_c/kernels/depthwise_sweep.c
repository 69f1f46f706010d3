/* Depthwise convolution with 3x3 and 5x5 taps, column by column.
 *
 * A vector of channels passes over a few rows of outputs. A column of their inputs is loaded once and added, under its
 * taps, to all outputs that see it; these wait in registers until their last column has passed. What is loaded once
 * need not stay in the first-level cache, where 30 pixels of 1024 channels would have to share a set of 12 lines. Taps
 * outside the image are left out. */

enum {
  SWEEP_ROWS = FC_MR < 8 ? 2 : 4, /* of outputs: with 3x3 taps their sums and the weights fit the registers, */
  SWEEP_ROWS_5 = 2,               /* with 5x5 the sums */
  SWEEP_TAPS = 5,
  SWEEP_INPUTS = (SWEEP_ROWS - 1) * 2 + SWEEP_TAPS, /* rows */
  SWEEP_COLUMNS = 64,       /* outputs of a row at a time: the inputs of the next channels are on their way meanwhile */
  SWEEP_PRODUCTS = 1 << 16, /* multiply-adds of a piece, a few us, */
  SWEEP_VECTORS = 4         /* and the fewest vectors of channels */
};

/* Channels from c on of row y of an image, or NULL outside. */
FC_INLINE const real *sweep_row(const fc_image *image, ptrdiff_t number, ptrdiff_t y, ptrdiff_t height, ptrdiff_t c) {
  return y < 0 || y >= height ? NULL : (const real *)image->data + number * image->image + y * image->row + c;
}

/* Into so many parts the channels of each of `bands` are cut, for `work` multiply-adds in all. */
static ptrdiff_t sweep_chunks(double work, ptrdiff_t bands, ptrdiff_t channels) {
  const ptrdiff_t pieces = min_size((ptrdiff_t)(work / SWEEP_PRODUCTS), MOST_PIECES);
  return max_size(1, min_size(ceil_div(pieces, max_size(1, bands)), channels / (SWEEP_VECTORS * VL)));
}

/* Outputs y .. y + rows of the columns first .. last, for channels c .. c + n. */
FC_INLINE void sweep_columns(const int taps, const int stride, const int rows, const fc_product *p, ptrdiff_t image,
                             ptrdiff_t y, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c, ptrdiff_t n) {
  const int inputs = (rows - 1) * stride + taps, open = (taps + stride - 1) / stride; /* columns of unfinished sums */
  const ptrdiff_t channels = p->groups;
  const real *row[SWEEP_INPUTS];
  vec weight[SWEEP_TAPS * SWEEP_TAPS], sum[SWEEP_ROWS][SWEEP_TAPS];
  FC_UNROLL(16)
  for (int i = 0; i < inputs; i++)
    row[i] = sweep_row(&p->in, image, pixel_at(y * stride + p->first_y + i, p->in_h, p->padding), p->in_h, c);
  FC_UNROLL(25)
  for (int i = 0; i < taps * taps; i++) weight[i] = v_load_n(p->packed + i * channels + c, n);
  const vec start = p->bias ? v_load_n(p->bias + c, n) : v_zero();
  FC_UNROLL(4)
  for (int r = 0; r < rows; r++) FC_UNROLL(5)
  for (int i = 0; i < open; i++) sum[r][i] = start;

  real *out = (real *)p->out.data + image * p->out.image + y * p->out.row + c;
  const int plain = !p->add && !p->clamp;
  for (ptrdiff_t x = first; x < last + open - 1; x++) {
    FC_UNROLL(2)
    for (int t = 0; t < stride; t++) {
      const ptrdiff_t at = pixel_at(x * stride + p->first_x + t, p->in_w, p->padding);
      if (at < 0) continue;
      FC_UNROLL(16)
      for (int i = 0; i < inputs; i++) {
        if (!row[i]) continue;
        const real *from = row[i] + at * p->in.pixel;
        const vec value = v_load_n(from, n);
        __builtin_prefetch(from + VL);
        FC_UNROLL(4)
        for (int r = 0; r < rows; r++) {
          const int tap = i - r * stride;
          if (tap < 0 || tap >= taps) continue;
          FC_UNROLL(5)
          for (int k = 0; k < open; k++) /* the output k columns back */
            if (t + k * stride < taps) sum[r][k] = v_fma(value, weight[tap * taps + t + k * stride], sum[r][k]);
        }
      }
    }
    const ptrdiff_t done = x - (open - 1);
    FC_UNROLL(4)
    for (int r = 0; r < rows; r++) {
      if (done >= first) {
        real *to = out + r * p->out.row + done * p->out.pixel;
        vec value = sum[r][open - 1];
        if (!plain) {
          if (p->add) value = v_add(value, v_load_n(added(p->add, &p->out, to), n));
          if (p->clamp) value = v_min(v_set1(p->high), v_max(v_set1(p->low), value));
        }
        v_store_n(to, value, n);
      }
      FC_UNROLL(5)
      for (int k = open - 1; k > 0; k--) sum[r][k] = sum[r][k - 1];
      sum[r][0] = start;
    }
  }
}

typedef void (*fc_sweep)(const fc_product *, ptrdiff_t image, ptrdiff_t y, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c,
                         ptrdiff_t n);

/* Whole vectors; those that are not go row by row. */
#define FC_SWEEP(taps, stride, rows)                                                                                  \
  static __attribute__((noinline)) void sweep_##taps##_##stride##_##rows(                                             \
      const fc_product *p, ptrdiff_t image, ptrdiff_t y, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c, ptrdiff_t n) { \
    if (VL == 1 || n == VL)                                                                                           \
      sweep_columns(taps, stride, rows, p, image, y, first, last, c, VL);                                             \
    else                                                                                                              \
      for (int r = 0; r < rows; r++) sweep_columns(taps, stride, 1, p, image, y + r, first, last, c, n);              \
  }
#define FC_SWEEPS_2(X, taps, stride) X(taps, stride, 1) X(taps, stride, 2)
#if FC_MR < 8
#define FC_SWEEPS_4 FC_SWEEPS_2
#else
#define FC_SWEEPS_4(X, taps, stride) FC_SWEEPS_2(X, taps, stride) X(taps, stride, 3) X(taps, stride, 4)
#endif
#define FC_SWEEPS(X) FC_SWEEPS_4(X, 3, 1) FC_SWEEPS_4(X, 3, 2) FC_SWEEPS_2(X, 5, 1) FC_SWEEPS_2(X, 5, 2)
#define FC_SWEEP_NAME(taps, stride, rows) [taps / 2 - 1][stride - 1][rows - 1] = sweep_##taps##_##stride##_##rows,
FC_SWEEPS(FC_SWEEP)
static const fc_sweep sweeps[2][2][SWEEP_ROWS] = {FC_SWEEPS(FC_SWEEP_NAME)};

static int can_sweep(const fc_product *p) {
  return p->in_channels == 1 && p->out_channels == 1 && p->taps_y == p->taps_x && (p->taps_y == 3 || p->taps_y == 5) &&
         p->step_y == 1 && p->step_x == 1 && p->stride_y == p->stride_x && p->stride_y <= 2;
}

static void sweep_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_product *p = context;
  const ptrdiff_t chunk = piece % p->chunks, band = piece / p->chunks % p->bands_y;
  const ptrdiff_t image = piece / p->chunks / p->bands_y, channels = p->groups, vectors = ceil_div(channels, VL);
  const ptrdiff_t y = p->out_h * band / p->bands_y, rows = p->out_h * (band + 1) / p->bands_y - y;
  const ptrdiff_t begin = vectors * chunk / p->chunks * VL,
                  end = min_size(channels, vectors * (chunk + 1) / p->chunks * VL);
  const fc_sweep run = sweeps[p->taps_y / 2 - 1][p->stride_y - 1][rows - 1];
  for (ptrdiff_t i = 0; i < p->bands_x && !fc_stopping(); i++)
    for (ptrdiff_t c = begin; c < end; c += VL)
      run(p, image, y, p->out_w * i / p->bands_x, p->out_w * (i + 1) / p->bands_x, c, min_size(VL, channels - c));
}

static int run_sweep(fc_product *p) {
  const double work = (double)p->batch * p->groups * p->out_h * p->out_w * (double)(p->taps_y * p->taps_x);
  p->bands_y = ceil_div(p->out_h, p->taps_y == 3 ? SWEEP_ROWS : SWEEP_ROWS_5);
  p->bands_x = ceil_div(p->out_w, SWEEP_COLUMNS);
  p->chunks = sweep_chunks(work, p->batch * p->bands_y, p->groups);
  return fc_parallel(p->batch * p->bands_y * p->chunks, work, sweep_piece, p);
}
