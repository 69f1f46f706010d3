/* Activations of n adjacent elements and their gradients, which are computed from the results (relu, sigmoid, both
 * tanh) or from the inputs (all others). Limits at the infinities are exact, where x times 0 would give NaN. */
#include "math.h"

enum { ACTIVATION_PIECE = 1 << 16 }; /* elements, about; two cores that take turns at pieces of 2^14 lose a tenth */

typedef struct {
  const fc_activation *function;
  const real *x, *grad; /* for a gradient x is what the forward step kept */
  real *out;
  ptrdiff_t n, piece; /* elements, of all and of a piece */
} activation_job;

FC_INLINE vec clamp(vec x, real low, real high) { return v_min(v_set1(high), v_max(v_set1(low), x)); }

/* x, but not minus infinity, which times 0 is NaN. */
FC_INLINE vec above_infinity(vec x) { return v_max(v_set1(FC_DOUBLE ? (real)-DBL_MAX : -FLT_MAX), x); }

/* The two factors of tanh's form of GELU: the logistic function of 2u and 2 du/dx, u = sqrt(2/pi) (x + 0.044715 x^3).
 */
FC_INLINE vec gelu_tanh_gate(vec x, vec *slope) {
  const real linear = (real)1.5957691216057308, cubic = (real)0.07135481627260025;
  const vec square = v_mul(x, x);
  *slope = v_fma(square, v_set1(3 * cubic), v_set1(linear));
  return fc_sigmoid(v_mul(x, v_fma(square, v_set1(cubic), v_set1(linear))));
}

/* 0 to 1 as x goes from -3 to 3 */
FC_INLINE vec hard_gate(vec x) { return v_mul(clamp(v_add(x, v_set1(3)), 0, 6), v_set1((real)(1. / 6))); }

/* x times the probability that a normal number is below it: under 0 that of the tail, above it x without that of -x.
 * What a table serves is the same whatever stands beside it. */
FC_INLINE vec gelu(vec x) {
  vec tail, n = v_abs(x);
#ifdef FC_LOOKUP
  const mask near = v_le(n, v_set1(FC_NORMAL_END));
  const vec value = v_fma(v_sub(v_zero(), n), fc_normal_beyond(n), v_max(v_zero(), x));
  if (!m_any(m_not(near))) return value;
#endif
  n = fc_normal_distance(x);
  const vec e = fc_normal_tail(n, n, &tail);
  const vec any = v_fma(tail, e, v_max(v_zero(), x));
#ifdef FC_LOOKUP
  return v_select(near, value, any);
#else
  return any;
#endif
}

FC_INLINE vec activation_value(const int function, vec x, vec a, vec b, vec c) {
  vec e, n;
  switch (function) {
    case FC_relu:
      return v_max(v_zero(), x); /* NaN stays NaN */
    case FC_sigmoid:
      return fc_sigmoid(x);
    case FC_tanh:
      return fc_tanh(x);
    case FC_scaled_tanh:
      return v_mul(a, fc_tanh(v_mul(b, x)));
    case FC_hardtanh:
      return v_min(b, v_max(a, x));
    case FC_hardsigmoid:
      return hard_gate(x);
    case FC_leaky_relu:
      return v_select(v_lt(v_zero(), x), x, v_mul(a, x));
    case FC_elu:
      return v_mul(b, v_select(v_lt(v_zero(), x), x, v_mul(a, fc_expm1_below(v_mul(c, v_min(v_zero(), x))))));
    case FC_softplus:
      n = v_mul(a, x);
      e = v_add(v_max(v_zero(), n), fc_log1p(fc_exp(v_sub(v_zero(), v_abs(n)))));
      return v_select(v_lt(b, n), x, v_mul(c, e));
    case FC_gelu:
      return gelu(x);
    case FC_gelu_tanh:
      return v_mul(above_infinity(x), gelu_tanh_gate(x, &e));
    case FC_silu:
      return v_mul(above_infinity(x), fc_sigmoid(x));
    case FC_mish: /* tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2) */
      e = fc_exp(v_min(v_set1(20), x));
      n = v_mul(e, v_add(e, v_set1(2)));
      return v_mul(above_infinity(x), v_div(n, v_add(n, v_set1(2))));
    case FC_hardswish:
      return v_mul(above_infinity(x), hard_gate(x));
  }
  return x;
}

/* The derivative times grad. */
FC_INLINE vec activation_slope(const int function, vec x, vec grad, vec a, vec b, vec c) {
  const vec one = v_set1(1);
  vec e, n, s;
  switch (function) {
    case FC_relu:
      return v_select(v_le(x, v_zero()), v_zero(), grad);
    case FC_sigmoid:
      return v_mul(v_mul(grad, v_sub(one, x)), x);
    case FC_tanh:
      return v_mul(grad, v_fma(v_sub(v_zero(), x), x, one));
    case FC_scaled_tanh:
      return v_mul(grad, v_mul(b, v_fma(v_mul(c, v_sub(v_zero(), x)), x, a)));
    case FC_hardtanh:
      return v_select(m_or(v_le(x, a), v_le(b, x)), v_zero(), grad);
    case FC_hardsigmoid:
      return v_select(v_lt(v_abs(x), v_set1(3)), v_mul(grad, v_set1((real)(1. / 6))), v_zero());
    case FC_leaky_relu:
      return v_select(v_lt(v_zero(), x), grad, v_mul(a, grad));
    case FC_elu:
      s = v_mul(v_mul(a, c), fc_exp(v_mul(c, v_min(v_zero(), x))));
      return v_mul(v_mul(b, grad), v_select(v_lt(v_zero(), x), one, s));
    case FC_softplus:
      n = v_mul(a, x);
      return v_mul(grad, v_select(v_lt(b, n), one, fc_sigmoid(n)));
    case FC_gelu:
      e = fc_normal_tail(fc_normal_distance(x), one, &n);
      s = v_mul(clamp(x, -40, 40), v_set1((real)0.3989422804014327));
      return v_mul(grad, v_select(v_lt(x, v_zero()), v_mul(e, v_sub(s, n)), v_fma(e, v_add(s, n), one)));
    case FC_gelu_tanh:
      x = clamp(x, -40, 40);
      s = gelu_tanh_gate(x, &e);
      return v_mul(grad, v_mul(s, v_fma(v_mul(x, e), v_sub(one, s), one)));
    case FC_silu:
      s = fc_sigmoid(x);
      return v_mul(grad, v_mul(s, v_fma(clamp(x, -1000, 1000), v_sub(one, s), one)));
    case FC_mish: /* (n + 4 x e^x (1 + e^x) / (n + 2)) / (n + 2) */
      x = clamp(x, -1000, 20);
      e = fc_exp(x);
      n = v_mul(e, v_add(e, v_set1(2)));
      s = v_div(one, v_add(n, v_set1(2)));
      return v_mul(grad, v_mul(s, v_fma(v_mul(v_mul(x, v_set1(4)), v_fma(e, e, e)), s, n)));
    case FC_hardswish:
      s = v_fma(x, v_set1((real)(1. / 3)), v_set1((real)0.5));
      s = v_select(v_lt(x, v_set1(3)), s, one);
      return v_mul(grad, v_select(v_le(x, v_set1(-3)), v_zero(), s));
  }
  return x;
}

FC_INLINE void activation_step(const int function, const activation_job *job, const int gradient, ptrdiff_t i,
                               ptrdiff_t n, vec a, vec b, vec c) {
  const vec x = v_load_n(job->x + i, n);
  v_store_n(job->out + i,
            gradient ? activation_slope(function, x, v_load_n(job->grad + i, n), a, b, c)
                     : activation_value(function, x, a, b, c),
            n);
}

FC_INLINE void activation_range(const int function, const activation_job *job, const int gradient, ptrdiff_t i,
                                ptrdiff_t end) {
  const vec a = v_set1((real)job->function->a), b = v_set1((real)job->function->b);
  const vec c = v_set1((real)job->function->c);
  for (; i + VL <= end; i += VL) {
    v_ahead(job->x + i);
    if (gradient) v_ahead(job->grad + i);
    v_ahead_store(job->out + i);
    activation_step(function, job, gradient, i, VL, a, b, c);
  }
  if (i < end) activation_step(function, job, gradient, i, end - i, a, b, c);
}

FC_INLINE void activation_piece(const activation_job *job, const int gradient, ptrdiff_t piece) {
  const ptrdiff_t begin = piece * job->piece;
  const ptrdiff_t end = job->n - begin < job->piece ? job->n : begin + job->piece;
  switch (job->function->name) {
#define FC_CASE(name)                                       \
  case FC_##name:                                           \
    activation_range(FC_##name, job, gradient, begin, end); \
    break;
    FC_ACTIVATIONS(FC_CASE)
#undef FC_CASE
  }
}

static void activation_value_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  activation_piece(context, 0, piece);
}

static void activation_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  activation_piece(context, 1, piece);
}

static double activation_work(const fc_activation *function, ptrdiff_t n) {
  const int name = function->name;
  const int cheap =
      name == FC_relu || name == FC_hardtanh || name == FC_hardsigmoid || name == FC_leaky_relu || name == FC_hardswish;
  return (cheap ? 1 : 16) * (double)n;
}

static int run_activation(activation_job *job, fc_piece run) {
  const ptrdiff_t vectors = (job->n + VL - 1) / VL, share = fc_units_a_piece(vectors, (double)job->n, ACTIVATION_PIECE);
  job->piece = share * VL;
  return fc_parallel((vectors + share - 1) / share, activation_work(job->function, job->n), run, job);
}

static int kernel_activation(const fc_activation *function, const void *x, void *out, ptrdiff_t n) {
  activation_job job = {.function = function, .x = x, .out = out, .n = n};
  return run_activation(&job, activation_value_piece);
}

static int kernel_activation_grad(const fc_activation *function, const void *kept, const void *grad, void *grad_x,
                                  ptrdiff_t n) {
  activation_job job = {.function = function, .x = kept, .grad = grad, .out = grad_x, .n = n};
  return run_activation(&job, activation_grad_piece);
}
