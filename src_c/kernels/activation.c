/* Activations of contiguous arrays. */

enum { ELEMENTWISE_PIECE = 1 << 14 }; /* elements a piece: 64 KB of floats, far above the cost of handing it out */

typedef struct {
  const real *x, *grad;
  real *out;
  ptrdiff_t n;
} activation_job;

static void relu_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const activation_job *job = context;
  const ptrdiff_t begin = piece * ELEMENTWISE_PIECE;
  const ptrdiff_t end = begin + ELEMENTWISE_PIECE < job->n ? begin + ELEMENTWISE_PIECE : job->n;
  ptrdiff_t i = begin;
  for (; i + VL <= end; i += VL) v_store(job->out + i, v_max(v_zero(), v_load(job->x + i))); /* NaN stays NaN */
  v_store_n(job->out + i, v_max(v_zero(), v_load_n(job->x + i, end - i)), end - i);
}

static int kernel_relu(const void *x, void *out, ptrdiff_t n) {
  activation_job job = {.x = x, .out = out, .n = n};
  return fc_parallel((n + ELEMENTWISE_PIECE - 1) / ELEMENTWISE_PIECE, (double)n, relu_piece, &job);
}

static void relu_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const activation_job *job = context;
  const ptrdiff_t begin = piece * ELEMENTWISE_PIECE;
  const ptrdiff_t end = begin + ELEMENTWISE_PIECE < job->n ? begin + ELEMENTWISE_PIECE : job->n;
  for (ptrdiff_t i = begin; i < end; i += VL) {
    const ptrdiff_t n = end - i < VL ? end - i : VL;
    const mask dead = v_le(v_load_n(job->x + i, n), v_zero());
    v_store_n(job->out + i, v_select(dead, v_zero(), v_load_n(job->grad + i, n)), n);
  }
}

/* `out` is relu's result: its sign decides, and a NaN there lets the gradient pass. */
static int kernel_relu_grad(const void *out, const void *grad, void *grad_x, ptrdiff_t n) {
  activation_job job = {.x = out, .grad = grad, .out = grad_x, .n = n};
  return fc_parallel((n + ELEMENTWISE_PIECE - 1) / ELEMENTWISE_PIECE, (double)n, relu_grad_piece, &job);
}
