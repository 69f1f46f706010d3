/* Local response normalisation across channels, channels last: out = x / d^beta with d = k + alpha / size * (sum of the
 * squares of the channels from c - size / 2 to c + (size - 1) / 2). */

enum { LRN_PIECE = 1 << 14 };

typedef struct {
  const real *x, *grad;
  real *out;
  void *scratch;
  ptrdiff_t rows, n, size, chunk; /* rows (pixels) of a piece */
  double alpha, beta, k;
} lrn_job;

/* d^-beta. Quarters need only roots. */
FC_INLINE vec lrn_power(vec d, double beta) {
  if (beta == 0.75 || beta == 0.5 || beta == 1) {
    const vec root = v_sqrt(d);
    return v_div(v_set1(1), beta == 1 ? d : beta == 0.5 ? root : v_mul(root, v_sqrt(root)));
  }
  real lane[VL];
  v_store(lane, d);
  for (int i = 0; i < VL; i++) lane[i] = (real)pow((double)lane[i], -beta);
  return v_load(lane);
}

/* The sum of `size` neighbours; `from` has the first of element 0's, zeros where there is no channel. */
FC_INLINE vec lrn_window(const real *from, ptrdiff_t size) {
  vec sum = v_load(from);
  for (ptrdiff_t j = 1; j < size; j++) sum = v_add(sum, v_load(from + j));
  return sum;
}

/* Buffers of a row have `size` zeros on either side, and a vector's room at the end. */
static size_t lrn_row_bytes(ptrdiff_t n, ptrdiff_t size) { return (size_t)(n + 2 * size + 2 * VL) * sizeof(real); }

static void lrn_squares(const lrn_job *job, const real *x, real *squares) {
  for (ptrdiff_t i = 0; i < job->n; i += VL) {
    const ptrdiff_t lanes = min_size(VL, job->n - i);
    const vec value = v_load_n(x + i, lanes);
    v_store(squares + job->size + i, v_mul(value, value)); /* beyond the row: zeros */
  }
}

FC_INLINE vec lrn_scale(const lrn_job *job, const real *squares, ptrdiff_t i) {
  const vec sum = lrn_window(squares + job->size + i - job->size / 2, job->size);
  return v_fma(sum, v_set1((real)(job->alpha / (double)job->size)), v_set1((real)job->k));
}

static void lrn_piece(void *context, ptrdiff_t piece, int worker) {
  const lrn_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk), n = job->n;
  real *squares = fc_scratch_part(job->scratch, worker);
  memset(squares, 0, lrn_row_bytes(n, job->size));
  for (ptrdiff_t row = piece * job->chunk; row < end; row++) {
    const real *x = job->x + row * n;
    lrn_squares(job, x, squares);
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t lanes = min_size(VL, n - i);
      const vec power = lrn_power(lrn_scale(job, squares, i), job->beta);
      v_store_n(job->out + row * n + i, v_mul(v_load_n(x + i, lanes), power), lanes);
    }
  }
}

/* grad_x = grad d^-beta - 2 alpha beta / size * x * (sum of grad x d^(-beta - 1) over the channels whose window has it)
 */
static void lrn_grad_piece(void *context, ptrdiff_t piece, int worker) {
  const lrn_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk), n = job->n, size = job->size;
  real *squares = fc_scratch_part(job->scratch, worker), *shares = squares + lrn_row_bytes(n, size) / sizeof(real);
  memset(squares, 0, 2 * lrn_row_bytes(n, size));
  const vec factor = v_set1((real)(-2 * job->alpha * job->beta / (double)size));
  for (ptrdiff_t row = piece * job->chunk; row < end; row++) {
    const real *x = job->x + row * n, *grad = job->grad + row * n;
    real *out = job->out + row * n;
    lrn_squares(job, x, squares);
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t lanes = min_size(VL, n - i);
      const vec d = lrn_scale(job, squares, i), power = lrn_power(d, job->beta);
      const vec share = v_mul(v_load_n(grad + i, lanes), power);
      v_store_n(out + i, share, lanes);
      const vec weighted = v_div(v_mul(share, v_load_n(x + i, lanes)), d);
      v_store(shares + size + i, v_select(m_first(lanes), weighted, v_zero()));
    }
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t lanes = min_size(VL, n - i);
      const vec sum = lrn_window(shares + size + i - (size - 1) / 2, size);
      const vec scaled = v_mul(factor, v_load_n(x + i, lanes));
      v_store_n(out + i, v_fma(scaled, sum, v_load_n(out + i, lanes)), lanes);
    }
  }
}

static int lrn_run(lrn_job *job, const fc_lrn *lrn, fc_piece run, int buffers) {
  job->rows = lrn->rows, job->n = lrn->channels, job->size = lrn->size;
  job->alpha = lrn->alpha, job->beta = lrn->beta, job->k = lrn->k;
  job->chunk = max_size(1, LRN_PIECE / max_size(1, lrn->channels));
  job->scratch = fc_scratch_acquire(fc_workers(), (size_t)buffers * lrn_row_bytes(lrn->channels, lrn->size));
  if (!job->scratch) return FC_NO_MEMORY;
  const int status = fc_parallel(ceil_div(lrn->rows, job->chunk), 16 * (double)lrn->rows * lrn->channels, run, job);
  fc_scratch_release(job->scratch);
  return status;
}

static int kernel_local_response_norm(const fc_lrn *lrn, const void *x, void *out) {
  return lrn_run(&(lrn_job){.x = x, .out = out}, lrn, lrn_piece, 1);
}

static int kernel_local_response_norm_grad(const fc_lrn *lrn, const void *x, const void *grad, void *grad_x) {
  return lrn_run(&(lrn_job){.x = x, .grad = grad, .out = grad_x}, lrn, lrn_grad_piece, 2);
}
