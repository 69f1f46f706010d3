/* The input's gradient of a convolution by way of columns, a few input channels at a time.
 *
 * The output's gradient times the weights (out, in * taps), read where they lie, gives every output pixel's columns:
 * what it owes to each of the input's pixels that it saw. These are added up (col2im) while they are near. Where pixels
 * are few, that saves more than it costs: weights are not packed, each for a few products, and where windows stay
 * inside, no product reaches beyond them, as those of the direct way by phases do. */

enum {
  COLUMNS_BYTES = 128 << 10 /* of a block's columns */
};

typedef struct {
  const fc_conv2d *conv;
  fc_image grad, grad_x;
  const real *weight;
  ptrdiff_t channels, blocks; /* input channels of a piece, and pieces of an image */
  ptrdiff_t rows, pitch;      /* output rows of a block, and elements from one pixel's columns to the next's */
  void *scratch;
} fc_columns_job;

/* A worker's memory. */
typedef struct {
  real *columns, *turned, *tail; /* of a block; a pixel's by taps; what product_block copies */
  ptrdiff_t *place;              /* of each tap in a pixel's */
} fc_columns_space;

/* Lays it out from `at` on; returns how long it is. With `space` NULL that is all. */
static size_t columns_lay_out(const fc_columns_job *job, char *at, fc_columns_space *space) {
  const fc_window *w = &job->conv->window;
  const ptrdiff_t taps = w->kh * w->kw;
  const size_t place = (size_t)(job->rows * w->out_w * job->pitch) * sizeof(real),
               turned = place + round64((size_t)taps * sizeof(ptrdiff_t)),
               tail = turned + round64((size_t)(taps * ceil_div(job->channels, VL) * VL) * sizeof(real));
  if (space)
    *space = (fc_columns_space){.columns = (real *)at,
                                .place = (ptrdiff_t *)(at + place),
                                .turned = (real *)(at + turned),
                                .tail = (real *)(at + tail)};
  return tail + (size_t)(job->conv->out_channels * FC_PANEL) * sizeof(real);
}

/* Turns the columns of a pixel, [channel][tap], to [tap][channel], whole vectors. */
FC_INLINE void columns_turn(const int taps, const fc_transposition *lanes, const real *columns, ptrdiff_t channels,
                            real *to) {
  for (ptrdiff_t c = 0; c < channels; c += VL, columns += VL * taps) FC_UNROLL(9)
  for (int first = 0; first < taps; first += VL) {
    vec row[VL];
    FC_UNROLL(16)
    for (int i = 0; i < VL; i++) row[i] = v_load_n(columns + i * taps + first, min_size(VL, taps - first));
    transpose_block(lanes, row);
    FC_UNROLL(16)
    for (int i = 0; i < VL; i++)
      if (first + i < taps) v_store(to + (first + i) * channels + c, row[i]);
  }
}

/* Adds an output pixel's columns, turned to [tap][channel], to the gradients of the inputs it saw. */
static void columns_add(const fc_columns_job *job, const real *columns, ptrdiff_t y, ptrdiff_t x, ptrdiff_t channels,
                        real *to) {
  const fc_window *w = &job->conv->window;
  const ptrdiff_t width = ceil_div(channels, VL) * VL;
  for (ptrdiff_t ky = 0; ky < w->kh; ky++)
    for (ptrdiff_t kx = 0; kx < w->kw; kx++, columns += width) {
      const ptrdiff_t row = y * w->stride_y - w->pad_y + ky * w->dilation_y,
                      column = x * w->stride_x - w->pad_x + kx * w->dilation_x;
      if (row < 0 || row >= w->h || column < 0 || column >= w->w) continue;
      real *at = to + row * job->grad_x.row + column * job->grad_x.pixel;
      for (ptrdiff_t c = 0; c < channels; c += VL) {
        const ptrdiff_t n = min_size(VL, channels - c);
        v_store_n(at + c, v_add(v_load_n(at + c, n), v_load(columns + c)), n);
      }
    }
}

/* Output rows y .. y + rows of an image, for some input channels. */
static void columns_rows(const fc_columns_job *job, fc_matrices product, const fc_transposition *lanes,
                         const fc_columns_space *space, ptrdiff_t y, ptrdiff_t rows, ptrdiff_t channels, real *to) {
  const fc_window *w = &job->conv->window;
  const ptrdiff_t taps = w->kh * w->kw, width = ceil_div(channels, VL) * VL;
  const int dense = job->grad.row == w->out_w * job->grad.pixel;
  const real *columns = space->columns;
  ptrdiff_t from[VL];
  for (ptrdiff_t i = 0; i < VL; i++) from[i] = i * taps;
  for (ptrdiff_t i = 0; i < taps; i++) space->place[i] = i * width;
  product.rows = dense ? rows * w->out_w : w->out_w;
  for (ptrdiff_t i = 0; i < (dense ? 1 : rows); i++) {
    for (ptrdiff_t column = 0; column < product.columns && !fc_stopping(); column += FC_PANEL)
      product_block(&product, column, space->tail);
    product.a += job->grad.row;
    product.c += w->out_w * job->pitch;
  }
  for (ptrdiff_t i = 0; i < rows; i++)
    for (ptrdiff_t x = 0; x < w->out_w; x++, columns += job->pitch) {
      if (taps == 9 && channels == width)
        columns_turn(9, lanes, columns, channels, space->turned);
      else if (taps == 3 && channels == width)
        columns_turn(3, lanes, columns, channels, space->turned);
      else
        for (ptrdiff_t c = 0; c < channels; c += VL)
          transpose(lanes, columns + c * taps, from, min_size(VL, channels - c), taps, space->turned + c, space->place,
                    1);
      columns_add(job, space->turned, y + i, x, channels, to);
    }
}

/* Some input channels of an image. */
static void columns_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_columns_job *job = context;
  const fc_window *w = &job->conv->window;
  const fc_transposition lanes = transposition();
  const ptrdiff_t image = piece % w->batch, first = piece / w->batch * job->channels; /* images share near weights */
  const ptrdiff_t channels = min_size(job->channels, w->channels - first), taps = w->kh * w->kw;
  fc_columns_space space;
  columns_lay_out(job, fc_scratch_part(job->scratch, worker), &space);
  real *to = (real *)job->grad_x.data + image * job->grad_x.image + first;
  fc_matrices product = {.a = (const real *)job->grad.data + image * job->grad.image,
                         .b = job->weight + first * taps,
                         .c = space.columns,
                         .depth = job->conv->out_channels,
                         .columns = channels * taps,
                         .a_row = job->grad.pixel,
                         .a_step = 1,
                         .b_row = w->channels * taps,
                         .c_row = job->pitch,
                         .far = FC_NV * VL <= LINE};
  for (ptrdiff_t y = 0; y < w->h; y++)
    for (ptrdiff_t x = 0; x < w->w; x++)
      memset(to + y * job->grad_x.row + x * job->grad_x.pixel, 0, (size_t)channels * sizeof(real));
  for (ptrdiff_t y = 0; y < w->out_h && !fc_stopping(); y += job->rows, product.a += job->rows * job->grad.row)
    columns_rows(job, product, &lanes, &space, y, min_size(job->rows, w->out_h - y), channels, to);
}

static int kernel_conv2d_columns_grad_input(const fc_conv2d *c, fc_image grad, const void *weight, fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_columns_job job = {.conv = c, .grad = grad, .grad_x = grad_x, .weight = weight};
  const ptrdiff_t taps = w->kh * w->kw;
  const double work = (double)w->batch * w->out_h * w->out_w * c->out_channels * (double)(w->channels * taps);
  if (w->batch == 0 || w->channels == 0) return FC_OK;
  job.channels = w->batch * ceil_div(w->channels, FC_PANEL) < pieces_for(work) ? VL : FC_PANEL;
  job.blocks = ceil_div(w->channels, job.channels);
  job.pitch = odd_lines(job.channels * taps);
  job.rows = COLUMNS_BYTES / (ptrdiff_t)sizeof(real) / max_size(1, w->out_w * job.pitch);
  job.rows = max_size(1, min_size(job.rows, w->out_h));
  job.scratch = fc_scratch_acquire(fc_workers(), columns_lay_out(&job, NULL, NULL));
  if (!job.scratch) return FC_NO_MEMORY;
  const int status = fc_parallel(w->batch * job.blocks, work, columns_piece, &job);
  fc_scratch_release(job.scratch);
  return status;
}
