/* Rectifiers with a slope for each channel, and the slopes' gradient. n adjacent elements, the channels innermost; few
 * channels are repeated until they make a row of whole vectors. */

enum { PRELU_ROWS = 64, PRELU_PIECE = 1 << 14, PRELU_WIDTH = 64 };

typedef struct {
  const real *x, *grad;
  real *slope, *out; /* the slopes of a row */
  double *sums;      /* of every piece, a row */
  ptrdiff_t n, width, rows, chunk;
} prelu_job;

static void prelu_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const prelu_job *job = context;
  const ptrdiff_t last = min_size(job->rows, (piece + 1) * job->chunk);
  for (ptrdiff_t row = piece * job->chunk; row < last; row++) {
    const ptrdiff_t begin = row * job->width, n = min_size(job->width, job->n - begin);
    for (ptrdiff_t c = 0; c < n; c += VL) {
      const ptrdiff_t lanes = min_size(VL, n - c);
      const vec x = v_load_n(job->x + begin + c, lanes), below = v_mul(v_load_n(job->slope + c, lanes), x);
      v_store_n(job->out + begin + c, v_select(v_lt(v_zero(), x), x, below), lanes);
    }
  }
}

/* The slopes' gradient is summed over 64 rows in the element type, then in double. */
static void prelu_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const prelu_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk);
  double *sums = job->sums + piece * job->width;
  memset(sums, 0, (size_t)job->width * sizeof(double));
  for (ptrdiff_t row = piece * job->chunk; row < end; row += PRELU_ROWS)
    for (ptrdiff_t c = 0; c < job->width; c += VL) {
      const vec slope = v_load_n(job->slope + c, min_size(VL, job->width - c));
      vec sum = v_zero();
      for (ptrdiff_t i = row; i < min_size(end, row + PRELU_ROWS); i++) {
        const ptrdiff_t at = i * job->width + c, lanes = min_size(min_size(VL, job->width - c), job->n - at);
        if (lanes <= 0) break;
        const vec x = v_load_n(job->x + at, lanes), grad = v_load_n(job->grad + at, lanes);
        const mask above = v_lt(v_zero(), x);
        sum = v_add(sum, v_select(above, v_zero(), v_mul(grad, x)));
        if (job->out) v_store_n(job->out + at, v_select(above, grad, v_mul(slope, grad)), lanes);
      }
      real lane[VL];
      v_store(lane, sum);
      for (ptrdiff_t i = 0; i < min_size(VL, job->width - c); i++) sums[c + i] += (double)lane[i];
    }
}

/* One slope, or one for each of `channels`. */
static int prelu_run(prelu_job *job, const real *slope, ptrdiff_t channels, real *grad_slope) {
  const ptrdiff_t repeats = ceil_div(PRELU_WIDTH, channels);
  job->width = channels * repeats;
  job->rows = ceil_div(job->n, job->width);
  job->chunk = ceil_div(max_size(1, PRELU_PIECE / job->width), PRELU_ROWS) * PRELU_ROWS;
  const ptrdiff_t pieces = ceil_div(job->rows, job->chunk);
  job->slope = fc_scratch_acquire(1, (size_t)job->width * sizeof(real));
  job->sums = fc_scratch_acquire(1, job->grad ? (size_t)(pieces * job->width) * sizeof(double) : 0);
  int status = job->slope && job->sums ? FC_OK : FC_NO_MEMORY;
  if (status == FC_OK) {
    for (ptrdiff_t i = 0; i < job->width; i++) job->slope[i] = slope[i % channels];
    status = fc_parallel(pieces, (double)job->n, job->grad ? prelu_grad_piece : prelu_piece, job);
  }
  if (status == FC_OK && grad_slope)
    for (ptrdiff_t c = 0; c < channels; c++) {
      double sum = 0;
      for (ptrdiff_t i = c; i < pieces * job->width; i += channels) sum += job->sums[i];
      grad_slope[c] = (real)sum;
    }
  fc_scratch_release(job->sums);
  fc_scratch_release(job->slope);
  return status;
}

static int kernel_prelu(const void *x, const void *slope, void *out, ptrdiff_t n, ptrdiff_t channels) {
  prelu_job job = {.x = x, .out = out, .n = n};
  return prelu_run(&job, slope, channels, NULL);
}

static int kernel_prelu_grad(const void *x, const void *slope, const void *grad, void *grad_x, void *grad_slope,
                             ptrdiff_t n, ptrdiff_t channels) {
  prelu_job job = {.x = x, .grad = grad, .out = grad_x, .n = n};
  return prelu_run(&job, slope, channels, grad_slope);
}
