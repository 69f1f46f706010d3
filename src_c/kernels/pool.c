/* Max and average pooling: every output pixel looks through its window, a vector of channels at a time. */
#include "pool2x2.c"

typedef struct {
  const fc_window *window;
  fc_image x, out;
  uint8_t *winners;
  int planes, relu, count_include_pad;
  ptrdiff_t divisor; /* of an average; 0: the number of taps that count */
  ptrdiff_t pixels;  /* outputs of a piece */
  pool_kind kind;
} pool_job;

/* The taps of one window that lie inside, and where the first of them is. */
typedef struct {
  const real *first;
  ptrdiff_t ky0, ky1, kx0, kx1, kw;
  ptrdiff_t row, pixel; /* steps from tap to tap */
  int relu;
} pool_taps;

/* n channels of one output pixel. The first maximum wins, and a NaN over all before it, as in PyTorch; where nothing
 * is above -infinity the first tap inside does. With padding and dilation no tap may be inside: -infinity. */
FC_INLINE void pool_vector(const pool_taps *taps, ptrdiff_t c, ptrdiff_t n, pool_kind kind, real divisor, real *out,
                           uint8_t *winners, int planes, ptrdiff_t plane) {
  const ptrdiff_t start = taps->ky0 * taps->kw + taps->kx0;
  const ptrdiff_t many = kind == POOL_WINNER ? 1 : kind == POOL_WIDE_WINNER ? planes : 0;
  bytes winner[sizeof(ptrdiff_t)];
  for (ptrdiff_t i = 0; i < many; i++) winner[i] = b_set1((uint8_t)(start >> 8 * i));
  vec value = kind == POOL_AVERAGE ? v_zero() : v_set1(-(real)INFINITY);
  for (ptrdiff_t ky = taps->ky0; ky < taps->ky1; ky++) {
    const real *x = taps->first + (ky - taps->ky0) * taps->row + c;
    for (ptrdiff_t kx = taps->kx0; kx < taps->kx1; kx++, x += taps->pixel) {
      const vec here = v_load_n(x, n);
      if (kind == POOL_AVERAGE) {
        value = v_add(value, here);
      } else {
        const mask better = m_or(v_lt(value, here), v_isnan(here));
        value = v_select(better, here, value);
        for (ptrdiff_t i = 0; i < many; i++)
          winner[i] = b_select(better, b_set1((uint8_t)((ky * taps->kw + kx) >> 8 * i)), winner[i]);
      }
    }
  }
  if (kind == POOL_AVERAGE) value = v_div(value, v_set1(divisor));
  if (kind != POOL_AVERAGE && taps->relu) {
    const mask none = v_le(value, v_zero());
    value = v_select(none, v_zero(), value);
    for (ptrdiff_t i = 0; i < many; i++) winner[i] = b_select(none, b_set1(POOL_NONE), winner[i]);
  }
  v_store_n(out + c, value, n);
  for (ptrdiff_t i = 0; i < many; i++) b_store_n(winners + i * plane + c, winner[i], n);
}

/* Four vectors of sums: a large window is read a cache line or more at a time. */
FC_INLINE void pool_sums(const pool_taps *taps, ptrdiff_t c, real divisor, real *out) {
  vec sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
  for (ptrdiff_t ky = taps->ky0; ky < taps->ky1; ky++) {
    const real *x = taps->first + (ky - taps->ky0) * taps->row + c;
    for (ptrdiff_t kx = taps->kx0; kx < taps->kx1; kx++, x += taps->pixel) {
      FC_UNROLL(4)
      for (int v = 0; v < 4; v++) sum[v] = v_add(sum[v], v_load(x + v * VL));
    }
  }
  FC_UNROLL(4)
  for (int v = 0; v < 4; v++) v_store(out + c + v * VL, v_div(sum[v], v_set1(divisor)));
}

FC_INLINE void pool_pixel(const pool_taps *taps, ptrdiff_t channels, pool_kind kind, real divisor, real *out,
                          uint8_t *winners, int planes, ptrdiff_t plane) {
  ptrdiff_t c = 0;
  if (kind == POOL_AVERAGE)
    for (; c + 4 * VL <= channels; c += 4 * VL) pool_sums(taps, c, divisor, out);
  for (; c + VL <= channels; c += VL) pool_vector(taps, c, VL, kind, divisor, out, winners, planes, plane);
  if (c < channels) pool_vector(taps, c, channels - c, kind, divisor, out, winners, planes, plane);
}

/* Output pixels [begin, end) of row y of image n. */
FC_INLINE void pool_row(const pool_job *job, ptrdiff_t n, ptrdiff_t y, ptrdiff_t begin, ptrdiff_t end, pool_kind kind) {
  const fc_window *w = job->window;
  const ptrdiff_t channels = w->channels, top = y * w->stride_y - w->pad_y, plane = pool_outputs(w);
  const real *x = (const real *)job->x.data + n * job->x.image;
  real *out = (real *)job->out.data + n * job->out.image + y * job->out.row + begin * job->out.pixel;
  uint8_t *winners =
      job->winners +
      (kind == POOL_WINNER || kind == POOL_WIDE_WINNER ? ((n * w->out_h + y) * w->out_w + begin) * channels : 0);
  pool_taps taps = {
      .kw = w->kw, .row = w->dilation_y * job->x.row, .pixel = w->dilation_x * job->x.pixel, .relu = job->relu};
  pool_inside(top, w->kh, w->dilation_y, w->h, &taps.ky0, &taps.ky1);
  const ptrdiff_t high = pool_extent(y, w->stride_y, w->pad_y, w->kh, w->h, job->count_include_pad);
  for (ptrdiff_t i = begin; i < end; i++, out += job->out.pixel, winners += channels) {
    const ptrdiff_t left = i * w->stride_x - w->pad_x;
    pool_inside(left, w->kw, w->dilation_x, w->w, &taps.kx0, &taps.kx1);
    taps.first = x + (top + taps.ky0 * w->dilation_y) * job->x.row + (left + taps.kx0 * w->dilation_x) * job->x.pixel;
    real divisor = 1;
    if (kind == POOL_AVERAGE)
      divisor =
          (real)(job->divisor ? job->divisor
                              : high * pool_extent(i, w->stride_x, w->pad_x, w->kw, w->w, job->count_include_pad));
    if (w->kw == 3 && taps.kx1 - taps.kx0 == 3 && taps.ky1 - taps.ky0 == 3 && taps.ky0 == 0) {
      const pool_taps whole = {
          .first = taps.first, .ky1 = 3, .kx1 = 3, .kw = 3, .row = taps.row, .pixel = taps.pixel, .relu = taps.relu};
      pool_pixel(&whole, channels, kind, divisor, out, winners, job->planes, plane);
    } else {
      pool_pixel(&taps, channels, kind, divisor, out, winners, job->planes, plane);
    }
  }
}

static void pool_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const pool_job *job = context;
  const fc_window *w = job->window;
  ptrdiff_t pixel = piece * job->pixels;
  const ptrdiff_t last = min_size(pixel + job->pixels, w->batch * w->out_h * w->out_w);
  while (pixel < last) {
    const ptrdiff_t row = pixel / w->out_w, begin = pixel % w->out_w;
    const ptrdiff_t end = min_size(w->out_w, begin + last - pixel), n = row / w->out_h, y = row % w->out_h;
    switch (job->kind) {
      case POOL_MAX:
        pool_row(job, n, y, begin, end, POOL_MAX);
        break;
      case POOL_WINNER:
        pool_row(job, n, y, begin, end, POOL_WINNER);
        break;
      case POOL_WIDE_WINNER:
        pool_row(job, n, y, begin, end, POOL_WIDE_WINNER);
        break;
      case POOL_AVERAGE:
        pool_row(job, n, y, begin, end, POOL_AVERAGE);
        break;
    }
    pixel += end - begin;
  }
}

static int pool_run(pool_job *job) {
  const fc_window *w = job->window;
  const ptrdiff_t outputs = w->batch * w->out_h * w->out_w;
  const double work = (double)outputs * (double)w->channels * (double)w->kh * (double)w->kw;
  job->pixels = fc_units_a_piece(outputs, work, POOL_PIECE);
  return fc_parallel(ceil_div(outputs, job->pixels), work, pool_piece, job);
}

static int kernel_max_pool2d(const fc_window *window, fc_image x, fc_image out, uint8_t *winners, int relu) {
  if (pool_is_2x2(window)) return pool2x2(window, x, out, winners, relu, POOL_MAX, 1);
  const int planes = fc_pool_planes(window);
  const pool_kind kind = !winners ? POOL_MAX : planes == 1 ? POOL_WINNER : POOL_WIDE_WINNER;
  pool_job job = {
      .window = window, .x = x, .out = out, .winners = winners, .planes = planes, .relu = relu, .kind = kind};
  return pool_run(&job);
}

static int kernel_avg_pool2d(const fc_window *window, fc_image x, fc_image out, int count_include_pad,
                             ptrdiff_t divisor) {
  if (pool_is_2x2(window)) return pool2x2(window, x, out, NULL, 0, POOL_AVERAGE, divisor ? divisor : 4);
  pool_job job = {.window = window,
                  .x = x,
                  .out = out,
                  .count_include_pad = count_include_pad,
                  .divisor = divisor,
                  .kind = POOL_AVERAGE};
  return pool_run(&job);
}
