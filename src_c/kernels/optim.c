/* Steps of optimisers, in place, in PyTorch's order of operations and roundings. With g the gradient, negated when
 * climbing, plus weight_decay p:
 *
 *     sgd       v = first ? g : momentum v + fresh g;  p -= lr (nesterov ? g + momentum v : v)
 *     adam      p *= shrink;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g²;  top = max(top, v);
 *               p -= lr m / (sqrt(top) / correction + eps)
 *     rmsprop   v = beta2 v + (1 - beta2) g²;  m += (1 - beta2) (g - m);  d = g / (sqrt(v - m²) + eps);
 *               b = momentum b + d;  p -= lr b
 *     adagrad   s += g²;  p -= lr g / (sqrt(s) + eps)
 *     adadelta  v = beta2 v + (1 - beta2) g²;  d = g sqrt(u + eps) / sqrt(v + eps);  u = beta2 u + (1 - beta2) d²;
 *               p -= lr d
 *
 * What a rule keeps for every element comes in `state`, in the order of the letters above; NULL leaves its term out. */
enum { UPDATE_PIECE = 1 << 14 }; /* elements */

typedef struct update_job update_job;
typedef void update_sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end);
struct update_job {
  real *parameter, *state[3];
  const real *grad;
  ptrdiff_t n;
  const fc_update *options;
  update_sweep *sweep;
};

/* One rule for a vector of n <= VL elements from i on. */
typedef void update_rule(const update_job *job, ptrdiff_t i, ptrdiff_t n);

FC_INLINE vec set1(double a) { return v_set1((real)a); }

FC_INLINE vec update_grad(const update_job *job, vec p, ptrdiff_t i, ptrdiff_t n) {
  const vec g = v_load_n(job->grad + i, n);
  const vec ascent = job->options->maximize ? v_sub(v_zero(), g) : g;
  return job->options->weight_decay != 0 ? v_fma(set1(job->options->weight_decay), p, ascent) : ascent;
}

/* An average that moves: stays * old + (1 - stays) * d², which is stored and returned. */
FC_INLINE vec average_square(real *average, double stays, vec d, ptrdiff_t n) {
  const vec now = v_fma(v_mul(set1(1 - stays), d), d, v_mul(set1(stays), v_load_n(average, n)));
  v_store_n(average, now, n);
  return now;
}

/* The same of d itself, from whichever end is nearer, as PyTorch's lerp goes: where nothing stays, it is d exactly. */
FC_INLINE vec average(real *average, double stays, vec d, ptrdiff_t n) {
  const vec before = v_load_n(average, n), way = v_sub(d, before), share = set1(1 - stays);
  const vec now = 1 - stays < 0.5 ? v_fma(share, way, before) : v_fma(v_sub(share, set1(1)), way, d);
  v_store_n(average, now, n);
  return now;
}

FC_INLINE void sgd_rule(const update_job *job, ptrdiff_t i, ptrdiff_t n) {
  const fc_update *o = job->options;
  const vec p = v_load_n(job->parameter + i, n), momentum = set1(o->momentum);
  vec d = update_grad(job, p, i, n);
  if (job->state[0]) {
    vec v = d;
    if (!o->first) v = v_fma(set1(o->fresh), d, v_mul(momentum, v_load_n(job->state[0] + i, n)));
    v_store_n(job->state[0] + i, v, n);
    d = o->nesterov ? v_fma(momentum, v, d) : v;
  }
  v_store_n(job->parameter + i, v_fma(set1(-o->lr), d, p), n);
}

FC_INLINE void adam_rule(const update_job *job, ptrdiff_t i, ptrdiff_t n) {
  const fc_update *o = job->options;
  const vec before = v_load_n(job->parameter + i, n);
  const vec g = update_grad(job, before, i, n);
  const vec p = o->shrink != 1 ? v_mul(before, set1(o->shrink)) : before;
  const vec m = average(job->state[0] + i, o->beta1, g, n);
  vec top = average_square(job->state[1] + i, o->beta2, g, n);
  if (job->state[2]) {
    const vec known = v_load_n(job->state[2] + i, n);
    top = v_select(v_lt(top, known), known, top); /* a NaN in v stays */
    v_store_n(job->state[2] + i, top, n);
  }
  const vec below = v_add(v_div(v_sqrt(top), set1(o->correction)), set1(o->eps));
  v_store_n(job->parameter + i, v_add(p, v_div(v_mul(set1(-o->lr), m), below)), n);
}

FC_INLINE void rmsprop_rule(const update_job *job, ptrdiff_t i, ptrdiff_t n) {
  const fc_update *o = job->options;
  const vec p = v_load_n(job->parameter + i, n);
  const vec g = update_grad(job, p, i, n);
  vec v = average_square(job->state[0] + i, o->beta2, g, n);
  if (job->state[1]) {
    const vec m = average(job->state[1] + i, o->beta2, g, n);
    v = v_max(v_zero(), v_fma(v_sub(v_zero(), m), m, v)); /* rounding may leave it below 0, where PyTorch has NaN */
  }
  const vec below = v_add(v_sqrt(v), set1(o->eps)), rate = set1(-o->lr);
  if (job->state[2]) {
    const vec b = v_add(v_mul(set1(o->momentum), v_load_n(job->state[2] + i, n)), v_div(g, below));
    v_store_n(job->state[2] + i, b, n);
    v_store_n(job->parameter + i, v_fma(rate, b, p), n);
  } else {
    v_store_n(job->parameter + i, v_add(p, v_div(v_mul(rate, g), below)), n);
  }
}

FC_INLINE void adagrad_rule(const update_job *job, ptrdiff_t i, ptrdiff_t n) {
  const fc_update *o = job->options;
  const vec p = v_load_n(job->parameter + i, n);
  const vec g = update_grad(job, p, i, n);
  const vec s = v_fma(g, g, v_load_n(job->state[0] + i, n));
  v_store_n(job->state[0] + i, s, n);
  const vec below = v_add(v_sqrt(s), set1(o->eps));
  v_store_n(job->parameter + i, v_add(p, v_div(v_mul(set1(-o->lr), g), below)), n);
}

FC_INLINE void adadelta_rule(const update_job *job, ptrdiff_t i, ptrdiff_t n) {
  const fc_update *o = job->options;
  const vec p = v_load_n(job->parameter + i, n), eps = set1(o->eps);
  const vec g = update_grad(job, p, i, n);
  const vec v = average_square(job->state[0] + i, o->beta2, g, n);
  const vec u = v_load_n(job->state[1] + i, n);
  const vec d = v_mul(v_div(v_sqrt(v_add(u, eps)), v_sqrt(v_add(v, eps))), g);
  average_square(job->state[1] + i, o->beta2, d, n);
  v_store_n(job->parameter + i, v_fma(set1(-o->lr), d, p), n);
}

FC_INLINE void sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end, update_rule *rule) {
  const fc_update options = *job->options; /* copies, which no store into an array can change */
  update_job mine = *job;
  mine.options = &options;
  for (; i + VL <= end; i += VL) {
    v_ahead(mine.grad + i);
    v_ahead_store(mine.parameter + i);
    for (int k = 0; k < 3; k++)
      if (mine.state[k]) v_ahead_store(mine.state[k] + i);
    rule(&mine, i, VL);
  }
  if (i < end) rule(&mine, i, end - i);
}

static void sgd_sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end) { sweep(job, i, end, sgd_rule); }
static void adam_sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end) { sweep(job, i, end, adam_rule); }
static void rmsprop_sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end) { sweep(job, i, end, rmsprop_rule); }
static void adagrad_sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end) { sweep(job, i, end, adagrad_rule); }
static void adadelta_sweep(const update_job *job, ptrdiff_t i, ptrdiff_t end) { sweep(job, i, end, adadelta_rule); }

static void update_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const update_job *job = context;
  const ptrdiff_t i = piece * UPDATE_PIECE;
  job->sweep(job, i, job->n - i < UPDATE_PIECE ? job->n : i + UPDATE_PIECE);
}

/* `work`: multiply-adds that take as long as the rule does for one element. */
static int update(void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *options,
                  double work, update_sweep *sweep) {
  update_job job = {.parameter = parameter,
                    .state = {state[0], state[1], state[2]},
                    .grad = grad,
                    .n = n,
                    .options = options,
                    .sweep = sweep};
  return fc_parallel((n + UPDATE_PIECE - 1) / UPDATE_PIECE, work * (double)n, update_piece, &job);
}

static int kernel_sgd_update(void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *o) {
  return update(parameter, grad, state, n, o, 4, sgd_sweep);
}

static int kernel_adam_update(void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *o) {
  return update(parameter, grad, state, n, o, 16, adam_sweep);
}

static int kernel_rmsprop_update(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                                 const fc_update *o) {
  return update(parameter, grad, state, n, o, 16, rmsprop_sweep);
}

static int kernel_adagrad_update(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                                 const fc_update *o) {
  return update(parameter, grad, state, n, o, 12, adagrad_sweep);
}

static int kernel_adadelta_update(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                                  const fc_update *o) {
  return update(parameter, grad, state, n, o, 20, adadelta_sweep);
}

/* ---- the sum of squares, of which norms are made */

enum { SUM_PIECES = 64 };

typedef struct {
  const real *x;
  ptrdiff_t n, length; /* of a piece */
  double sums[SUM_PIECES];
} sum_job;

static void sum_squares_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sum_job *job = context;
  ptrdiff_t i = piece * job->length;
  const ptrdiff_t end = job->n - i < job->length ? job->n : i + job->length;
  double total = 0;
  while (i < end) { /* short sums in the arrays' type, which are exact enough, then long ones in double */
    const ptrdiff_t stop = end - i < 16 * 4 * VL ? end : i + 16 * 4 * VL;
    vec a = v_zero(), b = v_zero(), c = v_zero(), d = v_zero();
    for (; i + 4 * VL <= stop; i += 4 * VL) {
      const vec e = v_load(job->x + i), f = v_load(job->x + i + VL), g = v_load(job->x + i + 2 * VL),
                h = v_load(job->x + i + 3 * VL);
      a = v_fma(e, e, a);
      b = v_fma(f, f, b);
      c = v_fma(g, g, c);
      d = v_fma(h, h, d);
    }
    for (; i < stop; i += VL) {
      const vec e = v_load_n(job->x + i, stop - i < VL ? stop - i : VL);
      a = v_fma(e, e, a);
    }
    i = stop;
    total += (double)v_sum(v_add(v_add(a, b), v_add(c, d)));
  }
  job->sums[piece] = total;
}

static int kernel_sum_squares(const void *x, ptrdiff_t n, double *total) {
  sum_job job = {.x = x, .n = n, .length = (n / SUM_PIECES / 4096 + 1) * 4096};
  const ptrdiff_t pieces = (n + job.length - 1) / job.length;
  const int status = fc_parallel(pieces, (double)n, sum_squares_piece, &job);
  *total = 0;
  for (ptrdiff_t i = 0; i < pieces && status == FC_OK; i++) *total += job.sums[i];
  return status;
}
