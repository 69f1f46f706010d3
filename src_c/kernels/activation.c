/* Activations of n adjacent elements and their gradients, which are computed from the results. */
#include "math.h"

enum { ACTIVATION_PIECE = 1 << 14 }; /* elements: 64 KB of floats, far above the cost of handing out a piece */

typedef enum { RELU, RELU_GRAD, SIGMOID, SIGMOID_GRAD, TANH, TANH_GRAD } activation;

typedef struct {
  activation function;
  const real *x, *grad; /* for a gradient x is the activation's result */
  real *out;
  ptrdiff_t n;
} activation_job;

FC_INLINE vec activation_value(activation function, vec x, vec grad) {
  switch (function) {
    case RELU:
      return v_max(v_zero(), x); /* NaN stays NaN */
    case RELU_GRAD:
      return v_select(v_le(x, v_zero()), v_zero(), grad);
    case SIGMOID:
      return fc_sigmoid(x);
    case SIGMOID_GRAD:
      return v_mul(v_mul(grad, v_sub(v_set1(1), x)), x);
    case TANH:
      return fc_tanh(x);
    case TANH_GRAD:
      return v_mul(grad, v_fma(v_sub(v_zero(), x), x, v_set1(1)));
  }
  return x;
}

FC_INLINE void activation_step(const activation_job *job, ptrdiff_t i, ptrdiff_t n, activation function) {
  const vec grad = job->grad ? v_load_n(job->grad + i, n) : v_zero();
  v_store_n(job->out + i, activation_value(function, v_load_n(job->x + i, n), grad), n);
}

FC_INLINE void activation_range(const activation_job *job, ptrdiff_t begin, ptrdiff_t end, activation function) {
  ptrdiff_t i = begin;
  for (; i + VL <= end; i += VL) activation_step(job, i, VL, function);
  if (i < end) activation_step(job, i, end - i, function);
}

static void activation_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const activation_job *job = context;
  const ptrdiff_t begin = piece * ACTIVATION_PIECE;
  const ptrdiff_t end = job->n - begin < ACTIVATION_PIECE ? job->n : begin + ACTIVATION_PIECE;
  switch (job->function) {
    case RELU:
      activation_range(job, begin, end, RELU);
      break;
    case RELU_GRAD:
      activation_range(job, begin, end, RELU_GRAD);
      break;
    case SIGMOID:
      activation_range(job, begin, end, SIGMOID);
      break;
    case SIGMOID_GRAD:
      activation_range(job, begin, end, SIGMOID_GRAD);
      break;
    case TANH:
      activation_range(job, begin, end, TANH);
      break;
    case TANH_GRAD:
      activation_range(job, begin, end, TANH_GRAD);
      break;
  }
}

static int activation_run(activation function, const void *x, const void *grad, void *out, ptrdiff_t n) {
  activation_job job = {.function = function, .x = x, .grad = grad, .out = out, .n = n};
  const double operations = function == SIGMOID || function == TANH ? 16 : 1;
  return fc_parallel((n + ACTIVATION_PIECE - 1) / ACTIVATION_PIECE, operations * (double)n, activation_piece, &job);
}

static int kernel_relu(const void *x, void *out, ptrdiff_t n) { return activation_run(RELU, x, NULL, out, n); }
static int kernel_sigmoid(const void *x, void *out, ptrdiff_t n) { return activation_run(SIGMOID, x, NULL, out, n); }
static int kernel_tanh(const void *x, void *out, ptrdiff_t n) { return activation_run(TANH, x, NULL, out, n); }

static int kernel_relu_grad(const void *out, const void *grad, void *grad_x, ptrdiff_t n) {
  return activation_run(RELU_GRAD, out, grad, grad_x, n);
}
static int kernel_sigmoid_grad(const void *out, const void *grad, void *grad_x, ptrdiff_t n) {
  return activation_run(SIGMOID_GRAD, out, grad, grad_x, n);
}
static int kernel_tanh_grad(const void *out, const void *grad, void *grad_x, ptrdiff_t n) {
  return activation_run(TANH_GRAD, out, grad, grad_x, n);
}
