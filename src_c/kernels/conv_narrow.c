/* The input gradient of a convolution with few input channels.
 *
 * As a product over taps it would leave most of a vector empty. So each output pixel's gradient is multiplied with all
 * weights of a tap row at once, (tap, channel) along the lanes: that many elements of an input row from the first pixel
 * it reaches. The sums slide along with it: when it moves on by a pixel, so many lanes as that pixel's inputs have are
 * complete, are added to a copy of the input rows, and leave. */

enum {
  NARROW_VECTORS = 4,      /* of a tap row */
  NARROW_ROWS = 6,         /* tap rows at a time */
  NARROW_BAND = 128 << 10, /* bytes of the copy */
};

typedef struct {
  const fc_conv2d *conv;
  fc_image grad, grad_x;
  const real *packed; /* [tap rows][output channel][tap row][tap x, input channel: whole vectors] */
  const real *bias, *add;
  ptrdiff_t vectors, block;       /* of a tap row; tap rows at a time */
  ptrdiff_t shift, span;          /* elements that a pixel moves on by, and that it reaches */
  ptrdiff_t rows, bands, reach_y; /* input rows of a band, and that the taps of a column span but one */
  ptrdiff_t height, aside, pitch; /* of the copy, of what is thrown away, and of their rows */
  permutation next;               /* lanes from `shift` on, of two vectors */
  void *scratch;
} fc_narrow;

static ptrdiff_t narrow_vectors(const fc_conv2d *c) { return ceil_div(c->window.kw * c->window.channels, VL); }

/* Tap rows at a time: sums of two pixels stay in registers. */
FC_INLINE ptrdiff_t narrow_block(ptrdiff_t vectors) { return min_size(NARROW_ROWS, FC_MR * FC_NV / (2 * vectors)); }

/* Whether this way pays. */
static int is_narrow(const fc_conv2d *c) {
  const fc_window *w = &c->window;
  if (c->groups != 1 || 2 * w->channels > VL || w->kh * w->kw < 4 || c->out_channels < 8) return 0;
  if (w->dilation_x != 1 || w->stride_x * w->channels > VL) return 0;
  return w->kw * w->channels <= NARROW_VECTORS * VL;
}

static ptrdiff_t narrow_size(const fc_conv2d *c) { return c->out_channels * c->window.kh * narrow_vectors(c) * VL; }

static void narrow_pack(const fc_conv2d *c, const real *weight, real *packed) {
  const fc_window *w = &c->window;
  const ptrdiff_t taps = w->kh * w->kw, span = w->kw * w->channels, vectors = narrow_vectors(c);
  const ptrdiff_t most = narrow_block(vectors);
  for (ptrdiff_t first = 0; first < w->kh; first += most)
    for (ptrdiff_t o = 0; o < c->out_channels; o++)
      for (ptrdiff_t ky = first; ky < w->kh && ky < first + most; ky++, packed += vectors * VL)
        for (ptrdiff_t n = 0; n < vectors * VL; n++)
          packed[n] = n < span ? weight[(o * w->channels + n % w->channels) * taps + ky * w->kw + n / w->channels] : 0;
}

/* Two rows of the output gradient, by the weights of `rows` tap rows, to where their inputs begin in the copy. */
FC_INLINE void narrow_body(const int rows, const int vectors, const fc_narrow *job, const real *weights,
                           const real *const from[2], real *const into[2]) {
  const ptrdiff_t next_row = job->conv->window.dilation_y * job->pitch;
  const ptrdiff_t outputs = job->conv->out_channels, shift = job->shift;
  const ptrdiff_t last = job->span - (vectors - 1) * VL;
  const permutation next = job->next;
  vec sum[2][NARROW_ROWS][NARROW_VECTORS];
  FC_UNROLL(2)
  for (int p = 0; p < 2; p++) FC_UNROLL(8)
  for (int r = 0; r < rows; r++) FC_UNROLL(4)
  for (int v = 0; v < vectors; v++) sum[p][r][v] = v_zero();
  for (ptrdiff_t x = 0; x < job->conv->window.out_w; x++) {
    const real *b = weights, *a0 = from[0] + x * job->grad.pixel, *a1 = from[1] + x * job->grad.pixel;
    for (ptrdiff_t o = 0; o < outputs; o++) {
      const vec value0 = v_set1(a0[o]), value1 = v_set1(a1[o]);
      FC_UNROLL(8)
      for (int r = 0; r < rows; r++) FC_UNROLL(4)
      for (int v = 0; v < vectors; v++, b += VL) {
        const vec weight = v_load(b);
        sum[0][r][v] = v_fma(value0, weight, sum[0][r][v]);
        sum[1][r][v] = v_fma(value1, weight, sum[1][r][v]);
      }
    }
    FC_UNROLL(2)
    for (int p = 0; p < 2; p++) FC_UNROLL(8)
    for (int r = 0; r < rows; r++) {
      real *to = into[p] + r * next_row + x * shift;
      vec *const row = sum[p][r];
      v_store_n(to, v_add(row[0], v_load_n(to, shift)), shift);
      row[vectors - 1] = v_select(m_first(last), row[vectors - 1], v_zero()); /* 0 * Inf of the weights' padding */
      FC_UNROLL(4)
      for (int v = 0; v < vectors; v++) row[v] = v_permute(row[v], v + 1 < vectors ? row[v + 1] : v_zero(), next);
    }
  }
  FC_UNROLL(2)
  for (int p = 0; p < 2; p++) FC_UNROLL(8)
  for (int r = 0; r < rows; r++) FC_UNROLL(4)
  for (int v = 0; v < vectors; v++) {
    real *to = into[p] + r * next_row + job->conv->window.out_w * shift + v * VL;
    v_store(to, v_add(sum[p][r][v], v_load(to)));
  }
}

typedef void (*fc_narrow_function)(const fc_narrow *, const real *, const real *const from[2], real *const into[2]);
#define FC_NARROW(rows, vectors)                                                                                    \
  static __attribute__((noinline)) void narrow_##rows##x##vectors(const fc_narrow *job, const real *weights,        \
                                                                  const real *const from[2], real *const into[2]) { \
    if (VL > 1 && 2 * rows * vectors <= FC_MR * FC_NV) /* else never called */                                      \
      narrow_body(rows, vectors, job, weights, from, into);                                                         \
  }
#define FC_NARROW_NAME(rows, vectors) [vectors - 1][rows - 1] = narrow_##rows##x##vectors,
#define FC_NARROWS(X) FC_ROWS_6(X, 1) FC_ROWS_6(X, 2) FC_ROWS_4(X, 3) X(1, 4) X(2, 4) X(3, 4)
FC_NARROWS(FC_NARROW)
static const fc_narrow_function narrow_functions[NARROW_VECTORS][NARROW_ROWS] = {FC_NARROWS(FC_NARROW_NAME)};

/* A row of the input's gradient, from its row of the copy, or NULL where nothing reaches. */
static void narrow_finish(const fc_narrow *job, real *out, const real *from) {
  const ptrdiff_t channels = job->conv->window.channels, columns = job->conv->window.w;
  if (!job->bias && !job->add && job->grad_x.pixel == channels) {
    if (from)
      memcpy(out, from, (size_t)(columns * channels) * sizeof(real));
    else
      memset(out, 0, (size_t)(columns * channels) * sizeof(real));
    return;
  }
  const vec bias = job->bias ? v_load_n(job->bias, channels) : v_zero();
  for (ptrdiff_t x = 0; x < columns; x++, out += job->grad_x.pixel) {
    vec sum = bias;
    if (job->add) sum = v_add(sum, v_load_n(added(job->add, &job->grad_x, out), channels));
    if (from) sum = v_add(sum, v_load_n(from + x * channels, channels));
    v_store_n(out, sum, channels);
  }
}

/* A band of input rows of an image. */
static void narrow_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_narrow *job = context;
  const fc_window *w = &job->conv->window;
  const ptrdiff_t image = piece / job->bands, y0 = piece % job->bands * job->rows, y1 = min_size(w->h, y0 + job->rows);
  /* The output rows that reach it, and the copy's first row. */
  const ptrdiff_t first = ceil_div(max_size(0, y0 + w->pad_y - job->reach_y), w->stride_y);
  const ptrdiff_t last = min_size(w->out_h, (y1 - 1 + w->pad_y) / w->stride_y + 1);
  const ptrdiff_t count = max_size(0, last - first), base = first * w->stride_y;
  const ptrdiff_t reached = count ? (count - 1) * w->stride_y + job->reach_y + 1 : 0;
  real *copy = fc_scratch_part(job->scratch, worker), *aside = copy + job->height * job->pitch;
  memset(copy, 0, (size_t)(reached * job->pitch) * sizeof(real));
  if (count % 2) memset(aside, 0, (size_t)(job->aside * job->pitch) * sizeof(real));

  const real *grad = (const real *)job->grad.data + image * job->grad.image + first * job->grad.row;
  const real *weights = job->packed;
  for (ptrdiff_t ky = 0; ky < w->kh && !fc_stopping(); ky += job->block) {
    const ptrdiff_t here = min_size(job->block, w->kh - ky), below = count / 2;
    const fc_narrow_function run = narrow_functions[job->vectors - 1][here - 1];
    real *to = copy + ky * w->dilation_y * job->pitch;
    const ptrdiff_t step = w->stride_y * job->pitch;
    for (ptrdiff_t i = 0; i < below; i++)
      run(job, weights, (const real *[]){grad + i * job->grad.row, grad + (below + i) * job->grad.row},
          (real *[]){to + i * step, to + (below + i) * step});
    if (count % 2)
      run(job, weights, (const real *[]){grad + (count - 1) * job->grad.row, grad},
          (real *[]){to + (count - 1) * step, aside});
    weights += here * job->conv->out_channels * job->vectors * VL;
  }
  for (ptrdiff_t y = y0; y < y1; y++) {
    const ptrdiff_t row = y + w->pad_y - base;
    narrow_finish(job, (real *)job->grad_x.data + image * job->grad_x.image + y * job->grad_x.row,
                  row >= 0 && row < reached ? copy + row * job->pitch + w->pad_x * w->channels : NULL);
  }
}

static int narrow_grad_input(const fc_conv2d *c, fc_image grad, const real *packed, const fc_epilogue *epilogue,
                             fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_narrow job = {.conv = c,
                   .grad = grad,
                   .grad_x = grad_x,
                   .packed = packed,
                   .bias = epilogue->bias,
                   .add = epilogue->add,
                   .vectors = narrow_vectors(c),
                   .shift = w->stride_x * w->channels,
                   .span = w->kw * w->channels,
                   .reach_y = (w->kh - 1) * w->dilation_y};
  uint8_t next[VL];
  for (int lane = 0; lane < VL; lane++) next[lane] = (uint8_t)(lane + job.shift);
  job.next = v_permutation(next);
  job.block = min_size(w->kh, narrow_block(job.vectors));
  job.aside = (job.block - 1) * w->dilation_y + 1;
  const double work = (double)w->batch * w->out_h * w->out_w * narrow_size(c);
  job.pitch = max_size(w->out_w * job.shift + job.vectors * VL, ceil_div((w->w + w->pad_x) * w->channels, VL) * VL);
  const ptrdiff_t fit = NARROW_BAND / (job.pitch * (ptrdiff_t)sizeof(real)) - 2 * job.reach_y;
  job.rows = min_size(fit, ceil_div(w->h, ceil_div(pieces_for(work), max_size(1, w->batch))));
  job.rows = min_size(w->h, max_size(job.rows, job.reach_y + 1)); /* lower ones would repeat more than they do */
  job.bands = ceil_div(w->h, max_size(1, job.rows));
  job.height = job.rows + 2 * job.reach_y;
  const size_t bytes = (size_t)((job.height + job.aside) * job.pitch) * sizeof(real);
  job.scratch = fc_scratch_acquire(fc_workers(), bytes);
  if (!job.scratch) return FC_NO_MEMORY;
  const int status = fc_parallel(w->batch * job.bands, work, narrow_piece, &job);
  fc_scratch_release(job.scratch);
  return status;
}
