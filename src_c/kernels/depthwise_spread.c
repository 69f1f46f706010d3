/* The input's gradient of depthwise 3x3 convolution of stride 2, column by column.
 *
 * Of two rows and columns of inputs one is seen under two taps and the other under one. As phases each of these four
 * kinds would pass over the gradient by itself, and write every other pixel. Here a vector of channels passes once: the
 * gradients of a column and of the one before, of a few rows, give two columns of inputs. */

enum { SPREAD_ROWS = SWEEP_ROWS / 2 }; /* pairs of input rows */

typedef struct {
  const fc_conv2d *conv;
  fc_image grad, grad_x;
  const real *tap[9], *bias, *add;
  ptrdiff_t first_y, first_x, bands_y, bands_x, chunks; /* the first pairs of rows and columns */
  ptrdiff_t pairs_y, pairs_x;
} fc_spread;

/* One vector of channels in some rows of gradients, and the rows of inputs they give. */
typedef struct {
  const real *grad[SPREAD_ROWS + 1]; /* NULL outside */
  real *to[2 * SPREAD_ROWS];
  vec tap[9], start;
} fc_spread_rows;

FC_INLINE int can_spread(const fc_conv2d *c) {
  const fc_window *w = &c->window;
  return c->groups > 1 && c->groups == w->channels && c->groups == c->out_channels && w->kh == 3 && w->kw == 3 &&
         w->stride_y == 2 && w->stride_x == 2 && w->dilation_y == 1 && w->dilation_x == 1 && min_size(w->h, w->w) > 1 &&
         min_size(w->out_h, w->out_w) > 0 && min_size(w->pad_y, w->pad_x) >= 0;
}

/* Adds a column's gradients, those that are there: of row r + 1 under the tap, of row r under that two rows below. */
FC_INLINE vec spread_taps(const int whole, const fc_spread_rows *rows, vec sum, int r, int is_in, const vec *column,
                          int tap) {
  if (!whole && !is_in) return sum;
  if (tap < 3 && (whole || rows->grad[r])) sum = v_fma(column[r], rows->tap[tap + 6], sum);
  if (whole || rows->grad[r + 1]) sum = v_fma(column[r + 1], rows->tap[tap], sum);
  return sum;
}

FC_INLINE void spread_store(const fc_spread *job, real *to, vec value, ptrdiff_t n) {
  if (job->add) value = v_add(value, v_load_n(added(job->add, &job->grad_x, to), n));
  v_store_n(to, value, n);
}

/* Pair `pair` of columns: from the gradients there, `now`, and those one column before. `whole`: all of them exist, and
 * so do both columns and all rows of inputs. */
FC_INLINE void spread_column(const int whole, const int pairs, const fc_spread *job, const fc_spread_rows *rows,
                             ptrdiff_t pair, ptrdiff_t n, const vec *before, const vec *now) {
  const fc_window *w = &job->conv->window;
  const ptrdiff_t x = 2 * pair - w->pad_x, even = x * job->grad_x.pixel, odd = even + job->grad_x.pixel;
  const int is_now = pair < w->out_w, is_before = pair > 0 && pair <= w->out_w, is_even = x >= 0, is_odd = x + 1 < w->w;
  FC_UNROLL(4)
  for (int i = 0; i < 2 * pairs; i++) {
    const int r = i / 2, tap = i % 2 * 3;
    real *to = rows->to[i];
    if (!whole && !to) continue;
    if (whole || is_even) {
      vec sum = spread_taps(whole, rows, rows->start, r, is_before, before, tap + 2);
      spread_store(job, to + even, spread_taps(whole, rows, sum, r, is_now, now, tap), n);
    }
    if (whole || is_odd) spread_store(job, to + odd, spread_taps(whole, rows, rows->start, r, is_now, now, tap + 1), n);
  }
}

/* Some pairs of rows from `pair_y` on, the pairs of columns first .. last, channels c .. c + n. */
FC_INLINE void spread_sweep(const int pairs, const fc_spread *job, ptrdiff_t image, ptrdiff_t pair_y, ptrdiff_t first,
                            ptrdiff_t last, ptrdiff_t c, ptrdiff_t n) {
  const fc_window *w = &job->conv->window;
  fc_spread_rows rows;
  int whole = 1;
  for (int r = 0; r <= pairs; r++) {
    rows.grad[r] = sweep_row(&job->grad, image, pair_y - 1 + r, w->out_h, c);
    whole &= rows.grad[r] != NULL;
  }
  for (int r = 0; r < 2 * pairs; r++) {
    rows.to[r] = (real *)sweep_row(&job->grad_x, image, 2 * pair_y - w->pad_y + r, w->h, c);
    whole &= rows.to[r] != NULL;
  }
  FC_UNROLL(9)
  for (int i = 0; i < 9; i++) rows.tap[i] = v_load_n(job->tap[i] + c, n);
  rows.start = job->bias ? v_load_n(job->bias + c, n) : v_zero();
  vec before[SPREAD_ROWS + 1], now[SPREAD_ROWS + 1];
  FC_UNROLL(4)
  for (int r = 0; r <= pairs; r++)
    before[r] = rows.grad[r] && first > 0 && first <= w->out_w
                    ? v_load_n(rows.grad[r] + (first - 1) * job->grad.pixel, n)
                    : v_zero();
  for (ptrdiff_t pair = first; pair < last; pair++) {
    const ptrdiff_t x = 2 * pair - w->pad_x;
    FC_UNROLL(4)
    for (int r = 0; r <= pairs; r++) {
      now[r] = v_zero();
      if ((!whole && !rows.grad[r]) || pair >= w->out_w) continue;
      now[r] = v_load_n(rows.grad[r] + pair * job->grad.pixel, n);
      __builtin_prefetch(rows.grad[r] + pair * job->grad.pixel + VL);
    }
    if (whole && pair > 0 && pair < w->out_w && x >= 0 && x + 1 < w->w)
      spread_column(1, pairs, job, &rows, pair, n, before, now);
    else
      spread_column(0, pairs, job, &rows, pair, n, before, now);
    FC_UNROLL(4)
    for (int r = 0; r <= pairs; r++) before[r] = now[r];
  }
}

/* A vector that is not whole goes pair by pair. */
#define FC_SPREAD(pairs)                                                                                            \
  static __attribute__((noinline)) void spread_##pairs(const fc_spread *job, ptrdiff_t image, ptrdiff_t pair_y,     \
                                                       ptrdiff_t first, ptrdiff_t last, ptrdiff_t c, ptrdiff_t n) { \
    if (VL == 1 || n == VL)                                                                                         \
      spread_sweep(pairs, job, image, pair_y, first, last, c, VL);                                                  \
    else                                                                                                            \
      for (int i = 0; i < pairs; i++) spread_sweep(1, job, image, pair_y + i, first, last, c, n);                   \
  }
FC_SPREAD(1)
#if FC_MR >= 8
FC_SPREAD(2)
#else
#define spread_2 spread_1 /* never called */
#endif

static void spread_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_spread *job = context;
  const ptrdiff_t chunk = piece % job->chunks, band = piece / job->chunks % job->bands_y;
  const ptrdiff_t image = piece / job->chunks / job->bands_y, channels = job->conv->groups;
  const ptrdiff_t vectors = ceil_div(channels, VL), y = job->pairs_y * band / job->bands_y;
  const ptrdiff_t pairs = job->pairs_y * (band + 1) / job->bands_y - y;
  const ptrdiff_t begin = vectors * chunk / job->chunks * VL;
  const ptrdiff_t end = min_size(channels, vectors * (chunk + 1) / job->chunks * VL);
  for (ptrdiff_t i = 0; i < job->bands_x && !fc_stopping(); i++) {
    const ptrdiff_t first = job->first_x + job->pairs_x * i / job->bands_x;
    const ptrdiff_t last = job->first_x + job->pairs_x * (i + 1) / job->bands_x;
    for (ptrdiff_t c = begin; c < end; c += VL)
      (pairs == 2 ? spread_2 : spread_1)(job, image, job->first_y + y, first, last, c, min_size(VL, channels - c));
  }
}

static int spread_grad_input(const fc_conv2d *c, fc_image grad, const real *packed, const fc_epilogue *epilogue,
                             fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_spread job = {.conv = c, .grad = grad, .grad_x = grad_x, .bias = epilogue->bias, .add = epilogue->add};
  /* The packed weights are those of the phases, the taps of each from the last to the first. */
  for (ptrdiff_t phase = 0; phase < 4; phase++)
    for (ptrdiff_t ky = (phase / 2 + w->pad_y) % 2 ? 1 : 2; ky >= 0; ky -= 2)
      for (ptrdiff_t kx = (phase % 2 + w->pad_x) % 2 ? 1 : 2; kx >= 0; kx -= 2, packed += c->groups)
        job.tap[ky * 3 + kx] = packed;
  job.first_y = w->pad_y / 2, job.pairs_y = (w->h - 1 + w->pad_y) / 2 + 1 - job.first_y;
  job.first_x = w->pad_x / 2, job.pairs_x = (w->w - 1 + w->pad_x) / 2 + 1 - job.first_x;
  job.bands_y = ceil_div(job.pairs_y, SPREAD_ROWS);
  job.bands_x = ceil_div(job.pairs_x, SWEEP_COLUMNS);
  const double work = (double)w->batch * c->groups * w->out_h * w->out_w * 9;
  job.chunks = sweep_chunks(work, w->batch * job.bands_y, c->groups);
  return fc_parallel(w->batch * job.bands_y * job.chunks, work, spread_piece, &job);
}
