/* The gradient of 3x3 maximum pooling with stride 1 and 2, which AlexNet, GoogLeNet and ResNet have. A row of the input
 * is seen by up to three rows of windows. The windows of a column are read once, and what they bring to the three
 * pixels they see waits in registers for the next columns. */
#ifndef FC_POOL3X3_C
#define FC_POOL3X3_C

#include "pool.h"

enum {
  POOL3X3_VECTORS = 4, /* whose sums wait side by side */
  POOL3X3_AHEAD = 4    /* pixels by which memory is fetched ahead */
};

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
  return w->kh == 3 && w->kw == 3 && w->stride_y == w->stride_x && w->stride_x <= 2 && w->pad_y <= 1 && w->pad_x <= 1 &&
         w->dilation_y == 1 && w->dilation_x == 1;
}

/* `vectors` vectors of channels from c on, of which the last has n, of a row of the input. */
FC_INLINE void pool3x3_channels(const pool3x3_job *job, const pool3x3_above *above, int rows, int stride, real *x,
                                int vectors, ptrdiff_t c, ptrdiff_t n) {
  const fc_window *w = job->window;
  vec sums[POOL3X3_VECTORS][3]; /* of the pixels that windows ox see */
  FC_UNROLL(4)
  for (int v = 0; v < vectors; v++) sums[v][0] = sums[v][1] = sums[v][2] = v_zero();
  for (ptrdiff_t ox = 0, at = -w->pad_x; at < w->w; ox++, at += stride) {
    if (ox < w->out_w) {
      FC_UNROLL(3)
      for (int r = 0; r < rows; r++) {
        const uint8_t *winners = above[r].winners + ox * w->channels + c;
        const real *grad = above[r].grad + ox * job->grad.pixel + c;
        FC_UNROLL(4)
        for (int v = 0; v < vectors; v++) {
          const ptrdiff_t some = v + 1 < vectors ? VL : n;
          const bytes winner = b_load_n(winners + v * VL, some);
          const vec given = v_load_n(grad + v * VL, some);
          if (r == rows - 1) __builtin_prefetch(grad + v * VL + POOL3X3_AHEAD * job->grad.pixel, 0, 3); /* a new row */
          FC_UNROLL(3)
          for (int tap = 0; tap < 3; tap++) {
            const mask won = b_eq(winner, b_set1((uint8_t)(above[r].tap + tap)));
            sums[v][tap] = v_select(won, v_add(sums[v][tap], given), sums[v][tap]);
          }
        }
      }
    }
    real *pixel = x + at * job->grad_x.pixel + c;
    FC_UNROLL(2)
    for (int i = 0; i < stride; i++, pixel += job->grad_x.pixel) {
      if (at + i < 0 || at + i >= w->w) continue;
      FC_UNROLL(4)
      for (int v = 0; v < vectors; v++) {
        v_store_n(pixel + v * VL, sums[v][i], v + 1 < vectors ? VL : n);
        __builtin_prefetch(pixel + v * VL + POOL3X3_AHEAD * job->grad_x.pixel, 1, 3);
      }
    }
    FC_UNROLL(4)
    for (int v = 0; v < vectors; v++) {
      FC_UNROLL(3)
      for (int i = 0; i < 3; i++) sums[v][i] = i + stride < 3 ? sums[v][i + stride] : v_zero();
    }
  }
}

FC_INLINE void pool3x3_row(const pool3x3_job *job, const pool3x3_above *above, int rows, int stride, real *x) {
  const ptrdiff_t channels = job->window->channels, step = POOL3X3_VECTORS * VL;
  ptrdiff_t c = 0;
  for (; c + step <= channels; c += step) pool3x3_channels(job, above, rows, stride, x, POOL3X3_VECTORS, c, VL);
  for (; c < channels; c += VL) pool3x3_channels(job, above, rows, stride, x, 1, c, min_size(VL, channels - c));
}

FC_INLINE void pool3x3_piece(const pool3x3_job *job, ptrdiff_t piece, int stride) {
  const fc_window *w = job->window;
  const ptrdiff_t last = min_size((piece + 1) * job->rows, w->batch * w->h);
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t image = row / w->h, y = row % w->h, at = y + w->pad_y;
    real *x = (real *)job->grad_x.data + image * job->grad_x.image + y * job->grad_x.row;
    pool3x3_above above[3];
    int rows = 0;
    for (ptrdiff_t oy = at < 2 ? 0 : (at + stride - 3) / stride; oy <= at / stride && oy < w->out_h; oy++)
      above[rows++] =
          (pool3x3_above){.grad = (const real *)job->grad.data + image * job->grad.image + oy * job->grad.row,
                          .winners = job->winners + (image * w->out_h + oy) * w->out_w * w->channels,
                          .tap = (int)(at - stride * oy) * 3};
    if (rows == 3 && stride == 1)
      pool3x3_row(job, above, 3, stride, x);
    else if (rows == 2)
      pool3x3_row(job, above, 2, stride, x);
    else if (rows == 1)
      pool3x3_row(job, above, 1, stride, x);
    else
      pool_zero(x, w->w, job->grad_x.pixel, w->channels);
  }
}

static void pool3x3_piece_1(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  pool3x3_piece(job, piece, 1);
}

static void pool3x3_piece_2(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  pool3x3_piece(job, piece, 2);
}

static int pool3x3_grad(const fc_window *window, fc_image grad, const uint8_t *winners, fc_image grad_x) {
  pool3x3_job job = {.window = window, .grad = grad, .grad_x = grad_x, .winners = winners};
  const ptrdiff_t rows = window->batch * window->h, reads = window->stride_y == 1 ? 10 : 4;
  const double work = (double)reads * (double)rows * (double)window->w * (double)window->channels;
  job.rows = fc_units_a_piece(rows, work, POOL_PIECE);
  return fc_parallel(ceil_div(rows, job.rows), work, window->stride_y == 1 ? pool3x3_piece_1 : pool3x3_piece_2, &job);
}

#endif
