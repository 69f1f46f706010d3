/* Pooling by 2x2 windows side by side, forward and backward: the most frequent kind. Rows of outputs own the input rows
 * they cover, so the gradient is written straight.
 *
 * Where a vector holds the channels of several pixels, so many outputs are made at once: the two vectors from a row of
 * the input hold left and right taps in turn, and permutations sort them. */
#ifndef FC_POOL2X2_C
#define FC_POOL2X2_C

#include "pool.h"

typedef struct {
  ptrdiff_t group;                    /* output pixels in a vector */
  permutation left, right, low, high; /* the taps of two vectors, and two vectors of these taps */
} pool2x2_lanes;

typedef struct {
  const fc_window *window;
  fc_image x, out; /* the input's pixels and the output's, or their gradients */
  uint8_t *winners;
  const uint8_t *won;
  pool_kind kind;
  int relu;
  real share;     /* of a tap in an average */
  ptrdiff_t rows; /* output rows of a piece */
  pool2x2_lanes lanes;
} pool2x2_job;

static pool2x2_lanes pool2x2_sort(ptrdiff_t channels) {
  uint8_t taps[2][VL] = {{0}}, vectors[2 * VL] = {0};
  const ptrdiff_t group = VL / channels;
  for (ptrdiff_t i = 0; i < group * channels; i++) {
    const ptrdiff_t left = i + i / channels * channels; /* where the input has this output's left tap */
    for (ptrdiff_t side = 0; side < 2; side++) {
      const ptrdiff_t place = left + side * channels;
      taps[side][i] = (uint8_t)place;
      if (place < 2 * VL) vectors[place] = (uint8_t)(side * VL + i);
    }
  }
  return (pool2x2_lanes){.group = group,
                         .left = v_permutation(taps[0]),
                         .right = v_permutation(taps[1]),
                         .low = v_permutation(vectors),
                         .high = v_permutation(vectors + VL)};
}

/* Left and right taps of one row; n elements of output. */
FC_INLINE void pool2x2_load(const real *x, ptrdiff_t pixel, ptrdiff_t n, const pool2x2_lanes *lanes, int grouped,
                            vec *left, vec *right) {
  if (grouped) {
    const vec low = v_load_n(x, min_size(2 * n, VL)), high = v_load_n(x + VL, max_size(2 * n - VL, 0));
    *left = v_permute(low, high, lanes->left);
    *right = v_permute(low, high, lanes->right);
  } else {
    *left = v_load_n(x, n);
    *right = v_load_n(x + pixel, n);
  }
}

FC_INLINE void pool2x2_store(real *x, ptrdiff_t pixel, ptrdiff_t n, const pool2x2_lanes *lanes, int grouped, vec left,
                             vec right) {
  if (grouped) {
    v_store_n(x, v_permute(left, right, lanes->low), min_size(2 * n, VL));
    v_store_n(x + VL, v_permute(left, right, lanes->high), max_size(2 * n - VL, 0));
  } else {
    v_store_n(x, left, n);
    v_store_n(x + pixel, right, n);
  }
}

/* n elements of output: the channels of one pixel or, grouped, of several. */
FC_INLINE void pool2x2_forward(const pool2x2_job *job, const real *x, real *out, ptrdiff_t at, ptrdiff_t n,
                               const pool2x2_lanes *lanes, int grouped, pool_kind kind) {
  vec tap[4];
  pool2x2_load(x, job->x.pixel, n, lanes, grouped, &tap[0], &tap[1]);
  pool2x2_load(x + job->x.row, job->x.pixel, n, lanes, grouped, &tap[2], &tap[3]);
  if (kind == POOL_AVERAGE) {
    const vec sum = v_add(v_add(v_add(tap[0], tap[1]), tap[2]), tap[3]);
    v_store_n(out, v_mul(sum, v_set1(job->share)), n);
    return;
  }
  bytes winner = b_set1(0);
  for (int i = 1; i < 4; i++) {
    const mask better = m_or(v_lt(tap[0], tap[i]), v_isnan(tap[i]));
    tap[0] = v_select(better, tap[i], tap[0]);
    winner = b_select(better, b_set1((uint8_t)i), winner);
  }
  if (job->relu) {
    const mask none = v_le(tap[0], v_zero());
    tap[0] = v_select(none, v_zero(), tap[0]);
    winner = b_select(none, b_set1(POOL_NONE), winner);
  }
  v_store_n(out, tap[0], n);
  if (kind == POOL_WINNER) b_store_n(job->winners + at, winner, n);
}

FC_INLINE void pool2x2_backward(const pool2x2_job *job, real *grad_x, const real *grad, ptrdiff_t at, ptrdiff_t n,
                                const pool2x2_lanes *lanes, int grouped, pool_kind kind) {
  const vec given = v_load_n(grad, n);
  vec tap[4];
  if (kind == POOL_AVERAGE) {
    for (int i = 0; i < 4; i++) tap[i] = v_mul(given, v_set1(job->share));
  } else {
    const bytes winner = b_load_n(job->won + at, n);
    for (int i = 0; i < 4; i++) tap[i] = v_select(b_eq(winner, b_set1((uint8_t)i)), given, v_zero());
  }
  pool2x2_store(grad_x, job->x.pixel, n, lanes, grouped, tap[0], tap[1]);
  pool2x2_store(grad_x + job->x.row, job->x.pixel, n, lanes, grouped, tap[2], tap[3]);
}

/* One vector of outputs, forward or backward. */
FC_INLINE void pool2x2_step(const pool2x2_job *job, real *x, real *out, ptrdiff_t at, ptrdiff_t n,
                            const pool2x2_lanes *lanes, int grouped, int backward, pool_kind kind) {
  if (backward)
    pool2x2_backward(job, x, out, at, n, lanes, grouped, kind);
  else
    pool2x2_forward(job, x, out, at, n, lanes, grouped, kind);
}

/* One row of outputs; x is the first of its two rows of inputs, `at` the row's place among the winners. */
FC_INLINE void pool2x2_row(const pool2x2_job *job, real *x, real *out, ptrdiff_t at, const pool2x2_lanes *lanes,
                           int backward, pool_kind kind) {
  const ptrdiff_t channels = job->window->channels, width = job->window->out_w;
  if (lanes->group > 1) {
    const ptrdiff_t end = width * channels, n = lanes->group * channels;
    ptrdiff_t i = 0;
    for (; i + n <= end; i += n) pool2x2_step(job, x + 2 * i, out + i, at + i, n, lanes, 1, backward, kind);
    if (i < end) pool2x2_step(job, x + 2 * i, out + i, at + i, end - i, lanes, 1, backward, kind);
    return;
  }
  for (ptrdiff_t i = 0; i < width; i++, x += 2 * job->x.pixel, out += job->out.pixel, at += channels) {
    ptrdiff_t c = 0;
    for (; c + VL <= channels; c += VL) pool2x2_step(job, x + c, out + c, at + c, VL, lanes, 0, backward, kind);
    if (c < channels) pool2x2_step(job, x + c, out + c, at + c, channels - c, lanes, 0, backward, kind);
  }
}

/* What no window covers: an odd last column and, under the last outputs, an odd last row. */
static void pool2x2_zero(const pool2x2_job *job, real *x, int last) {
  const fc_window *w = job->window;
  for (ptrdiff_t row = 0; row < (last ? w->h - 2 * w->out_h + 2 : 2); row++) {
    const ptrdiff_t first = row < 2 ? 2 * w->out_w : 0;
    if (first < w->w) pool_zero(x + row * job->x.row + first * job->x.pixel, w->w - first, job->x.pixel, w->channels);
  }
}

FC_INLINE void pool2x2_rows(const pool2x2_job *job, ptrdiff_t piece, int backward, pool_kind kind) {
  const fc_window *w = job->window;
  const pool2x2_lanes lanes = job->lanes;
  ptrdiff_t row = piece * job->rows, n = row / w->out_h, y = row % w->out_h;
  const ptrdiff_t end = min_size(row + job->rows, w->batch * w->out_h), pitch = w->out_w * w->channels;
  for (; row < end; row++) {
    real *x = (real *)job->x.data + n * job->x.image + 2 * y * job->x.row;
    real *out = (real *)job->out.data + n * job->out.image + y * job->out.row;
    pool2x2_row(job, x, out, row * pitch, &lanes, backward, kind);
    if (backward) pool2x2_zero(job, x, y == w->out_h - 1);
    if (++y == w->out_h) {
      y = 0;
      n++;
    }
  }
}

static void pool2x2_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const pool2x2_job *job = context;
  switch (job->kind) {
    case POOL_AVERAGE:
      pool2x2_rows(job, piece, 0, POOL_AVERAGE);
      break;
    case POOL_WINNER:
      pool2x2_rows(job, piece, 0, POOL_WINNER);
      break;
    default:
      pool2x2_rows(job, piece, 0, POOL_MAX);
      break;
  }
}

static void pool2x2_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const pool2x2_job *job = context;
  if (job->won)
    pool2x2_rows(job, piece, 1, POOL_MAX);
  else
    pool2x2_rows(job, piece, 1, POOL_AVERAGE);
}

static int pool2x2_run(pool2x2_job *job, fc_piece piece) {
  const fc_window *w = job->window;
  const ptrdiff_t rows = w->batch * w->out_h;
  const double work = 4 * (double)rows * (double)w->out_w * (double)w->channels;
  const int together = job->x.pixel == w->channels && job->out.pixel == w->channels && 2 * w->channels <= VL;
  job->lanes = together ? pool2x2_sort(w->channels) : (pool2x2_lanes){.group = 1};
  job->rows = fc_units_a_piece(rows, work, POOL_PIECE);
  return fc_parallel(ceil_div(rows, job->rows), work, piece, job);
}

static int pool2x2(const fc_window *window, fc_image x, fc_image out, uint8_t *winners, int relu, pool_kind kind,
                   ptrdiff_t divisor) {
  pool2x2_job job = {.window = window,
                     .x = x,
                     .out = out,
                     .winners = winners,
                     .kind = kind == POOL_MAX && winners ? POOL_WINNER : kind,
                     .relu = relu,
                     .share = (real)(1 / (double)divisor)};
  return pool2x2_run(&job, pool2x2_piece);
}

static int pool2x2_grad(const fc_window *window, fc_image grad, const uint8_t *winners, fc_image grad_x,
                        ptrdiff_t divisor) {
  pool2x2_job job = {.window = window, .x = grad_x, .out = grad, .won = winners, .share = (real)(1 / (double)divisor)};
  return pool2x2_run(&job, pool2x2_grad_piece);
}

#endif
