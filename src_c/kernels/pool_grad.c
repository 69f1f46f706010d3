/* Gradients of pooling. Every pixel of the input asks the windows that see it, in their order: each place is written
 * once, by one piece, and sums have one order. */
#include "pool2x2.c"
#include "pool3x3.c"

enum { POOL_ASKED = 32 }; /* windows that a pixel asks at a time */

/* One window that sees the pixel. */
typedef struct {
  const real *grad;
  const uint8_t *winners;
  ptrdiff_t tap; /* of the pixel in that window */
  real share;    /* of a tap in an average */
} pool_asked;

/* Which windows see a coordinate, along one axis: begin, begin + step, ... last. The coordinate is counted from the
 * start of the padding, and only goes up. */
typedef struct {
  ptrdiff_t taps, stride, dilation, outputs;
  ptrdiff_t common, step,
      inverse; /* of stride and dilation: their divisor, dilation / common, 1 / stride modulo step */
  ptrdiff_t first, last, begin;
} pool_axis;

static pool_axis pool_axis_of(ptrdiff_t taps, ptrdiff_t stride, ptrdiff_t dilation, ptrdiff_t outputs) {
  ptrdiff_t divisor = stride, rest = dilation, factor = 1, next = 0;
  while (rest != 0) { /* Euclid's algorithm: factor * stride is `divisor` and a multiple of dilation */
    const ptrdiff_t times = divisor / rest, left = divisor % rest, before = factor - times * next;
    divisor = rest;
    rest = left;
    factor = next;
    next = before;
  }
  const ptrdiff_t step = dilation / divisor;
  return (pool_axis){.taps = taps,
                     .stride = stride,
                     .dilation = dilation,
                     .outputs = outputs,
                     .common = divisor,
                     .step = step,
                     .inverse = (factor % step + step) % step,
                     .last = -1};
}

FC_INLINE void pool_axis_move(pool_axis *axis, ptrdiff_t at) {
  while (axis->first < axis->outputs && axis->first * axis->stride + (axis->taps - 1) * axis->dilation < at)
    axis->first++;
  while (axis->last + 1 < axis->outputs && (axis->last + 1) * axis->stride <= at) axis->last++;
  axis->begin = axis->first;
  if (axis->dilation == 1) return;
  if (at % axis->common) { /* between the taps of all */
    axis->begin = axis->last + 1;
    return;
  }
  const ptrdiff_t wanted = at / axis->common % axis->step * axis->inverse % axis->step;
  axis->begin += (wanted - axis->first % axis->step + axis->step) % axis->step;
}

FC_INLINE ptrdiff_t pool_axis_tap(const pool_axis *axis, ptrdiff_t at, ptrdiff_t output) {
  const ptrdiff_t steps = at - output * axis->stride;
  return axis->dilation == 1 ? steps : steps / axis->dilation;
}

typedef struct {
  const fc_window *window;
  fc_image grad, grad_x;
  const uint8_t *winners; /* NULL for an average */
  int planes, count_include_pad;
  ptrdiff_t divisor; /* of an average; 0: the number of taps that count */
  ptrdiff_t rows;    /* of the input in a piece */
  pool_axis down, right;
} pool_grad_job;

/* n channels of one pixel from `count` windows; `more`: on top of what earlier ones brought. */
FC_INLINE void pool_ask_vector(const pool_asked *asked, ptrdiff_t count, ptrdiff_t c, ptrdiff_t n, int planes,
                               ptrdiff_t plane, int more, real *x) {
  vec sum = more ? v_load_n(x + c, n) : v_zero();
  FC_UNROLL(9)
  for (ptrdiff_t i = 0; i < count; i++) {
    const vec given = v_load_n(asked[i].grad + c, n);
    if (planes == 0) {
      sum = v_fma(given, v_set1(asked[i].share), sum);
      continue;
    }
    mask won = b_eq(b_load_n(asked[i].winners + c, n), b_set1((uint8_t)asked[i].tap));
    for (int p = 1; p < planes; p++)
      won = m_and(won, b_eq(b_load_n(asked[i].winners + p * plane + c, n), b_set1((uint8_t)(asked[i].tap >> 8 * p))));
    sum = v_select(won, v_add(sum, given), sum);
  }
  v_store_n(x + c, sum, n);
}

FC_INLINE void pool_ask_count(const pool_asked *asked, ptrdiff_t count, ptrdiff_t channels, int planes, ptrdiff_t plane,
                              int more, real *x) {
  ptrdiff_t c = 0;
  for (; c + VL <= channels; c += VL) pool_ask_vector(asked, count, c, VL, planes, plane, more, x);
  if (c < channels) pool_ask_vector(asked, count, c, channels - c, planes, plane, more, x);
}

/* The numbers of windows that 3x3 pooling has are constants, so that what they say stays in registers. */
FC_INLINE void pool_ask(const pool_asked *asked, ptrdiff_t count, ptrdiff_t channels, int planes, ptrdiff_t plane,
                        int more, real *x) {
  if (planes > 1 || more) {
    pool_ask_count(asked, count, channels, planes, plane, more, x);
    return;
  }
  switch (count) {
    case 0:
      memset(x, 0, (size_t)channels * sizeof(real));
      break;
    case 1:
      pool_ask_count(asked, 1, channels, planes, plane, 0, x);
      break;
    case 2:
      pool_ask_count(asked, 2, channels, planes, plane, 0, x);
      break;
    case 4:
      pool_ask_count(asked, 4, channels, planes, plane, 0, x);
      break;
    case 9:
      pool_ask_count(asked, 9, channels, planes, plane, 0, x);
      break;
    default:
      pool_ask_count(asked, count, channels, planes, plane, 0, x);
  }
}

/* What a tap has of an average. */
FC_INLINE real pool_share(const pool_grad_job *job, ptrdiff_t oy, ptrdiff_t ox) {
  const fc_window *w = job->window;
  return 1 / (real)(pool_extent(oy, w->stride_y, w->pad_y, w->kh, w->h, job->count_include_pad) *
                    pool_extent(ox, w->stride_x, w->pad_x, w->kw, w->w, job->count_include_pad));
}

/* Row y of an image, which the windows of `down` see. */
FC_INLINE void pool_grad_row(const pool_grad_job *job, ptrdiff_t image, ptrdiff_t y, const pool_axis *down,
                             pool_axis right, int planes) {
  const fc_window *w = job->window;
  const ptrdiff_t channels = w->channels, plane = pool_outputs(w);
  const real *grad = (const real *)job->grad.data + image * job->grad.image;
  real *x = (real *)job->grad_x.data + image * job->grad_x.image + y * job->grad_x.row;
  for (ptrdiff_t i = 0; i < w->w; i++, x += job->grad_x.pixel) {
    pool_asked asked[POOL_ASKED];
    ptrdiff_t count = 0;
    int more = 0;
    pool_axis_move(&right, i + w->pad_x);
    for (ptrdiff_t oy = down->begin; oy <= down->last; oy += down->step)
      for (ptrdiff_t ox = right.begin; ox <= right.last; ox += right.step) {
        if (count == POOL_ASKED) {
          pool_ask(asked, count, channels, planes, plane, more, x);
          count = 0;
          more = 1;
        }
        pool_asked *ask = &asked[count++];
        ask->grad = grad + oy * job->grad.row + ox * job->grad.pixel;
        if (planes) {
          ask->winners = job->winners + ((image * w->out_h + oy) * w->out_w + ox) * channels;
          ask->tap = pool_axis_tap(down, y + w->pad_y, oy) * w->kw + pool_axis_tap(&right, i + w->pad_x, ox);
        } else {
          ask->share = job->divisor ? 1 / (real)job->divisor : pool_share(job, oy, ox);
        }
      }
    pool_ask(asked, count, channels, planes, plane, more, x);
  }
}

static void pool_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const pool_grad_job *job = context;
  const fc_window *w = job->window;
  const ptrdiff_t last = min_size((piece + 1) * job->rows, w->batch * w->h);
  pool_axis down = job->down;
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t y = row % w->h;
    if (y == 0) down = job->down;
    pool_axis_move(&down, y + w->pad_y);
    if (!job->winners)
      pool_grad_row(job, row / w->h, y, &down, job->right, 0);
    else if (job->planes == 1)
      pool_grad_row(job, row / w->h, y, &down, job->right, 1);
    else
      pool_grad_row(job, row / w->h, y, &down, job->right, job->planes);
  }
}

static int pool_grad_run(pool_grad_job *job) {
  const fc_window *w = job->window;
  job->down = pool_axis_of(w->kh, w->stride_y, w->dilation_y, w->out_h);
  job->right = pool_axis_of(w->kw, w->stride_x, w->dilation_x, w->out_w);
  const ptrdiff_t rows = w->batch * w->h;
  const double taps = (double)w->out_h * (double)w->out_w * (double)w->kh * (double)w->kw;
  const double work = (double)w->batch * (double)w->channels * ((double)w->h * (double)w->w + taps);
  job->rows = fc_units_a_piece(rows, work, POOL_PIECE);
  return fc_parallel(ceil_div(rows, job->rows), work, pool_grad_piece, job);
}

static int kernel_max_pool2d_grad(const fc_window *window, fc_image grad, const uint8_t *winners, fc_image grad_x) {
  if (pool_is_2x2(window)) return pool2x2_grad(window, grad, winners, grad_x, 1);
  if (pool_is_3x3(window)) return pool3x3_grad(window, grad, winners, grad_x);
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
