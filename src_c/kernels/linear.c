/* Fully connected layers: weights (out, in) in C order are read where they are, never copied whole.
 *
 * With a few samples the product is bound by memory: dot products along `in`, each weight read once. With more, the
 * samples become the columns: they are packed as panels (they are the smaller operand), the weights' rows feed the
 * tile. */

enum {
  LINEAR_DOT_BATCH = 6,
  LINEAR_ROWS = 8 * FC_MR,
  LINEAR_PIECES = 16, /* of the weights' gradient, at least, where there are so many panels */
  LINEAR_WEIGHTS = 1 << 13,
  SHARED_WEIGHTS = 1 << 17, /* so many stay in a second-level cache */
  DOT_ROWS = 4,
  DOT_SAMPLES = 4
};

typedef struct {
  const real *x, *weight, *bias, *grad;
  int clamp;
  real low, high;
  real *out, *grad_x, *grad_weight, *scratch_panels;
  void *scratch;
  ptrdiff_t batch, in, outputs;
  ptrdiff_t block, blocks; /* outputs of a piece */
  ptrdiff_t ranges;        /* of inputs */
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
    for (int j = 0; j < samples; j++) {
      const real value = v_sum(sum[i][j]) + (p->bias ? p->bias[o + i] : 0), low = value < p->low ? p->low : value;
      p->out[(n + j) * p->outputs + o + i] = !p->clamp ? value : low > p->high ? p->high : low; /* a NaN stays */
    }
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
static void pack_samples(const fc_linear *p, ptrdiff_t n, real *to) {
  enum { BLOCK = 64 };
  const ptrdiff_t width = panel_width(p->batch, n), samples = min_size(FC_PANEL, p->batch - n);
  const fc_transposition lanes = transposition();
  ptrdiff_t sample[VL], place[BLOCK];
  for (ptrdiff_t j = 0; j < VL; j++) sample[j] = j * p->in;
  for (ptrdiff_t k = 0; k < BLOCK; k++) place[k] = k * width;
  for (ptrdiff_t k = 0; k < p->in; k += BLOCK)
    for (ptrdiff_t j = 0; j < width; j += VL)
      transpose(&lanes, p->x + (n + j) * p->in + k, sample, max_size(0, min_size(VL, samples - j)),
                min_size(BLOCK, p->in - k), to + k * width + j, place, 1);
}

static void pack_samples_piece(void *context, ptrdiff_t panel, int worker) {
  (void)worker;
  const fc_linear *p = context;
  pack_samples(p, panel * FC_PANEL, p->scratch_panels + panel * FC_PANEL * p->in);
}

/* Outputs o .. o + rows, at most FC_MR, of the samples of a panel: a tile [output][sample], stored transposed. */
static void linear_tiles(const fc_linear *p, const real *panel, ptrdiff_t n, ptrdiff_t o, ptrdiff_t rows) {
  const ptrdiff_t width = panel_width(p->batch, n), samples = min_size(FC_PANEL, p->batch - n), no_segment = 0;
  const fc_transposition lanes = transposition();
  ptrdiff_t row[VL], place[FC_PANEL];
  real product[FC_MR * FC_PANEL];
  for (ptrdiff_t m = 0; m < rows && p->bias; m++)
    for (ptrdiff_t j = 0; j < width; j += VL) v_store(product + m * FC_PANEL + j, v_set1(p->bias[o + m]));
  for (ptrdiff_t m = 0; m < VL; m++) row[m] = m * FC_PANEL;
  for (ptrdiff_t j = 0; j < samples; j++) place[j] = j * p->outputs;
  const fc_tile tile = {.a = p->weight + o * p->in,
                        .segment = &no_segment,
                        .segments = 1,
                        .length = p->in,
                        .a_step = 1,
                        .a_next = p->in,
                        .b = panel,
                        .b_step = width,
                        .c = product,
                        .c_step = FC_PANEL,
                        .columns = width,
                        .add = p->bias ? product : NULL,
                        .clamp = p->clamp,
                        .low = p->low,
                        .high = p->high};
  run_tiles_even(&tile, 0, 0, rows);
  for (ptrdiff_t m = 0; m < rows; m += VL)
    transpose(&lanes, product + m * FC_PANEL, row, min_size(VL, rows - m), samples, p->out + n * p->outputs + o + m,
              place, 0);
}

/* A block of outputs of all samples. */
static void linear_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_linear *p = context;
  const ptrdiff_t end = min_size(p->outputs, (piece + 1) * p->block);
  for (ptrdiff_t o = piece * p->block; o < end; o += FC_MR)
    for (ptrdiff_t n = 0; n < p->batch; n += FC_PANEL) {
      if (n % (8 * FC_PANEL) == 0 && fc_stopping()) return;
      linear_tiles(p, p->scratch_panels + n * p->in, n, o, min_size(FC_MR, end - o));
    }
}

/* All outputs of a panel of samples. */
static void linear_samples_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_linear *p = context;
  real *panel = fc_scratch_part(p->scratch, worker);
  pack_samples(p, piece * FC_PANEL, panel);
  for (ptrdiff_t o = 0; o < p->outputs && !fc_stopping(); o += FC_MR)
    linear_tiles(p, panel, piece * FC_PANEL, o, min_size(FC_MR, p->outputs - o));
}

/* Whether pieces are samples, which the cores had in their caches from the layer before, and each reads all weights. */
static int by_samples(const fc_linear *p) { return p->batch > FC_PANEL && p->in * p->outputs <= SHARED_WEIGHTS; }

static int kernel_linear(const void *x, const void *weight, const fc_epilogue *epilogue, void *out, ptrdiff_t batch,
                         ptrdiff_t in, ptrdiff_t outputs) {
  fc_linear p = {.x = x,
                 .weight = weight,
                 .bias = epilogue->bias,
                 .clamp = epilogue->clamp,
                 .low = (real)epilogue->low,
                 .high = (real)epilogue->high,
                 .out = out,
                 .batch = batch,
                 .in = in,
                 .outputs = outputs};
  const double work = (double)batch * in * outputs;
  if (batch == 0 || outputs == 0) return FC_OK;
  const ptrdiff_t panels = ceil_div(batch, FC_PANEL);
  if (by_samples(&p)) {
    p.scratch = fc_scratch_acquire(fc_workers(), (size_t)(FC_PANEL * in) * sizeof(real));
    if (!p.scratch) return FC_NO_MEMORY;
    const int status = fc_parallel(panels, work, linear_samples_piece, &p);
    fc_scratch_release(p.scratch);
    return status;
  }
  const int dots = batch < LINEAR_DOT_BATCH;
  const ptrdiff_t unit = dots ? DOT_ROWS : FC_MR;
  p.block = ceil_div(max_size(1, LINEAR_WEIGHTS / max_size(1, in)), unit) * unit;
  p.blocks = ceil_div(outputs, p.block);
  if (dots) return fc_parallel(p.blocks, work, dot_piece, &p);
  p.scratch_panels = fc_scratch_acquire(1, (size_t)(ceil_div(batch, VL) * VL * in) * sizeof(real));
  if (!p.scratch_panels) return FC_NO_MEMORY;
  int status = fc_parallel(panels, (double)batch * in, pack_samples_piece, &p);
  if (status == FC_OK) status = fc_parallel(p.blocks, work, linear_piece, &p);
  fc_scratch_release(p.scratch_panels);
  return status;
}

/* C[m][k] = sum over j < depth of A(m, j) * B[j][k], B read in place; A's element (m, j) is a[m * a_row + j * a_step].
 */
typedef struct {
  const real *a, *b;
  real *c;
  ptrdiff_t rows, depth, columns;
  ptrdiff_t a_row, a_step, b_row, c_row;
  int far; /* rows of B lie so far apart that caches hold few of them */
} fc_matrices;

/* The panel of C from `column` on. Its columns of B are copied first if they are far, or too few for whole vectors. */
static void product_block(const fc_matrices *p, ptrdiff_t column, real *copy) {
  const ptrdiff_t here = min_size(FC_PANEL, p->columns - column), width = panel_width(p->columns, column);
  const ptrdiff_t no_segment = 0;
  fc_tile tile = {.a = p->a,
                  .segment = &no_segment,
                  .segments = 1,
                  .length = p->depth,
                  .a_step = p->a_step,
                  .a_next = p->a_row,
                  .b = p->b + column,
                  .b_step = p->b_row,
                  .c = p->c + column,
                  .c_step = p->c_row,
                  .columns = here};
  if (p->far || here < width) {
    for (ptrdiff_t j = 0; j < p->depth; j++)
      for (ptrdiff_t n = 0; n < width; n += VL)
        v_store(copy + j * width + n, v_load_n(tile.b + j * p->b_row + n, min_size(VL, here - n)));
    tile.b = copy;
    tile.b_step = width;
  }
  if (p->a_row == 1) {
    for (ptrdiff_t m = 0; m < p->rows && !fc_stopping();
         m += LINEAR_ROWS, tile.a += LINEAR_ROWS, tile.c += LINEAR_ROWS * p->c_row)
      run_tiles_beside(&tile, min_size(LINEAR_ROWS, p->rows - m));
    return;
  }
  for (ptrdiff_t m = 0; m < p->rows && !fc_stopping(); m += LINEAR_ROWS)
    run_tiles_even(&tile, m * p->a_row, m * p->c_row, min_size(LINEAR_ROWS, p->rows - m));
}

/* The product for samples n .. n + rows of the input's gradient. */
static fc_matrices linear_grad_x(const fc_linear *p, ptrdiff_t n, ptrdiff_t rows) {
  return (fc_matrices){.a = p->grad + n * p->outputs,
                       .b = p->weight,
                       .c = p->grad_x + n * p->in,
                       .rows = rows,
                       .depth = p->outputs,
                       .columns = p->in,
                       .a_row = p->outputs,
                       .a_step = 1,
                       .b_row = p->in,
                       .c_row = p->in};
}

static void linear_grad_x_piece(void *context, ptrdiff_t panel, int worker) {
  const fc_linear *p = context;
  const fc_matrices all = linear_grad_x(p, 0, p->batch);
  product_block(&all, panel * FC_PANEL, fc_scratch_part(p->scratch, worker));
}

static void linear_grad_samples_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_linear *p = context;
  const ptrdiff_t n = piece * FC_PANEL;
  const fc_matrices some = linear_grad_x(p, n, min_size(FC_PANEL, p->batch - n));
  for (ptrdiff_t column = 0; column < p->in && !fc_stopping(); column += FC_PANEL)
    product_block(&some, column, fc_scratch_part(p->scratch, worker));
}

static int kernel_linear_grad_input(const void *grad, const void *weight, void *grad_x, ptrdiff_t batch, ptrdiff_t in,
                                    ptrdiff_t outputs) {
  fc_linear p = {.grad = grad, .weight = weight, .grad_x = grad_x, .batch = batch, .in = in, .outputs = outputs};
  p.scratch = fc_scratch_acquire(fc_workers(), (size_t)(outputs * FC_PANEL) * sizeof(real));
  if (!p.scratch) return FC_NO_MEMORY;
  const int samples = by_samples(&p) && batch <= 4 * FC_PANEL;
  const int status = fc_parallel(ceil_div(samples ? batch : in, FC_PANEL), (double)batch * in * outputs,
                                 samples ? linear_grad_samples_piece : linear_grad_x_piece, &p);
  fc_scratch_release(p.scratch);
  return status;
}

/* A block of outputs, some panels of inputs one after the other: what they write lies side by side. */
static void linear_grad_weight_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_linear *p = context;
  const ptrdiff_t o = piece / p->ranges * p->block, rows = min_size(p->block, p->outputs - o);
  const ptrdiff_t panels = ceil_div(p->in, FC_PANEL), range = piece % p->ranges;
  const fc_matrices some = {.a = p->grad + o,
                            .b = p->x,
                            .c = p->grad_weight + o * p->in,
                            .rows = rows,
                            .depth = p->batch,
                            .columns = p->in,
                            .a_row = 1,
                            .a_step = p->outputs,
                            .b_row = p->in,
                            .c_row = p->in};
  for (ptrdiff_t panel = panels * range / p->ranges; panel < panels * (range + 1) / p->ranges; panel++)
    product_block(&some, panel * FC_PANEL, fc_scratch_part(p->scratch, worker));
}

static int run_grad_weight(fc_linear *p) {
  const size_t copy = p->in % VL ? (size_t)(p->batch * FC_PANEL) * sizeof(real) : 0; /* see product_block */
  p->scratch = fc_scratch_acquire(fc_workers(), copy + 64);
  if (!p->scratch) return FC_NO_MEMORY;
  const double work = (double)p->batch * p->in * p->outputs;
  const ptrdiff_t pieces = pieces_for(work), panels = max_size(1, ceil_div(p->in, FC_PANEL));
  p->blocks = max_size(ceil_div(pieces, panels), ceil_div(p->outputs, LINEAR_ROWS));
  p->block = max_size(1, ceil_div(ceil_div(p->outputs, max_size(1, p->blocks)), FC_MR)) * FC_MR;
  p->blocks = ceil_div(p->outputs, p->block);
  p->ranges = min_size(panels, ceil_div(max_size(pieces, LINEAR_PIECES), max_size(1, p->blocks)));
  const int status = fc_parallel(p->blocks * p->ranges, work, linear_grad_weight_piece, p);
  fc_scratch_release(p->scratch);
  return status;
}

/* Whether so many columns leave more of their vectors empty than so many others do, a fifth more. */
static int fill_less(ptrdiff_t columns, ptrdiff_t others) {
  return 5 * ceil_div(columns, VL) * others > 6 * ceil_div(others, VL) * columns;
}

/* Inputs are columns, or, where they fill vectors badly, outputs: the transposed product of the two exchanged. */
static int kernel_linear_grad_weight(const void *x, const void *grad, void *grad_weight, ptrdiff_t batch, ptrdiff_t in,
                                     ptrdiff_t outputs) {
  fc_linear p = {.x = x, .grad = grad, .grad_weight = grad_weight, .batch = batch, .in = in, .outputs = outputs};
  if (!fill_less(in, outputs)) return run_grad_weight(&p);
  real *turned = fc_scratch_acquire(1, (size_t)(in * outputs) * sizeof(real));
  if (!turned) return FC_NO_MEMORY;
  fc_linear exchanged = {.x = grad, .grad = x, .grad_weight = turned, .batch = batch, .in = outputs, .outputs = in};
  const int status = run_grad_weight(&exchanged);
  const fc_transposition lanes = transposition();
  if (status == FC_OK) transpose_matrix(&lanes, turned, outputs, in, outputs, grad_weight, in);
  fc_scratch_release(turned);
  return status;
}
