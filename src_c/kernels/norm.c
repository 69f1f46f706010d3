/* Batch, instance and group normalisation of channels-last data, which differ only in what shares a mean and variance:
 * see fc_norm. Each is two passes over the data, the first for sums, the second for one multiply-add an element.
 *
 * Sums of a block of rows are made in the element type and added up in double. The squares of a block are those of the
 * distances from its first row, so that a mean far from 0 costs no digits; blocks are merged as Chan, Golub and LeVeque
 * (1979) do. Where channels are few, rows are folded: several pixels make one wide row, so that vectors are full. */

enum { NORM_BLOCK = 64, NORM_PIECE = 1 << 15, NORM_VECTORS = 4 };

typedef struct {
  const real *x, *grad;
  const real *centre; /* the means, rounded: subtracted from x first, lest means far from 0 cost digits */
  const real *scale, *slope, *shift; /* with which the second pass makes scale * (x - centre) + shift, or else
                                        scale * grad + slope * (x - centre) + shift */
  real *out;
  double *sums; /* of every piece, two a column */
  ptrdiff_t segments, rows, width, x_step, grad_step;
  ptrdiff_t fold, chunk, chunks; /* rows of a piece, pieces of a segment */
} norm_job;

static norm_job norm_start(const fc_norm *norm, const void *x, const void *grad) {
  norm_job job = {.x = x, .grad = grad, .segments = norm->segments, .rows = norm->rows, .width = norm->channels};
  job.fold = 1;
  if (norm->channels < FC_NORM_NARROW && norm->x_pitch == norm->channels &&
      (!grad || norm->grad_pitch == norm->channels))
    while (job.rows % 2 == 0 && job.width < NORM_VECTORS * VL) job.rows /= 2, job.width *= 2, job.fold *= 2;
  job.x_step = norm->x_pitch * job.fold;
  job.grad_step = norm->grad_pitch * job.fold;
  job.chunk = ceil_div(max_size(1, NORM_PIECE / max_size(1, job.width)), NORM_BLOCK) * NORM_BLOCK;
  job.chunks = ceil_div(job.rows, job.chunk);
  return job;
}

/* --- sums --------------------------------------------------------------------------------------------------------- */

/* Of some rows and adjacent columns: x - centre and its square; for the gradient: grad and grad * (x - centre). */
FC_INLINE void block_sums(const int vectors, const int gradient, const norm_job *job, const real *x, const real *grad,
                          const real *centre, ptrdiff_t rows, ptrdiff_t lanes, real *first, real *second) {
  vec a[NORM_VECTORS], b[NORM_VECTORS], c[NORM_VECTORS];
  FC_UNROLL(4)
  for (int i = 0; i < vectors; i++) a[i] = b[i] = v_zero(), c[i] = v_load_n(centre + i * VL, lanes);
  for (ptrdiff_t row = 0; row < rows; row++) {
    FC_UNROLL(4)
    for (int i = 0; i < vectors; i++) {
      v_ahead(x + row * job->x_step + i * VL);
      if (gradient) v_ahead(grad + row * job->grad_step + i * VL);
      const vec distance = v_sub(v_load_n(x + row * job->x_step + i * VL, lanes), c[i]);
      const vec factor = gradient ? v_load_n(grad + row * job->grad_step + i * VL, lanes) : distance;
      a[i] = v_add(a[i], factor);
      b[i] = v_fma(factor, distance, b[i]);
    }
  }
  FC_UNROLL(4)
  for (int i = 0; i < vectors; i++) v_store(first + i * VL, a[i]), v_store(second + i * VL, b[i]);
}

/* Merges mean and squared deviations of `n` values each into those of `count` values; all arrays have `columns`. */
FC_INLINE void merge_moments(double *mean, double *squares, double count, const double *other_mean,
                             const double *other_squares, double n, ptrdiff_t columns) {
  const double share = n / (count + n), weight = count * share;
  for (ptrdiff_t c = 0; c < columns; c++) {
    const double delta = other_mean[c] - mean[c];
    mean[c] += delta * share;
    squares[c] += other_squares[c] + delta * delta * weight;
  }
}

FC_INLINE void add_block(const int vectors, const int gradient, const norm_job *job, ptrdiff_t row, ptrdiff_t column,
                         ptrdiff_t rows, ptrdiff_t lanes, const real *centre, double count, double *sums) {
  enum { MOST = NORM_VECTORS * VL };
  real first[MOST], second[MOST];
  const real *x = job->x + row * job->x_step + column;
  const real *grad = gradient ? job->grad + row * job->grad_step + column : NULL;
  const ptrdiff_t columns = vectors > 1 ? vectors * VL : lanes;
  block_sums(vectors, gradient, job, x, grad, gradient ? centre + column : x, rows, lanes, first, second);
  double *to = sums + column, *to_second = to + job->width;
  if (gradient) {
    for (ptrdiff_t c = 0; c < columns; c++) to[c] += (double)first[c], to_second[c] += (double)second[c];
    return;
  }
  double mean[MOST], squares[MOST];
  for (ptrdiff_t c = 0; c < columns; c++) {
    const double sum = (double)first[c];
    mean[c] = (double)x[c] + sum / (double)rows;
    squares[c] = (double)second[c] - sum * sum / (double)rows; /* never below 0: the first row's distance is 0 */
  }
  merge_moments(to, to_second, count, mean, squares, (double)rows, columns);
}

FC_INLINE void sums_piece(const int gradient, const norm_job *job, ptrdiff_t piece) {
  const ptrdiff_t segment = piece / job->chunks, begin = piece % job->chunks * job->chunk;
  const ptrdiff_t end = min_size(job->rows, begin + job->chunk);
  double *sums = job->sums + piece * 2 * job->width;
  const real *centre = gradient ? job->centre + segment * job->width : NULL;
  memset(sums, 0, (size_t)(2 * job->width) * sizeof(double));
  for (ptrdiff_t row = begin; row < end; row += NORM_BLOCK) {
    const ptrdiff_t rows = min_size(NORM_BLOCK, end - row), from = segment * job->rows + row;
    const double count = (double)(row - begin);
    ptrdiff_t c = 0;
    for (; c + NORM_VECTORS * VL <= job->width; c += NORM_VECTORS * VL)
      add_block(NORM_VECTORS, gradient, job, from, c, rows, VL, centre, count, sums);
    for (; c < job->width; c += VL)
      add_block(1, gradient, job, from, c, rows, min_size(VL, job->width - c), centre, count, sums);
  }
}

static void moments_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sums_piece(0, context, piece);
}

static void grad_sums_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sums_piece(1, context, piece);
}

/* Mean and biased variance of every segment and group. */
static int kernel_norm_moments(const fc_norm *norm, const void *x, double *mean, double *var) {
  norm_job job = norm_start(norm, x, NULL);
  const ptrdiff_t pieces = job.segments * job.chunks, together = norm->channels / norm->groups;
  if (pieces == 0 || job.width == 0) return FC_OK;
  job.sums = fc_scratch_acquire(1, (size_t)(pieces * 2 * job.width) * sizeof(double));
  if (!job.sums) return FC_NO_MEMORY;
  const int status = fc_parallel(pieces, 2 * (double)pieces * job.chunk * job.width, moments_piece, &job);
  for (ptrdiff_t segment = 0; segment < job.segments; segment++) {
    double *sums = job.sums + segment * job.chunks * 2 * job.width, *squares = sums + job.width;
    for (ptrdiff_t i = 1; i < job.chunks; i++) {
      const double *other = sums + i * 2 * job.width, n = (double)min_size(job.chunk, job.rows - i * job.chunk);
      merge_moments(sums, squares, (double)(i * job.chunk), other, other + job.width, n, job.width);
    }
    double *to = mean + segment * norm->groups, *to_var = var + segment * norm->groups;
    memset(to, 0, (size_t)norm->groups * sizeof(double));
    memset(to_var, 0, (size_t)norm->groups * sizeof(double));
    for (ptrdiff_t i = 0; i < job.fold; i++) /* columns that belong together, all of as many rows */
      for (ptrdiff_t c = 0; c < norm->channels; c++) {
        const ptrdiff_t g = c / together, column = i * norm->channels + c;
        const double count = (double)((i * together + c % together) * job.rows);
        merge_moments(to + g, to_var + g, count, sums + column, squares + column, (double)job.rows, 1);
      }
    for (ptrdiff_t g = 0; g < norm->groups; g++) to_var[g] /= (double)(norm->rows * together);
  }
  fc_scratch_release(job.sums);
  return status;
}

/* --- the second pass ---------------------------------------------------------------------------------------------- */

FC_INLINE void map_step(const int gradient, const norm_job *job, const real *x, const real *grad, ptrdiff_t at,
                        real *out, ptrdiff_t n) {
  v_ahead(x);
  if (gradient) v_ahead(grad);
  v_ahead_store(out);
  const vec scale = v_load_n(job->scale + at, n), distance = v_sub(v_load_n(x, n), v_load_n(job->centre + at, n));
  vec value = v_load_n(job->shift + at, n);
  if (gradient) value = v_fma(v_load_n(job->slope + at, n), distance, value);
  v_store_n(out, v_fma(scale, gradient ? v_load_n(grad, n) : distance, value), n);
}

FC_INLINE void map_piece(const int gradient, const norm_job *job, ptrdiff_t piece) {
  const ptrdiff_t segment = piece / job->chunks, begin = piece % job->chunks * job->chunk;
  const ptrdiff_t end = min_size(job->rows, begin + job->chunk), columns = segment * job->width;
  for (ptrdiff_t row = segment * job->rows + begin; row < segment * job->rows + end; row++) {
    const real *x = job->x + row * job->x_step, *grad = gradient ? job->grad + row * job->grad_step : x;
    real *out = job->out + row * job->width;
    ptrdiff_t c = 0;
    for (; c + VL <= job->width; c += VL) map_step(gradient, job, x + c, grad + c, columns + c, out + c, VL);
    if (c < job->width) map_step(gradient, job, x + c, grad + c, columns + c, out + c, job->width - c);
  }
}

static void norm_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(0, context, piece);
}

static void norm_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(1, context, piece);
}

/* Copies the first `channels` columns of every segment to all folded ones. */
static void unfold(real *columns, const norm_job *job) {
  const ptrdiff_t channels = job->width / job->fold;
  for (ptrdiff_t segment = 0; segment < job->segments; segment++, columns += job->width)
    for (ptrdiff_t i = 1; i < job->fold; i++) memcpy(columns + i * channels, columns, (size_t)channels * sizeof(real));
}

/* out = (x - mean) / sqrt(var + eps) * weight + bias; either parameter may be NULL. */
static int kernel_norm(const fc_norm *norm, const void *x, const double *mean, const double *var, const void *weight,
                       const void *bias, void *out) {
  norm_job job = norm_start(norm, x, NULL);
  const ptrdiff_t columns = job.segments * job.width, together = norm->channels / norm->groups;
  const real *w = weight, *b = bias;
  real *scale = fc_scratch_acquire(1, (size_t)(3 * columns) * sizeof(real));
  if (!scale) return FC_NO_MEMORY;
  real *shift = scale + columns, *centre = shift + columns;
  for (ptrdiff_t i = 0; i < job.segments * norm->groups; i++) {
    const double inverse = 1 / sqrt(var[i] + norm->eps);
    const ptrdiff_t channel = i % norm->groups * together, to = i / norm->groups * job.width + channel;
    for (ptrdiff_t c = 0; c < together; c++) {
      const double factor = w ? inverse * (double)w[channel + c] : inverse;
      centre[to + c] = (real)mean[i];
      scale[to + c] = (real)factor;
      shift[to + c] = (real)(((double)centre[to + c] - mean[i]) * factor + (b ? (double)b[channel + c] : 0));
    }
  }
  unfold(scale, &job);
  unfold(shift, &job);
  unfold(centre, &job);
  job.scale = scale, job.shift = shift, job.centre = centre, job.out = out;
  const ptrdiff_t pieces = job.segments * job.chunks;
  const int status = fc_parallel(pieces, (double)pieces * job.chunk * job.width, norm_piece, &job);
  fc_scratch_release(scale);
  return status;
}

/* --- gradient ----------------------------------------------------------------------------------------------------- */

/* Adds the pieces' sums of grad and of grad * (x - mean) to `sums`: two for every segment and channel. */
static void gather_sums(const fc_norm *norm, const norm_job *job, const double *mean, double *sums) {
  const ptrdiff_t channels = norm->channels, together = channels / norm->groups;
  for (ptrdiff_t segment = 0; segment < job->segments; segment++, sums += 2 * channels) {
    for (ptrdiff_t i = 0; i < job->chunks * 2 * job->fold; i++) { /* [chunk][which sum][fold][channel] */
      const double *from = job->sums + segment * job->chunks * 2 * job->width + i * channels;
      double *to = sums + i / job->fold % 2 * channels;
      for (ptrdiff_t c = 0; c < channels; c++) to[c] += from[c];
    }
    for (ptrdiff_t c = 0; c < channels; c++) /* the centre was the mean, rounded */
      sums[channels + c] +=
          ((double)job->centre[segment * job->width + c] - mean[segment * norm->groups + c / together]) * sums[c];
  }
}

/* With x' = (x - mean) / deviation and g' = grad * weight, over the n values of a group:
 *     grad_x = (g' - mean of g' - x' * mean of g' x') / deviation
 * where mean and variance came from x, else g' / deviation (`fixed`). */
static int kernel_norm_grad(const fc_norm *norm, const void *x, const void *grad, const double *mean, const double *var,
                            const void *weight, int fixed, void *grad_x, void *grad_weight, void *grad_bias) {
  norm_job job = norm_start(norm, x, grad);
  const ptrdiff_t columns = job.segments * job.width, pieces = job.segments * job.chunks, channels = norm->channels;
  const ptrdiff_t together = channels / norm->groups;
  const int summed = !fixed || grad_weight || grad_bias;
  const double n = (double)(norm->rows * together), work = (double)pieces * job.chunk * job.width;
  const real *w = weight;
  real *scale = fc_scratch_acquire(1, (size_t)(4 * columns) * sizeof(real)), *slope = scale + columns;
  real *shift = slope + columns, *centre = shift + columns, *parameters[] = {grad_bias, grad_weight};
  double *sums = fc_scratch_acquire(1, (size_t)((job.segments * channels + pieces * job.width) * 2) * sizeof(double));
  int status = scale && sums ? FC_OK : FC_NO_MEMORY;
  if (status == FC_OK) {
    for (ptrdiff_t i = 0; i < job.segments * channels; i++)
      centre[i / channels * job.width + i % channels] =
          (real)mean[i / channels * norm->groups + i % channels / together];
    unfold(centre, &job);
    job.scale = scale, job.slope = slope, job.shift = shift, job.centre = centre, job.out = grad_x;
    job.sums = sums + job.segments * channels * 2;
    memset(sums, 0, (size_t)(job.segments * channels * 2) * sizeof(double));
    if (summed) status = fc_parallel(pieces, 2 * work, grad_sums_piece, &job);
  }
  if (status == FC_OK) {
    if (summed) gather_sums(norm, &job, mean, sums);
    for (int which = 0; which < 2; which++)
      if (parameters[which]) memset(parameters[which], 0, (size_t)channels * sizeof(real));
    for (ptrdiff_t i = 0; i < job.segments * norm->groups; i++) {
      const ptrdiff_t segment = i / norm->groups, channel = i % norm->groups * together;
      const double inverse = 1 / sqrt(var[i] + norm->eps), *of = sums + segment * 2 * channels + channel;
      double sum = 0, product = 0;
      for (ptrdiff_t c = 0; c < together; c++) {
        const double factor = w ? (double)w[channel + c] : 1;
        sum += factor * of[c];
        product += factor * of[channels + c];
      }
      const double along = fixed ? 0 : -inverse * inverse * inverse * product / n;
      for (ptrdiff_t c = 0; c < together; c++) {
        const ptrdiff_t to = segment * job.width + channel + c;
        const double rounding = (double)centre[to] - mean[i];
        scale[to] = (real)(w ? inverse * (double)w[channel + c] : inverse);
        slope[to] = (real)along;
        shift[to] = (real)(fixed ? 0 : along * rounding - inverse * sum / n);
        if (grad_bias) parameters[0][channel + c] += (real)of[c];
        if (grad_weight) parameters[1][channel + c] += (real)(inverse * of[channels + c]);
      }
    }
    unfold(scale, &job);
    unfold(slope, &job);
    unfold(shift, &job);
    if (fixed) { /* scale * grad: an infinity in x has no say */
      job.x = job.grad, job.x_step = job.grad_step;
      memset(centre, 0, (size_t)columns * sizeof(real));
    }
    if (grad_x) status = fc_parallel(pieces, 2 * work, fixed ? norm_piece : norm_grad_piece, &job);
  }
  fc_scratch_release(sums);
  fc_scratch_release(scale);
  return status;
}
