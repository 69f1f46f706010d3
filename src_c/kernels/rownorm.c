/* Layer normalisation: every row of n adjacent elements by its own mean and variance, with a weight and a bias for each
 * element of a row. Sums are made in the element type over blocks and added up in double. */

enum { ROW_BLOCK = 64, ROW_PIECE = 1 << 15, ROW_SHORT = ROW_PIECE / ROW_BLOCK }; /* rows; elements of a piece, a row */

typedef struct {
  const real *x, *grad, *weight, *bias;
  real *out;
  double *mean, *deviation, *sums; /* of each row its mean and 1 / sqrt(var + eps); of each piece two sums a column */
  ptrdiff_t rows, n, chunk;        /* rows of a piece */
  double eps;
} layer_norm_job;

static layer_norm_job layer_norm_start(ptrdiff_t rows, ptrdiff_t n) {
  const ptrdiff_t chunk = ceil_div(max_size(1, ROW_PIECE / max_size(1, n)), ROW_BLOCK) * ROW_BLOCK;
  return (layer_norm_job){.rows = rows, .n = n, .chunk = n > ROW_SHORT ? max_size(1, ROW_PIECE / n) : chunk};
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

/* x' = (x - mean) / deviation: what a row's elements share. */
typedef struct {
  vec centre, scale, lost;
} row_form;

FC_INLINE row_form form_of(const layer_norm_job *job, ptrdiff_t row) {
  const real centre = (real)job->mean[row];
  return (row_form){.centre = v_set1(centre),
                    .scale = v_set1((real)job->deviation[row]),
                    .lost = v_set1((real)(((double)centre - job->mean[row]) * job->deviation[row]))};
}

FC_INLINE vec normal_of(const row_form *form, const real *x, ptrdiff_t lanes) {
  return v_fma(v_sub(v_load_n(x, lanes), form->centre), form->scale, form->lost);
}

/* The sums over a row and over a block of rows. */
typedef struct {
  vec grad, product;
  real *first, *second; /* NULL, or of each column the sums of grad and of grad * x' */
} row_sums;

/* With g' = grad * weight, adds g' and g' x' of adjacent elements. */
FC_INLINE void add_row(const layer_norm_job *job, const row_form *form, const real *grad, const real *x, ptrdiff_t i,
                       ptrdiff_t lanes, row_sums *sums) {
  const vec given = v_load_n(grad + i, lanes), normal = normal_of(form, x + i, lanes);
  const vec g = job->weight ? v_mul(given, v_load_n(job->weight + i, lanes)) : given, product = v_mul(g, normal);
  sums->grad = v_add(sums->grad, g);
  sums->product = v_add(sums->product, lanes == VL ? product : v_select(m_first(lanes), product, v_zero()));
  if (!sums->first) return;
  v_store_n(sums->first + i, v_add(v_load_n(sums->first + i, lanes), given), lanes);
  v_store_n(sums->second + i, v_fma(given, normal, v_load_n(sums->second + i, lanes)), lanes);
}

FC_INLINE void store_row(const layer_norm_job *job, const row_form *form, const real *grad, const real *x, ptrdiff_t i,
                         ptrdiff_t lanes, vec along, vec offset, real *out) {
  const vec given = v_load_n(grad + i, lanes), rest = v_fma(normal_of(form, x + i, lanes), along, offset);
  const vec g = job->weight ? v_mul(given, v_load_n(job->weight + i, lanes)) : given;
  v_store_n(out + i, v_fma(g, form->scale, rest), lanes);
}

/* (g' - mean of g' - x' * mean of g' x') / deviation */
FC_INLINE void row_gradient(const layer_norm_job *job, ptrdiff_t row, real *first, real *second) {
  const real *grad = job->grad + row * job->n, *x = job->x + row * job->n;
  real *out = job->out + row * job->n;
  const ptrdiff_t n = job->n;
  const row_form form = form_of(job, row);
  double sum = 0, product = 0;
  for (ptrdiff_t begin = 0; begin < n; begin += ROW_BLOCK * VL) {
    row_sums sums = {.grad = v_zero(), .product = v_zero(), .first = first, .second = second};
    const ptrdiff_t end = min_size(n, begin + ROW_BLOCK * VL);
    ptrdiff_t i = begin;
    for (; i + VL <= end; i += VL) add_row(job, &form, grad, x, i, VL, &sums);
    if (i < end) add_row(job, &form, grad, x, i, end - i, &sums);
    sum += (double)v_sum(sums.grad);
    product += (double)v_sum(sums.product);
  }
  const double scale = -job->deviation[row] / (double)n;
  const vec along = v_set1((real)(product * scale)), offset = v_set1((real)(sum * scale));
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) store_row(job, &form, grad, x, i, VL, along, offset, out);
  if (i < n) store_row(job, &form, grad, x, i, n - i, along, offset, out);
}

static void layer_norm_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const layer_norm_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk);
  for (ptrdiff_t row = piece * job->chunk; row < end; row++) row_gradient(job, row, NULL, NULL);
}

/* The same of short rows, with the columns' sums: everything is read once. */
static void layer_norm_whole_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const layer_norm_job *job = context;
  const ptrdiff_t end = min_size(job->rows, (piece + 1) * job->chunk), n = job->n;
  double *sums = job->sums + piece * 2 * n;
  memset(sums, 0, (size_t)(2 * n) * sizeof(double));
  for (ptrdiff_t row = piece * job->chunk; row < end; row += ROW_BLOCK) {
    real columns[2 * ROW_SHORT];
    memset(columns, 0, (size_t)(2 * n) * sizeof(real));
    for (ptrdiff_t r = row; r < min_size(end, row + ROW_BLOCK); r++) row_gradient(job, r, columns, columns + n);
    for (ptrdiff_t i = 0; i < 2 * n; i++) sums[i] += (double)columns[i];
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
        const row_form form = form_of(job, r);
        a = v_add(a, grad);
        b = v_fma(grad, normal_of(&form, job->x + r * n + i, lanes), b);
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
  const int sums = grad_weight || grad_bias, whole = grad_x && sums && n <= ROW_SHORT;
  int status = grad_x && !whole ? fc_parallel(pieces, work, layer_norm_grad_piece, &job) : FC_OK;
  if (status != FC_OK || !sums) return status;
  job.chunk = max_size(job.chunk, ROW_BLOCK); /* long rows: fewer, larger pieces, whose sums take less memory */
  const ptrdiff_t parts = ceil_div(rows, job.chunk);
  job.sums = fc_scratch_acquire(1, (size_t)(parts * 2 * n) * sizeof(double));
  if (!job.sums) return FC_NO_MEMORY;
  status = fc_parallel(parts, work, whole ? layer_norm_whole_piece : layer_norm_sums_piece, &job);
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
