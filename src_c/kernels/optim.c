/* The step of stochastic gradient descent, in PyTorch's order of operations and roundings:
 *
 *     d = g + decay p;  v = first ? d : momentum v + (1 - dampening) d;  d = nesterov ? d + momentum v : v;  p = p - lr
 * d
 */
enum { SGD_PIECE = 1 << 14 }; /* elements */

typedef struct {
  real *parameter, *velocity; /* velocity: NULL without momentum */
  const real *grad;
  ptrdiff_t n;
  real lr, momentum, undamped, decay;
  int nesterov, first;
} sgd_job;

FC_INLINE void sgd_step(const sgd_job *job, ptrdiff_t i, ptrdiff_t n) {
  const vec p = v_load_n(job->parameter + i, n);
  vec d = v_load_n(job->grad + i, n);
  if (job->decay != 0) d = v_fma(v_set1(job->decay), p, d);
  if (job->velocity) {
    const vec momentum = v_set1(job->momentum);
    vec v = d;
    if (!job->first) v = v_fma(v_set1(job->undamped), d, v_mul(momentum, v_load_n(job->velocity + i, n)));
    v_store_n(job->velocity + i, v, n);
    d = job->nesterov ? v_fma(momentum, v, d) : v;
  }
  v_store_n(job->parameter + i, v_fma(v_set1(-job->lr), d, p), n);
}

static void sgd_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const sgd_job *job = context;
  ptrdiff_t i = piece * SGD_PIECE;
  const ptrdiff_t end = job->n - i < SGD_PIECE ? job->n : i + SGD_PIECE;
  for (; i + VL <= end; i += VL) sgd_step(job, i, VL);
  if (i < end) sgd_step(job, i, end - i);
}

static int kernel_sgd_update(void *parameter, const void *grad, void *velocity, ptrdiff_t n, const fc_sgd *options) {
  sgd_job job = {.parameter = parameter,
                 .velocity = velocity,
                 .grad = grad,
                 .n = n,
                 .lr = (real)options->lr,
                 .momentum = (real)options->momentum,
                 .undamped = (real)(1 - options->dampening),
                 .decay = (real)options->weight_decay,
                 .nesterov = options->nesterov,
                 .first = options->first};
  return fc_parallel((n + SGD_PIECE - 1) / SGD_PIECE, 4 * (double)n, sgd_piece, &job);
}
