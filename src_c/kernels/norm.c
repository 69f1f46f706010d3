/* Batch, instance and group normalisation of channels-last data, which differ only in what shares a mean and variance:
 * see fc_norm. Each is two passes over the data, the first for sums, the second for one multiply-add an element.
 *
 * Sums of a block of rows are made in the element type and added up in double. The squares of a block are those of the
 * distances from its first row, so that a mean far from 0 costs no digits; blocks are merged as Chan, Golub and LeVeque
 * (1979) do. Where channels are few, rows are folded: several pixels make one wide row, so that vectors are full.
 *
 * What a clamp stopped has no gradient. Whether it did is computed again from x, which is read anyway, by the very
 * instructions of the forward pass; where something was added before it, the results that were kept tell. */

enum { NORM_BLOCK = 64, NORM_PIECE = 1 << 15, NORM_VECTORS = 4 };
enum { NORM_ROWS = 4, NORM_COLUMNS = 32 * VL }; /* rows that are read side by side, columns whose sums stay near */

typedef struct {
  const real *x, *grad;
  const real *centre;        /* the means, rounded: subtracted from x first, lest means far from 0 cost digits */
  const real *scale, *shift; /* the value is scale * (x - centre) + shift, */
  const real *slope, *level; /* the gradient scale * grad + slope * (x - centre) + level */
  const real *add, *kept;    /* what is added to the value; the results */
  real *out, *masked;        /* masked: the gradient of what was added */
  real low, high;
  double *sums; /* of every piece, two a column */
  ptrdiff_t segments, rows, width, x_step, grad_step;
  ptrdiff_t fold, chunk, chunks; /* rows of a piece, pieces of a segment */
} norm_job;

static norm_job norm_start(const fc_norm *norm, const void *x, const void *grad, const fc_epilogue *after) {
  norm_job job = {.x = x, .grad = grad, .segments = norm->segments, .rows = norm->rows, .width = norm->channels};
  job.low = job.high = (real)NAN; /* no bound: nothing is beyond it, and it is neither minimum nor maximum */
  if (after) job.add = after->add;
  if (after && after->clamp && after->low > -(double)INFINITY) job.low = (real)after->low;
  if (after && after->clamp && after->high < (double)INFINITY) job.high = (real)after->high;
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

/* The value of a row's elements from `x` on, `at` columns into their segment, before anything is added. */
FC_INLINE vec norm_value(const norm_job *job, vec distance, ptrdiff_t at, ptrdiff_t n) {
  return v_fma(v_load_n(job->scale + at, n), distance, v_load_n(job->shift + at, n));
}

FC_INLINE vec where_free(const norm_job *job, vec value, vec grad) {
  return v_select(m_or(v_le(value, v_set1(job->low)), v_le(v_set1(job->high), value)), v_zero(), grad);
}

/* --- sums --------------------------------------------------------------------------------------------------------- */

/* Which sums: of the moments, or of the gradient: as it is, without what was clamped, or the same and stored. */
enum { MOMENTS, GRADIENT, FREE, STORED };

/* Adds some rows of adjacent columns: x - centre and its square, or for the gradient grad and grad * (x - centre). `at`
 * is the number of the first element in dense arrays, `column` its column among those of all segments. */
FC_INLINE void add_rows(const int rows, const int which, const norm_job *job, const real *x, const real *grad,
                        const real *centre, ptrdiff_t at, ptrdiff_t column, ptrdiff_t columns, real *first,
                        real *second) {
  for (ptrdiff_t c = 0; c < columns; c += VL) {
    const ptrdiff_t lanes = min_size(VL, columns - c);
    const vec middle = v_load_n(centre + c, lanes);
    vec a = v_load(first + c), b = v_load(second + c);
    FC_UNROLL(4)
    for (int row = 0; row < rows; row++) {
      const ptrdiff_t dense = at + row * job->width + c;
      v_ahead(x + row * job->x_step + c);
      if (which != MOMENTS) v_ahead(grad + row * job->grad_step + c);
      if (which == STORED) v_ahead(job->kept + dense), v_ahead_store(job->masked + dense);
      const vec distance = v_sub(v_load_n(x + row * job->x_step + c, lanes), middle);
      vec factor = which == MOMENTS ? distance : v_load_n(grad + row * job->grad_step + c, lanes);
      if (which == FREE) factor = where_free(job, norm_value(job, distance, column + c, lanes), factor);
      if (which == STORED) {
        factor = where_free(job, v_load_n(job->kept + dense, lanes), factor);
        v_store_n(job->masked + dense, factor, lanes);
      }
      a = v_add(a, factor);
      b = v_fma(factor, distance, b);
    }
    v_store(first + c, a), v_store(second + c, b);
  }
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

/* `row` counts through all segments, `column` within one. */
FC_INLINE void add_block(const int which, const norm_job *job, ptrdiff_t segment, ptrdiff_t row, ptrdiff_t column,
                         ptrdiff_t rows, ptrdiff_t columns, double count, double *sums) {
  real first[NORM_COLUMNS], second[NORM_COLUMNS];
  memset(first, 0, sizeof first);
  memset(second, 0, sizeof second);
  const ptrdiff_t of = segment * job->width + column;
  const real *x = job->x + row * job->x_step + column, *centre = which == MOMENTS ? x : job->centre + of;
  for (ptrdiff_t i = 0; i < rows;) { /* what is stored must not lie a page's multiple before what is read next */
    const real *here = x + i * job->x_step;
    const real *grad = which == MOMENTS ? NULL : job->grad + (row + i) * job->grad_step + column;
    const ptrdiff_t at = (row + i) * job->width + column;
    if (which != STORED && i + NORM_ROWS <= rows) {
      add_rows(NORM_ROWS, which, job, here, grad, centre, at, of, columns, first, second);
      i += NORM_ROWS;
    } else {
      add_rows(1, which, job, here, grad, centre, at, of, columns, first, second);
      i++;
    }
  }
  double *to = sums + column, *to_second = to + job->width;
  if (which != MOMENTS) {
    for (ptrdiff_t c = 0; c < columns; c++) to[c] += (double)first[c], to_second[c] += (double)second[c];
    return;
  }
  double mean[NORM_COLUMNS], squares[NORM_COLUMNS];
  for (ptrdiff_t c = 0; c < columns; c++) {
    const double sum = (double)first[c];
    mean[c] = (double)x[c] + sum / (double)rows;
    squares[c] = (double)second[c] - sum * sum / (double)rows; /* never below 0: the first row's distance is 0 */
  }
  merge_moments(to, to_second, count, mean, squares, (double)rows, columns);
}

FC_INLINE void sums_piece(const int which, const norm_job *job, ptrdiff_t piece) {
  const ptrdiff_t segment = piece / job->chunks, begin = piece % job->chunks * job->chunk;
  const ptrdiff_t end = min_size(job->rows, begin + job->chunk);
  double *sums = job->sums + piece * 2 * job->width;
  memset(sums, 0, (size_t)(2 * job->width) * sizeof(double));
  for (ptrdiff_t row = begin; row < end; row += NORM_BLOCK) {
    const ptrdiff_t rows = min_size(NORM_BLOCK, end - row), from = segment * job->rows + row;
    for (ptrdiff_t c = 0; c < job->width; c += NORM_COLUMNS)
      add_block(which, job, segment, from, c, rows, min_size(NORM_COLUMNS, job->width - c), (double)(row - begin),
                sums);
  }
}

static void moments_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sums_piece(MOMENTS, context, piece);
}

static void grad_sums_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sums_piece(GRADIENT, context, piece);
}

static void free_sums_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sums_piece(FREE, context, piece);
}

static void stored_sums_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  sums_piece(STORED, context, piece);
}

/* Mean and biased variance of every segment and group. */
static int kernel_norm_moments(const fc_norm *norm, const void *x, double *mean, double *var) {
  norm_job job = norm_start(norm, x, NULL, NULL);
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

/* What it makes: the value, the same clamped, with something added and clamped, the gradient, or the gradient without
 * what was clamped. */
enum { VALUE, CLAMPED, ADDED, SLOPE, FREE_SLOPE };

FC_INLINE void map_step(const int which, const norm_job *job, const real *x, const real *other, ptrdiff_t at, real *out,
                        ptrdiff_t n) {
  v_ahead(x);
  if (which > CLAMPED) v_ahead(other);
  v_ahead_store(out);
  const vec distance = v_sub(v_load_n(x, n), v_load_n(job->centre + at, n));
  vec value;
  if (which >= SLOPE) {
    vec grad = v_load_n(other, n);
    if (which == FREE_SLOPE) grad = where_free(job, norm_value(job, distance, at, n), grad);
    value = v_fma(v_load_n(job->slope + at, n), distance, v_load_n(job->level + at, n));
    value = v_fma(v_load_n(job->scale + at, n), grad, value);
  } else {
    value = norm_value(job, distance, at, n);
    if (which == ADDED) value = v_add(value, v_load_n(other, n));
    if (which != VALUE) value = v_min(v_set1(job->high), v_max(v_set1(job->low), value));
  }
  v_store_n(out, value, n);
}

FC_INLINE void map_piece(const int which, const norm_job *job, ptrdiff_t piece) {
  const ptrdiff_t segment = piece / job->chunks, begin = piece % job->chunks * job->chunk;
  const ptrdiff_t end = min_size(job->rows, begin + job->chunk), columns = segment * job->width;
  const ptrdiff_t step = which == ADDED ? job->width : which > ADDED ? job->grad_step : 0;
  const real *others = which == ADDED ? job->add : which > ADDED ? job->grad : job->x;
  for (ptrdiff_t row = segment * job->rows + begin; row < segment * job->rows + end; row++) {
    const real *x = job->x + row * job->x_step, *other = others + row * step;
    real *out = job->out + row * job->width;
    ptrdiff_t c = 0;
    for (; c + VL <= job->width; c += VL) map_step(which, job, x + c, other + c, columns + c, out + c, VL);
    if (c < job->width) map_step(which, job, x + c, other + c, columns + c, out + c, job->width - c);
  }
}

static void norm_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(VALUE, context, piece);
}

static void clamped_norm_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(CLAMPED, context, piece);
}

static void added_norm_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(ADDED, context, piece);
}

static void norm_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(SLOPE, context, piece);
}

static void free_norm_grad_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  map_piece(FREE_SLOPE, context, piece);
}

/* Copies the first `channels` columns of every segment to all folded ones. */
static void unfold(real *columns, const norm_job *job) {
  const ptrdiff_t channels = job->width / job->fold;
  for (ptrdiff_t segment = 0; segment < job->segments; segment++, columns += job->width)
    for (ptrdiff_t i = 1; i < job->fold; i++) memcpy(columns + i * channels, columns, (size_t)channels * sizeof(real));
}

/* Fills centre, scale and shift, for which there are three arrays at `columns`. */
static void find_value(const fc_norm *norm, norm_job *job, const double *mean, const double *var, const real *weight,
                       const real *bias, real *columns) {
  const ptrdiff_t size = job->segments * job->width, together = norm->channels / norm->groups;
  real *centre = columns, *scale = centre + size, *shift = scale + size;
  for (ptrdiff_t i = 0; i < job->segments * norm->groups; i++) {
    const double inverse = 1 / sqrt(var[i] + norm->eps);
    const ptrdiff_t channel = i % norm->groups * together, to = i / norm->groups * job->width + channel;
    for (ptrdiff_t c = 0; c < together; c++) {
      const double factor = weight ? inverse * (double)weight[channel + c] : inverse;
      centre[to + c] = (real)mean[i];
      scale[to + c] = (real)factor;
      shift[to + c] = (real)(((double)centre[to + c] - mean[i]) * factor + (bias ? (double)bias[channel + c] : 0));
    }
  }
  unfold(centre, job);
  unfold(scale, job);
  unfold(shift, job);
  job->centre = centre, job->scale = scale, job->shift = shift;
}

/* out = (x - mean) / sqrt(var + eps) * weight + bias, and what comes after; either parameter may be NULL. */
static int kernel_norm(const fc_norm *norm, const void *x, const double *mean, const double *var, const void *weight,
                       const fc_epilogue *after, void *out) {
  norm_job job = norm_start(norm, x, NULL, after);
  const ptrdiff_t pieces = job.segments * job.chunks;
  real *columns = fc_scratch_acquire(1, (size_t)(3 * job.segments * job.width) * sizeof(real));
  if (!columns) return FC_NO_MEMORY;
  find_value(norm, &job, mean, var, weight, after->bias, columns);
  job.out = out;
  const fc_piece run = after->add ? added_norm_piece : after->clamp ? clamped_norm_piece : norm_piece;
  const int status = fc_parallel(pieces, (double)pieces * job.chunk * job.width, run, &job);
  fc_scratch_release(columns);
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
                            const void *weight, const fc_epilogue *after, int fixed, const void *out, void *masked,
                            void *grad_x, void *grad_weight, void *grad_bias) {
  norm_job job = norm_start(norm, x, grad, after);
  const ptrdiff_t columns = job.segments * job.width, pieces = job.segments * job.chunks, channels = norm->channels;
  const ptrdiff_t together = channels / norm->groups;
  const int summed = !fixed || grad_weight || grad_bias || masked;
  const double n = (double)(norm->rows * together), work = (double)pieces * job.chunk * job.width;
  const real *w = weight;
  real *value = fc_scratch_acquire(1, (size_t)(5 * columns) * sizeof(real)), *parameters[] = {grad_bias, grad_weight};
  double *sums = fc_scratch_acquire(1, (size_t)((job.segments * channels + pieces * job.width) * 2) * sizeof(double));
  int status = value && sums ? FC_OK : FC_NO_MEMORY;
  real *slope = value + 3 * columns, *level = slope + columns;
  if (status == FC_OK) {
    find_value(norm, &job, mean, var, w, after->bias, value);
    job.slope = slope, job.level = level, job.out = grad_x, job.kept = out, job.masked = masked;
    job.sums = sums + job.segments * channels * 2;
    memset(sums, 0, (size_t)(job.segments * channels * 2) * sizeof(double));
    const fc_piece run = masked ? stored_sums_piece : after->clamp ? free_sums_piece : grad_sums_piece;
    if (summed) status = fc_parallel(pieces, 2 * work, run, &job);
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
      const double along = -inverse * inverse * inverse * product / n;
      for (ptrdiff_t c = 0; c < together; c++) {
        const ptrdiff_t to = segment * job.width + channel + c;
        slope[to] = (real)along;
        level[to] = (real)(along * ((double)job.centre[to] - mean[i]) - inverse * sum / n);
        if (grad_bias) parameters[0][channel + c] += (real)of[c];
        if (grad_weight) parameters[1][channel + c] += (real)(inverse * of[channels + c]);
      }
    }
    unfold(slope, &job);
    unfold(level, &job);
    if (masked) job.grad = masked, job.grad_step = job.width;
    if (fixed) { /* scale * grad: an infinity in x has no say */
      job.x = job.grad, job.x_step = job.grad_step;
      memset(value, 0, (size_t)columns * sizeof(real));               /* the centre */
      memset(value + 2 * columns, 0, (size_t)columns * sizeof(real)); /* the shift */
    }
    const fc_piece run = fixed ? norm_piece : after->clamp && !masked ? free_norm_grad_piece : norm_grad_piece;
    if (grad_x) status = fc_parallel(pieces, 2 * work, run, &job);
  }
  fc_scratch_release(sums);
  fc_scratch_release(value);
  return status;
}
