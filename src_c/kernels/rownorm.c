/* Layer normalisation: every row of n adjacent elements by its own mean and variance, with a weight and a bias for each
 * element of a row. Sums are made in the element type over blocks and added up in double. */

enum { ROW_BLOCK = 64, ROW_PIECE = 1 << 15 };

typedef struct {
  const real *x, *grad, *weight, *bias;
  real *out;
  double *mean, *deviation, *sums; /* of each row its mean and 1 / sqrt(var + eps); of each piece two sums a column */
  ptrdiff_t rows, n, chunk;        /* rows of a piece */
  double eps;
} layer_norm_job;

static layer_norm_job layer_norm_start(ptrdiff_t rows, ptrdiff_t n) {
  const ptrdiff_t chunk = ceil_div(max_size(1, ROW_PIECE / max_size(1, n)), ROW_BLOCK) * ROW_BLOCK;
  return (layer_norm_job){
      .rows = rows, .n = n, .chunk = n > ROW_PIECE / ROW_BLOCK ? max_size(1, ROW_PIECE / n) : chunk};
}

/* The sum of x - shift over a row or, `squares`, of its square. */
FC_INLINE double row_sum(const int squares, const real *x, ptrdiff_t n, real shift) {
  const vec s = v_set1(shift);
  double total = 0;
  for (ptrdiff_t begin = 0; begin < n; begin += ROW_BLOCK * VL) {
    const ptrdiff_t end = min_size(n, begin + ROW_BLOCK * VL);
    vec sum = v_zero(), other = v_zero();
    ptrdiff_t i = begin;
    for (; i + 2 * VL <= end; i += 2 * VL) {
      const vec a = v_sub(v_load(x + i), s), b = v_sub(v_load(x + i + VL), s);
      sum = squares ? v_fma(a, a, sum) : v_add(sum, a);
      other = squares ? v_fma(b, b, other) : v_add(other, b);
    }
    for (; i < end; i += VL) {
      const ptrdiff_t lanes = min_size(VL, end - i);
      const vec a = v_select(m_first(lanes), v_sub(v_load_n(x + i, lanes), s), v_zero());
      sum = squares ? v_fma(a, a, sum) : v_add(sum, a);
    }
    total += (double)v_sum(v_add(sum, other));
  }
  return total;
}

static void layer_norm_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const layer_norm_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk), n = job->n;
  for (ptrdiff_t row = piece * job->chunk; row < end; row++) {
    const real *x = job->x + row * n;
    const double mean = (double)x[0] + row_sum(0, x, n, x[0]) / (double)n, rounded = (double)(real)mean;
    const double var = row_sum(1, x, n, (real)mean) / (double)n - (rounded - mean) * (rounded - mean);
    job->mean[row] = mean;
    job->deviation[row] = 1 / sqrt((var < 0 ? 0 : var) + job->eps);
    const vec centre = v_set1((real)mean), scale = v_set1((real)job->deviation[row]);
    const vec lost = v_set1((real)((rounded - mean) * job->deviation[row]));
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t lanes = min_size(VL, n - i);
      vec value = v_fma(v_sub(v_load_n(x + i, lanes), centre), scale, lost);
      if (job->weight) value = v_mul(value, v_load_n(job->weight + i, lanes));
      if (job->bias) value = v_add(value, v_load_n(job->bias + i, lanes));
      v_store_n(job->out + row * n + i, value, lanes);
    }
  }
}

/* x' = (x - mean) / deviation of adjacent elements of a row */
FC_INLINE vec normal_of(const layer_norm_job *job, ptrdiff_t row, ptrdiff_t i, ptrdiff_t lanes) {
  const real centre = (real)job->mean[row];
  const vec lost = v_set1((real)(((double)centre - job->mean[row]) * job->deviation[row]));
  const vec distance = v_sub(v_load_n(job->x + row * job->n + i, lanes), v_set1(centre));
  return v_fma(distance, v_set1((real)job->deviation[row]), lost);
}

/* With g' = grad * weight: (g' - mean of g' - x' * mean of g' x') / deviation. */
static void layer_norm_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const layer_norm_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk), n = job->n;
  for (ptrdiff_t row = piece * job->chunk; row < end; row++) {
    const real *grad = job->grad + row * n;
    double sum = 0, product = 0;
    for (ptrdiff_t begin = 0; begin < n; begin += ROW_BLOCK * VL) {
      vec a = v_zero(), b = v_zero();
      for (ptrdiff_t i = begin; i < min_size(n, begin + ROW_BLOCK * VL); i += VL) {
        const ptrdiff_t lanes = min_size(VL, n - i);
        const vec w = job->weight ? v_load_n(job->weight + i, lanes) : v_set1(1);
        const vec g = v_mul(v_load_n(grad + i, lanes), w);
        a = v_add(a, g);
        b = v_add(b, v_select(m_first(lanes), v_mul(g, normal_of(job, row, i, lanes)), v_zero()));
      }
      sum += (double)v_sum(a);
      product += (double)v_sum(b);
    }
    const double scale = job->deviation[row];
    const vec factor = v_set1((real)scale), along = v_set1((real)(-product / (double)n * scale));
    const vec offset = v_set1((real)(-sum / (double)n * scale));
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t lanes = min_size(VL, n - i);
      const vec w = job->weight ? v_load_n(job->weight + i, lanes) : v_set1(1);
      const vec rest = v_fma(normal_of(job, row, i, lanes), along, offset);
      v_store_n(job->out + row * n + i, v_fma(v_mul(v_load_n(grad + i, lanes), w), factor, rest), lanes);
    }
  }
}

/* Sums of grad and of grad * x' over a piece's rows: the gradients of bias and weight. */
static void layer_norm_sums_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const layer_norm_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk), n = job->n;
  double *sums = job->sums + piece * 2 * n;
  memset(sums, 0, (size_t)(2 * n) * sizeof(double));
  for (ptrdiff_t row = piece * job->chunk; row < end; row += ROW_BLOCK)
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t lanes = min_size(VL, n - i);
      vec a = v_zero(), b = v_zero();
      for (ptrdiff_t r = row; r < min_size(end, row + ROW_BLOCK); r++) {
        const vec grad = v_load_n(job->grad + r * n + i, lanes);
        a = v_add(a, grad);
        b = v_fma(grad, normal_of(job, r, i, lanes), b);
      }
      real first[VL], second[VL];
      v_store(first, a);
      v_store(second, b);
      for (ptrdiff_t k = 0; k < lanes; k++) sums[i + k] += (double)first[k], sums[n + i + k] += (double)second[k];
    }
}

static int kernel_layer_norm(const void *x, const void *weight, const void *bias, void *out, double *mean,
                             double *deviation, ptrdiff_t rows, ptrdiff_t n, double eps) {
  layer_norm_job job = layer_norm_start(rows, n);
  job.x = x, job.weight = weight, job.bias = bias, job.out = out, job.mean = mean, job.deviation = deviation;
  job.eps = eps;
  return fc_parallel(ceil_div(rows, job.chunk), 3 * (double)rows * (double)n, layer_norm_piece, &job);
}

static int kernel_layer_norm_grad(const void *x, const void *grad, const void *weight, const double *mean,
                                  const double *deviation, void *grad_x, void *grad_weight, void *grad_bias,
                                  ptrdiff_t rows, ptrdiff_t n) {
  layer_norm_job job = layer_norm_start(rows, n);
  job.x = x, job.grad = grad, job.weight = weight, job.out = grad_x;
  job.mean = (double *)mean, job.deviation = (double *)deviation;
  const ptrdiff_t pieces = ceil_div(rows, job.chunk);
  const double work = 3 * (double)rows * (double)n;
  int status = grad_x ? fc_parallel(pieces, work, layer_norm_grad_piece, &job) : FC_OK;
  if (status != FC_OK || (!grad_weight && !grad_bias)) return status;
  job.chunk = max_size(job.chunk, ROW_BLOCK); /* long rows: fewer, larger pieces, whose sums take less memory */
  const ptrdiff_t parts = ceil_div(rows, job.chunk);
  job.sums = fc_scratch_acquire(1, (size_t)(parts * 2 * n) * sizeof(double));
  if (!job.sums) return FC_NO_MEMORY;
  status = fc_parallel(parts, work, layer_norm_sums_piece, &job);
  real *to[] = {grad_bias, grad_weight};
  for (int which = 0; which < 2; which++)
    for (ptrdiff_t i = 0; to[which] && i < n; i++) {
      double sum = 0;
      for (ptrdiff_t part = 0; part < parts; part++) sum += job.sums[part * 2 * n + which * n + i];
      to[which][i] = (real)sum;
    }
  fc_scratch_release(job.sums);
  return status;
}
