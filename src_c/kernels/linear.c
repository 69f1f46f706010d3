/* Fully connected layers: weights (out, in) in C order are read where they are, never copied whole.
 *
 * With a few samples the product is bound by memory: dot products along `in`, each weight read once. With more, the
 * samples become the columns: they are packed as panels (they are the smaller operand), the weights' rows feed the
 * tile. */

enum { LINEAR_DOT_BATCH = 8, LINEAR_WEIGHTS = 1 << 13, DOT_ROWS = 4, DOT_SAMPLES = 4 };

typedef struct {
  const real *x, *weight, *bias, *grad;
  real *out, *grad_x, *grad_weight, *scratch_panels;
  void *scratch;
  ptrdiff_t batch, in, outputs;
  ptrdiff_t block, blocks; /* outputs (or inputs) of a piece */
} fc_linear;

FC_INLINE void dot_body(const int rows, const int samples, const fc_linear *p, ptrdiff_t o, ptrdiff_t n) {
  vec sum[DOT_ROWS][DOT_SAMPLES];
  FC_UNROLL(4)
  for (int i = 0; i < rows; i++) FC_UNROLL(4)
  for (int j = 0; j < samples; j++) sum[i][j] = v_zero();
  const real *weight = p->weight + o * p->in, *x = p->x + n * p->in;
  for (ptrdiff_t k = 0; k < p->in; k += VL) {
    const ptrdiff_t here = min_size(VL, p->in - k);
    vec value[DOT_SAMPLES];
    FC_UNROLL(4)
    for (int j = 0; j < samples; j++) value[j] = v_load_n(x + j * p->in + k, here);
    FC_UNROLL(4)
    for (int i = 0; i < rows; i++) {
      const vec w = v_load_n(weight + i * p->in + k, here);
      FC_UNROLL(4)
      for (int j = 0; j < samples; j++) sum[i][j] = v_fma(w, value[j], sum[i][j]);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < samples; j++)
      p->out[(n + j) * p->outputs + o + i] = v_sum(sum[i][j]) + (p->bias ? p->bias[o + i] : 0);
}

/* A pair of blocks, one weight row at a time for the remainder: the order of summation depends on neither. */
static void dot_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_linear *p = context;
  const ptrdiff_t end = min_size(p->outputs, (piece + 1) * p->block);
  ptrdiff_t o = piece * p->block;
  for (; o + DOT_ROWS <= end; o += DOT_ROWS) {
    ptrdiff_t n = 0;
    for (; n + DOT_SAMPLES <= p->batch; n += DOT_SAMPLES) dot_body(DOT_ROWS, DOT_SAMPLES, p, o, n);
    for (; n < p->batch; n++) dot_body(DOT_ROWS, 1, p, o, n);
  }
  for (; o < end; o++)
    for (ptrdiff_t n = 0; n < p->batch; n++) dot_body(1, 1, p, o, n);
}

/* Packs samples n .. n + width of x as one panel [in][width], zeros beyond the batch. */
static void pack_samples_piece(void *context, ptrdiff_t panel, int worker) {
  (void)worker;
  const fc_linear *p = context;
  const ptrdiff_t n = panel * FC_PANEL, width = panel_width(p->batch, n), samples = min_size(FC_PANEL, p->batch - n);
  real *to = p->scratch_panels + n * p->in;
  for (ptrdiff_t k = 0; k < p->in; k++, to += width) {
    for (ptrdiff_t j = 0; j < samples; j++) to[j] = p->x[(n + j) * p->in + k];
    for (ptrdiff_t j = samples; j < width; j++) to[j] = 0;
  }
}

/* FC_MR outputs of all samples: tiles [output][sample], stored transposed with the bias. */
static void linear_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_linear *p = context;
  const ptrdiff_t end = min_size(p->outputs, (piece + 1) * p->block), no_segment = 0;
  for (ptrdiff_t o = piece * p->block; o < end; o += FC_MR) {
    const ptrdiff_t rows = min_size(FC_MR, end - o);
    ptrdiff_t a_row[FC_MR], c_row[FC_MR];
    real product[FC_MR * FC_PANEL];
    for (ptrdiff_t m = 0; m < rows; m++) a_row[m] = m * p->in, c_row[m] = m * FC_PANEL;
    for (ptrdiff_t n = 0; n < p->batch; n += FC_PANEL) {
      if (n % (8 * FC_PANEL) == 0 && fc_stopping()) return;
      const ptrdiff_t width = panel_width(p->batch, n), samples = min_size(FC_PANEL, p->batch - n);
      const fc_tile tile = {.a = p->weight + o * p->in,
                            .segment = &no_segment,
                            .segments = 1,
                            .length = p->in,
                            .a_step = 1,
                            .b = p->scratch_panels + n * p->in,
                            .b_step = width,
                            .c = product,
                            .columns = width};
      run_tiles(&tile, rows, a_row, c_row);
      for (ptrdiff_t j = 0; j < samples; j++)
        for (ptrdiff_t m = 0; m < rows; m++)
          p->out[(n + j) * p->outputs + o + m] = product[m * FC_PANEL + j] + (p->bias ? p->bias[o + m] : 0);
    }
  }
}

static int kernel_linear(const void *x, const void *weight, const void *bias, void *out, ptrdiff_t batch, ptrdiff_t in,
                         ptrdiff_t outputs) {
  fc_linear p = {.x = x, .weight = weight, .bias = bias, .out = out, .batch = batch, .in = in, .outputs = outputs};
  const double work = (double)batch * in * outputs;
  if (batch == 0 || outputs == 0) return FC_OK;
  const int dots = batch < LINEAR_DOT_BATCH;
  const ptrdiff_t unit = dots ? DOT_ROWS : FC_MR;
  p.block = ceil_div(max_size(1, LINEAR_WEIGHTS / max_size(1, in)), unit) * unit;
  p.blocks = ceil_div(outputs, p.block);
  if (dots) return fc_parallel(p.blocks, work, dot_piece, &p);
  const ptrdiff_t panels = ceil_div(batch, FC_PANEL);
  p.scratch_panels = fc_scratch_acquire(1, (size_t)(ceil_div(batch, VL) * VL * in) * sizeof(real));
  if (!p.scratch_panels) return FC_NO_MEMORY;
  int status = fc_parallel(panels, (double)batch * in, pack_samples_piece, &p);
  if (status == FC_OK) status = fc_parallel(p.blocks, work, linear_piece, &p);
  fc_scratch_release(p.scratch_panels);
  return status;
}

/* C[m][k] = sum over j of A(m, j) * B[j][k], B a matrix with `columns` columns read in place; A's element (m, j) is
 * a[m * a_row + j * a_step]. The last columns, too few for whole vectors, are copied. */
static void product_block(const real *a, ptrdiff_t rows, ptrdiff_t a_row_step, ptrdiff_t a_step, const real *b,
                          ptrdiff_t depth, ptrdiff_t columns, ptrdiff_t column, real *c, real *tail) {
  const ptrdiff_t here = min_size(FC_PANEL, columns - column), width = panel_width(columns, column), no_segment = 0;
  fc_tile tile = {.a = a,
                  .segment = &no_segment,
                  .segments = 1,
                  .length = depth,
                  .a_step = a_step,
                  .b = b + column,
                  .b_step = columns,
                  .c = c + column,
                  .c_step = columns,
                  .columns = here};
  if (here < width) {
    for (ptrdiff_t j = 0; j < depth; j++)
      for (ptrdiff_t n = 0; n < width; n++) tail[j * width + n] = n < here ? b[j * columns + column + n] : 0;
    tile.b = tail;
    tile.b_step = width;
  }
  if (a_row_step == 1) {
    enum { ROWS = 8 * FC_MR };
    for (ptrdiff_t m = 0; m < rows && !fc_stopping(); m += ROWS, tile.a += ROWS, tile.c += ROWS * columns)
      run_tiles_beside(&tile, min_size(ROWS, rows - m));
    return;
  }
  ptrdiff_t a_row[FC_MR], c_row[FC_MR];
  for (ptrdiff_t m = 0; m < rows; m += FC_MR) {
    if (m % (8 * FC_MR) == 0 && fc_stopping()) return;
    const ptrdiff_t tiles = min_size(FC_MR, rows - m);
    for (ptrdiff_t i = 0; i < tiles; i++) a_row[i] = (m + i) * a_row_step, c_row[i] = (m + i) * columns;
    run_tiles(&tile, tiles, a_row, c_row);
  }
}

static void linear_grad_x_piece(void *context, ptrdiff_t panel, int worker) {
  const fc_linear *p = context;
  product_block(p->grad, p->batch, p->outputs, 1, p->weight, p->outputs, p->in, panel * FC_PANEL, p->grad_x,
                fc_scratch_part(p->scratch, worker));
}

static int kernel_linear_grad_input(const void *grad, const void *weight, void *grad_x, ptrdiff_t batch, ptrdiff_t in,
                                    ptrdiff_t outputs) {
  fc_linear p = {.grad = grad, .weight = weight, .grad_x = grad_x, .batch = batch, .in = in, .outputs = outputs};
  p.scratch = fc_scratch_acquire(fc_workers(), (size_t)(outputs * FC_PANEL) * sizeof(real));
  if (!p.scratch) return FC_NO_MEMORY;
  const int status = fc_parallel(ceil_div(in, FC_PANEL), (double)batch * in * outputs, linear_grad_x_piece, &p);
  fc_scratch_release(p.scratch);
  return status;
}

static void linear_grad_weight_piece(void *context, ptrdiff_t panel, int worker) {
  const fc_linear *p = context;
  product_block(p->grad, p->outputs, 1, p->outputs, p->x, p->batch, p->in, panel * FC_PANEL, p->grad_weight,
                fc_scratch_part(p->scratch, worker));
}

static int kernel_linear_grad_weight(const void *x, const void *grad, void *grad_weight, ptrdiff_t batch, ptrdiff_t in,
                                     ptrdiff_t outputs) {
  fc_linear p = {.x = x, .grad = grad, .grad_weight = grad_weight, .batch = batch, .in = in, .outputs = outputs};
  p.scratch = fc_scratch_acquire(fc_workers(), (size_t)(batch * FC_PANEL) * sizeof(real) + 64);
  if (!p.scratch) return FC_NO_MEMORY;
  const int status = fc_parallel(ceil_div(in, FC_PANEL), (double)batch * in * outputs, linear_grad_weight_piece, &p);
  fc_scratch_release(p.scratch);
  return status;
}
