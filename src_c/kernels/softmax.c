/* Softmax and log-softmax of rows of n adjacent scores, and their gradients, computed from the results. */
#include "softmax.h"

typedef enum { SOFTMAX, SOFTMAX_GRAD, LOG_SOFTMAX, LOG_SOFTMAX_GRAD } softmax_step;

typedef struct {
  softmax_step step;
  const real *x, *grad; /* for a gradient x is the result of the forward step */
  real *out;
  ptrdiff_t rows, n;
} softmax_job;

static void softmax_row(const real *x, real *out, ptrdiff_t n) {
  const vec scale = v_set1(1 / row_exp_sum(x, row_max(x, n), out, n));
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) v_store(out + i, v_mul(v_load(out + i), scale));
  if (i < n) v_store_n(out + i, v_mul(v_load_n(out + i, n - i), scale), n - i);
}

static void log_softmax_row(const real *x, real *out, ptrdiff_t n) {
  const real high = row_max(x, n);
  const vec shift = v_set1(high), log_sum = v_set1((real)log((double)row_exp_sum(x, high, NULL, n)));
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) v_store(out + i, v_sub(v_sub(v_load(x + i), shift), log_sum));
  if (i < n) v_store_n(out + i, v_sub(v_sub(v_load_n(x + i, n - i), shift), log_sum), n - i);
}

/* grad_x = p (grad - sum of p grad) */
static void softmax_grad_row(const real *p, const real *grad, real *grad_x, ptrdiff_t n) {
  vec sum = v_zero();
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t lanes = n - i < VL ? n - i : VL;
    sum = v_fma(v_load_n(p + i, lanes), v_load_n(grad + i, lanes), sum);
  }
  const vec mean = v_set1(v_sum(sum));
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t lanes = n - i < VL ? n - i : VL;
    v_store_n(grad_x + i, v_mul(v_load_n(p + i, lanes), v_sub(v_load_n(grad + i, lanes), mean)), lanes);
  }
}

/* grad_x = grad - e^out (sum of grad) */
static void log_softmax_grad_row(const real *out, const real *grad, real *grad_x, ptrdiff_t n) {
  vec sum = v_zero();
  for (ptrdiff_t i = 0; i < n; i += VL) sum = v_add(sum, v_load_n(grad + i, n - i < VL ? n - i : VL));
  const vec negative = v_set1(-v_sum(sum));
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t lanes = n - i < VL ? n - i : VL;
    v_store_n(grad_x + i, v_fma(fc_exp(v_load_n(out + i, lanes)), negative, v_load_n(grad + i, lanes)), lanes);
  }
}

static void softmax_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const softmax_job *job = context;
  const ptrdiff_t n = job->n, step = rows_per_piece(n);
  const ptrdiff_t end = job->rows - piece * step < step ? job->rows : (piece + 1) * step;
  for (ptrdiff_t row = piece * step; row < end; row++) {
    const real *x = job->x + row * n;
    real *out = job->out + row * n;
    switch (job->step) {
      case SOFTMAX:
        softmax_row(x, out, n);
        break;
      case LOG_SOFTMAX:
        log_softmax_row(x, out, n);
        break;
      case SOFTMAX_GRAD:
        softmax_grad_row(x, job->grad + row * n, out, n);
        break;
      case LOG_SOFTMAX_GRAD:
        log_softmax_grad_row(x, job->grad + row * n, out, n);
        break;
    }
  }
}

static int softmax_run(softmax_step step, const void *x, const void *grad, void *out, ptrdiff_t rows, ptrdiff_t n) {
  softmax_job job = {.step = step, .x = x, .grad = grad, .out = out, .rows = rows, .n = n};
  const ptrdiff_t many = rows_per_piece(n);
  return fc_parallel((rows + many - 1) / many, 16 * (double)rows * (double)n, softmax_piece, &job);
}

static int kernel_softmax(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n) {
  return softmax_run(SOFTMAX, x, NULL, out, rows, n);
}
static int kernel_log_softmax(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n) {
  return softmax_run(LOG_SOFTMAX, x, NULL, out, rows, n);
}
static int kernel_softmax_grad(const void *out, const void *grad, void *grad_x, ptrdiff_t rows, ptrdiff_t n) {
  return softmax_run(SOFTMAX_GRAD, out, grad, grad_x, rows, n);
}
static int kernel_log_softmax_grad(const void *out, const void *grad, void *grad_x, ptrdiff_t rows, ptrdiff_t n) {
  return softmax_run(LOG_SOFTMAX_GRAD, out, grad, grad_x, rows, n);
}
