/* Cross entropy of rows of class scores, with its gradient in the same pass. For a row with label t, class weights w
 * and label smoothing s over K classes, with l_c = log(sum of e^x) - x_c the negative log-probabilities:
 *
 *     loss       = (1 - s) w_t l_t + s / K * sum of w_c l_c
 *     d loss/d x = ((1 - s) w_t + s / K * sum of w_c) softmax(x) - s / K * w_c - (1 - s) w_t [c = t]
 */
#include "softmax.h"

typedef struct {
  const real *x, *weight; /* weight: NULL for ones */
  const int64_t *target;
  real *losses, *grad; /* grad: NULL where it is not wanted */
  ptrdiff_t rows, classes;
  int64_t ignore_index;
  real smoothing, scale, weight_sum;
} cross_entropy_job;

/* sum of w_c (high - x_c) */
static double smoothing_sum(const cross_entropy_job *job, const real *x, real high) {
  vec sum = v_zero();
  for (ptrdiff_t i = 0; i < job->classes; i += VL) {
    const ptrdiff_t lanes = job->classes - i < VL ? job->classes - i : VL;
    const vec below = v_select(m_first(lanes), v_sub(v_set1(high), v_load_n(x + i, lanes)), v_zero());
    sum = job->weight ? v_fma(below, v_load_n(job->weight + i, lanes), sum) : v_add(sum, below);
  }
  return (double)v_sum(sum);
}

static void cross_entropy_row(const cross_entropy_job *job, ptrdiff_t row) {
  const ptrdiff_t n = job->classes, t = (ptrdiff_t)job->target[row];
  const real *x = job->x + row * n;
  real *grad = job->grad ? job->grad + row * n : NULL;
  if (job->target[row] == job->ignore_index) {
    job->losses[row] = 0;
    if (grad) memset(grad, 0, (size_t)n * sizeof(real));
    return;
  }
  const real one = (1 - job->smoothing) * (job->weight ? job->weight[t] : 1); /* what the label's own class counts */
  const real high = row_max(x, n), sum = row_exp_sum(x, high, grad, n), log_sum = (real)log((double)sum);
  job->losses[row] = one * (log_sum + (high - x[t]));
  const real each = job->smoothing / (real)n;
  if (each > 0) job->losses[row] += each * (real)((double)log_sum * job->weight_sum + smoothing_sum(job, x, high));
  if (!grad) return;

  const vec factor = v_set1(job->scale * (one + each * job->weight_sum) / sum), share = v_set1(-job->scale * each);
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t lanes = n - i < VL ? n - i : VL;
    const vec w = job->weight ? v_load_n(job->weight + i, lanes) : v_set1(1);
    v_store_n(grad + i, v_fma(v_load_n(grad + i, lanes), factor, v_mul(share, w)), lanes);
  }
  grad[t] -= job->scale * one;
}

static void cross_entropy_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const cross_entropy_job *job = context;
  const ptrdiff_t step = rows_per_piece(job->classes);
  const ptrdiff_t end = job->rows - piece * step < step ? job->rows : (piece + 1) * step;
  for (ptrdiff_t row = piece * step; row < end; row++) cross_entropy_row(job, row);
}

static int kernel_cross_entropy(const void *x, const int64_t *target, const void *weight, void *losses, void *grad,
                                ptrdiff_t rows, ptrdiff_t classes, int64_t ignore_index, double smoothing, double scale,
                                double *total) {
  cross_entropy_job job = {.x = x,
                           .weight = weight,
                           .target = target,
                           .losses = losses,
                           .grad = grad,
                           .rows = rows,
                           .classes = classes,
                           .ignore_index = ignore_index,
                           .smoothing = (real)smoothing,
                           .scale = (real)scale};
  double weight_sum = 0;
  for (ptrdiff_t c = 0; c < classes; c++) weight_sum += job.weight ? (double)job.weight[c] : 1;
  job.weight_sum = (real)weight_sum;
  const ptrdiff_t many = rows_per_piece(classes);
  const double work = 16 * (double)rows * (double)classes;
  const int status = fc_parallel((rows + many - 1) / many, work, cross_entropy_piece, &job);
  *total = 0;
  for (ptrdiff_t row = 0; row < rows && status == FC_OK; row++) *total += (double)job.losses[row];
  return status;
}

static int kernel_check_target(const int64_t *target, const void *weight, ptrdiff_t rows, ptrdiff_t classes,
                               int64_t ignore_index, double *total, ptrdiff_t *bad) {
  const real *w = weight;
  *total = 0;
  *bad = -1;
  for (ptrdiff_t row = 0; row < rows; row++) {
    if (target[row] == ignore_index) continue;
    if (target[row] < 0 || target[row] >= classes) {
      *bad = row;
      break;
    }
    *total += w ? (double)w[target[row]] : 1;
  }
  return FC_OK;
}
