/* The gradient of 3x3 maximum pooling with stride 2, which AlexNet, GoogLeNet and ResNet have. A row of the input is
 * seen by one or two rows of windows, and its pixels in turn by one and by two windows of each. */
#ifndef FC_POOL3X3_C
#define FC_POOL3X3_C

#include "pool.h"

typedef struct {
  const fc_window *window;
  fc_image grad, grad_x;
  const uint8_t *winners;
  ptrdiff_t rows; /* of the input in a piece */
} pool3x3_job;

/* A row of windows that sees a row of the input. */
typedef struct {
  const real *grad;
  const uint8_t *winners;
  int tap; /* of its first column there */
} pool3x3_above;

FC_INLINE int pool_is_3x3(const fc_window *w) {
  return w->kh == 3 && w->kw == 3 && w->stride_y == 2 && w->stride_x == 2 && w->pad_y <= 1 && w->pad_x <= 1 &&
         w->dilation_y == 1 && w->dilation_x == 1;
}

FC_INLINE vec pool3x3_add(vec sum, bytes winner, bytes tap, vec given) {
  return v_select(b_eq(winner, tap), v_add(sum, given), sum);
}

/* Which parts of a pair of pixels there are: the windows before it and at it, the pixels themselves. */
typedef struct {
  int before, here, even, odd;
} pool3x3_parts;

/* n channels of two pixels of the input, in the order of the windows. */
FC_INLINE void pool3x3_channels(const pool3x3_job *job, const pool3x3_above *above, int rows, pool3x3_parts parts,
                                ptrdiff_t ox, real *x, ptrdiff_t c, ptrdiff_t n) {
  const ptrdiff_t channels = job->window->channels, pixel = job->grad.pixel;
  vec even = v_zero(), odd = v_zero();
  v_ahead_store(x + c);
  v_ahead_store(x + job->grad_x.pixel + c);
  v_ahead(above[rows - 1].grad + ox * pixel + c); /* the row that those before have not read */
  FC_UNROLL(2)
  for (int r = 0; r < rows; r++) {
    const uint8_t *winners = above[r].winners + ox * channels + c;
    const real *grad = above[r].grad + ox * pixel + c;
    if (parts.before)
      even = pool3x3_add(even, b_load_n(winners - channels, n), b_set1((uint8_t)(above[r].tap + 2)),
                         v_load_n(grad - pixel, n));
    if (parts.here) {
      const bytes winner = b_load_n(winners, n);
      const vec given = v_load_n(grad, n);
      even = pool3x3_add(even, winner, b_set1((uint8_t)above[r].tap), given);
      odd = pool3x3_add(odd, winner, b_set1((uint8_t)(above[r].tap + 1)), given);
    }
  }
  if (parts.even) v_store_n(x + c, even, n);
  if (parts.odd) v_store_n(x + job->grad_x.pixel + c, odd, n);
}

FC_INLINE void pool3x3_pair(const pool3x3_job *job, const pool3x3_above *above, int rows, pool3x3_parts parts,
                            ptrdiff_t ox, real *x) {
  const ptrdiff_t channels = job->window->channels;
  ptrdiff_t c = 0;
  for (; c + VL <= channels; c += VL) pool3x3_channels(job, above, rows, parts, ox, x, c, VL);
  if (c < channels) pool3x3_channels(job, above, rows, parts, ox, x, c, channels - c);
}

/* A row of the input: windows begin at its even pixels, counted with the padding. */
FC_INLINE void pool3x3_row(const pool3x3_job *job, const pool3x3_above *above, int rows, real *x) {
  const fc_window *w = job->window;
  const pool3x3_parts all = {1, 1, 1, 1};
  for (ptrdiff_t ox = 0; 2 * ox - w->pad_x < w->w; ox++) {
    const ptrdiff_t left = 2 * ox - w->pad_x;
    const pool3x3_parts parts = {ox > 0 && ox <= w->out_w, ox < w->out_w, left >= 0, left + 1 < w->w};
    if (parts.before && parts.here && parts.even && parts.odd)
      pool3x3_pair(job, above, rows, all, ox, x + left * job->grad_x.pixel);
    else
      pool3x3_pair(job, above, rows, parts, ox, x + left * job->grad_x.pixel);
  }
}

static void pool3x3_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const pool3x3_job *job = context;
  const fc_window *w = job->window;
  const ptrdiff_t last = min_size((piece + 1) * job->rows, w->batch * w->h);
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t image = row / w->h, y = row % w->h, at = y + w->pad_y;
    real *x = (real *)job->grad_x.data + image * job->grad_x.image + y * job->grad_x.row;
    pool3x3_above above[2];
    int rows = 0;
    for (ptrdiff_t oy = (at - 1) / 2; oy <= at / 2; oy++) { /* of at - 1 = -1 this is 0 */
      if (oy >= w->out_h) continue;
      above[rows++] =
          (pool3x3_above){.grad = (const real *)job->grad.data + image * job->grad.image + oy * job->grad.row,
                          .winners = job->winners + (image * w->out_h + oy) * w->out_w * w->channels,
                          .tap = (int)(at - 2 * oy) * 3};
    }
    if (rows == 2)
      pool3x3_row(job, above, 2, x);
    else if (rows == 1)
      pool3x3_row(job, above, 1, x);
    else
      pool_zero(x, w->w, job->grad_x.pixel, w->channels);
  }
}

static int pool3x3_grad(const fc_window *window, fc_image grad, const uint8_t *winners, fc_image grad_x) {
  pool3x3_job job = {.window = window, .grad = grad, .grad_x = grad_x, .winners = winners};
  const ptrdiff_t rows = window->batch * window->h;
  const double work = 4 * (double)rows * (double)window->w * (double)window->channels;
  job.rows = fc_units_a_piece(rows, work, POOL_PIECE);
  return fc_parallel(ceil_div(rows, job.rows), work, pool3x3_piece, &job);
}

#endif
