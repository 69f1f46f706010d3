/* Gradients of pooling. A piece owns bands of rows of the input and adds to them what the windows over them bring, in
 * the order of the windows, so that no two pieces write to one place and sums have one order. */
#include "pool2x2.c"

typedef struct {
  const fc_window *window;
  fc_image grad, grad_x;
  const uint8_t *winners; /* NULL for an average */
  int planes, count_include_pad;
  ptrdiff_t divisor;               /* of an average; 0: the number of taps that count */
  ptrdiff_t rows, bands, together; /* of a band, of an image, of a piece */
  ptrdiff_t offset[256];           /* from a window's first tap to the others, where one plane numbers them */
} pool_grad_job;

/* One window's taps that lie in the band, and what it brings. */
typedef struct {
  const real *grad;
  const uint8_t *winners;
  real *x; /* where the first of all its taps is or would be */
  ptrdiff_t ky0, ky1, kx0, kx1;
  real share; /* of a tap in an average */
} pool_grad_window;

/* A whole vector of channels. */
FC_INLINE void pool_spread(const pool_grad_job *job, const pool_grad_window *at, ptrdiff_t c, int planes) {
  const fc_window *w = job->window;
  const ptrdiff_t plane = pool_outputs(w), down = w->dilation_y * job->grad_x.row;
  const ptrdiff_t right = w->dilation_x * job->grad_x.pixel;
  const vec given = planes ? v_load(at->grad + c) : v_mul(v_load(at->grad + c), v_set1(at->share));
  bytes winner[sizeof(ptrdiff_t)];
  for (int p = 0; p < planes; p++) winner[p] = b_load_n(at->winners + p * plane + c, VL);
  for (ptrdiff_t ky = at->ky0; ky < at->ky1; ky++) {
    real *x = at->x + ky * down + at->kx0 * right + c;
    for (ptrdiff_t kx = at->kx0; kx < at->kx1; kx++, x += right) {
      const ptrdiff_t tap = ky * w->kw + kx;
      vec part = given;
      if (planes) {
        mask won = b_eq(winner[0], b_set1((uint8_t)tap));
        for (int p = 1; p < planes; p++) won = m_and(won, b_eq(winner[p], b_set1((uint8_t)(tap >> 8 * p))));
        part = v_select(won, given, v_zero());
      }
      v_store(x, v_add(v_load(x), part));
    }
  }
}

/* The last n < VL channels, one by one: a masked vector would wait for the store to the pixel before. */
FC_INLINE void pool_spread_rest(const pool_grad_job *job, const pool_grad_window *at, ptrdiff_t c, ptrdiff_t n,
                                int planes) {
  const fc_window *w = job->window;
  const ptrdiff_t down = w->dilation_y * job->grad_x.row, right = w->dilation_x * job->grad_x.pixel;
  real *x = at->x + c;
  if (planes == 0) {
    real part[VL]; /* rounded by a vector, as in the other channels: a scalar product could be fused with the sum */
    v_store(part, v_mul(v_load_n(at->grad + c, n), v_set1(at->share)));
    for (ptrdiff_t ky = at->ky0; ky < at->ky1; ky++)
      for (ptrdiff_t kx = at->kx0; kx < at->kx1; kx++)
        for (ptrdiff_t i = 0; i < n; i++) x[ky * down + kx * right + i] += part[i];
    return;
  }
  for (ptrdiff_t i = 0; i < n; i++) {
    ptrdiff_t winner = at->winners[c + i];
    for (int p = 1; p < planes; p++) winner |= (ptrdiff_t)at->winners[p * pool_outputs(w) + c + i] << 8 * p;
    if (winner < at->ky0 * w->kw || winner >= at->ky1 * w->kw) continue; /* in another band */
    x[i + (planes == 1 ? job->offset[winner] : winner / w->kw * down + winner % w->kw * right)] += at->grad[c + i];
  }
}

/* Rows [begin, end) of an image. */
FC_INLINE void pool_grad_band(const pool_grad_job *job, ptrdiff_t image, ptrdiff_t begin, ptrdiff_t end, int planes) {
  const fc_window *w = job->window;
  const ptrdiff_t channels = w->channels, reach = (w->kh - 1) * w->dilation_y;
  real *grad_x = (real *)job->grad_x.data + image * job->grad_x.image;
  for (ptrdiff_t y = begin; y < end; y++) pool_zero(grad_x + y * job->grad_x.row, w->w, job->grad_x.pixel, channels);
  const ptrdiff_t first = ceil_div(max_size(begin + w->pad_y - reach, 0), w->stride_y);
  const ptrdiff_t last = min_size(w->out_h - 1, (end - 1 + w->pad_y) / w->stride_y);
  for (ptrdiff_t y = first; y <= last; y++) {
    const ptrdiff_t top = y * w->stride_y - w->pad_y;
    const ptrdiff_t high = pool_extent(y, w->stride_y, w->pad_y, w->kh, w->h, job->count_include_pad);
    pool_grad_window at = {.grad = (const real *)job->grad.data + image * job->grad.image + y * job->grad.row,
                           .winners = planes ? job->winners + (image * w->out_h + y) * w->out_w * channels : NULL,
                           .share = job->divisor ? 1 / (real)job->divisor : 0};
    pool_inside(top - begin, w->kh, w->dilation_y, end - begin, &at.ky0, &at.ky1);
    for (ptrdiff_t i = 0; i < w->out_w; i++, at.grad += job->grad.pixel, at.winners += planes ? channels : 0) {
      const ptrdiff_t left = i * w->stride_x - w->pad_x;
      pool_inside(left, w->kw, w->dilation_x, w->w, &at.kx0, &at.kx1);
      if (at.kx0 >= at.kx1) continue;
      at.x = grad_x + top * job->grad_x.row + left * job->grad_x.pixel;
      if (planes == 0 && job->divisor == 0)
        at.share = 1 / (real)(high * pool_extent(i, w->stride_x, w->pad_x, w->kw, w->w, job->count_include_pad));
      ptrdiff_t c = 0;
      for (; c + VL <= channels; c += VL) pool_spread(job, &at, c, planes);
      if (c < channels) pool_spread_rest(job, &at, c, channels - c, planes);
    }
  }
}

static void pool_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const pool_grad_job *job = context;
  const fc_window *w = job->window;
  const ptrdiff_t last = min_size((piece + 1) * job->together, w->batch * job->bands);
  for (ptrdiff_t band = piece * job->together; band < last; band++) {
    const ptrdiff_t image = band / job->bands, begin = band % job->bands * job->rows;
    const ptrdiff_t end = min_size(begin + job->rows, w->h);
    if (!job->winners)
      pool_grad_band(job, image, begin, end, 0);
    else if (job->planes == 1)
      pool_grad_band(job, image, begin, end, 1);
    else
      pool_grad_band(job, image, begin, end, job->planes);
  }
}

static int pool_grad_run(pool_grad_job *job) {
  const fc_window *w = job->window;
  const double taps = (double)w->out_h * (double)w->out_w * (double)w->kh * (double)w->kw;
  const double work = (double)w->channels * ((double)w->w * (double)w->h + taps); /* of an image */
  const double least = 4 * POOL_PIECE; /* windows across the edge of a band are looked at twice */
  job->bands = work > least ? (ptrdiff_t)(work / least < (double)w->h ? work / least : (double)w->h) : 1;
  job->rows = ceil_div(w->h, job->bands);
  job->bands = ceil_div(w->h, job->rows);
  job->together = work < least ? (ptrdiff_t)(least / work) : 1;
  for (ptrdiff_t tap = 0; tap < w->kh * w->kw && job->planes == 1; tap++)
    job->offset[tap] = tap / w->kw * w->dilation_y * job->grad_x.row + tap % w->kw * w->dilation_x * job->grad_x.pixel;
  return fc_parallel(ceil_div(w->batch * job->bands, job->together), work * (double)w->batch, pool_grad_piece, job);
}

static int kernel_max_pool2d_grad(const fc_window *window, fc_image grad, const uint8_t *winners, fc_image grad_x) {
  if (pool_is_2x2(window)) return pool2x2_grad(window, grad, winners, grad_x, 1);
  pool_grad_job job = {
      .window = window, .grad = grad, .grad_x = grad_x, .winners = winners, .planes = fc_pool_planes(window)};
  return pool_grad_run(&job);
}

static int kernel_avg_pool2d_grad(const fc_window *window, fc_image grad, fc_image grad_x, int count_include_pad,
                                  ptrdiff_t divisor) {
  if (pool_is_2x2(window)) return pool2x2_grad(window, grad, NULL, grad_x, divisor ? divisor : 4);
  pool_grad_job job = {
      .window = window, .grad = grad, .grad_x = grad_x, .count_include_pad = count_include_pad, .divisor = divisor};
  return pool_grad_run(&job);
}
