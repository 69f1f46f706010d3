/* The input gradient of a convolution with few input channels.
 *
 * As a product over taps it would leave most of a vector empty. So an image's output gradient is multiplied with all
 * weights at once, one row of (tap, channel) for each of its pixels, and each input pixel then gathers its taps. */

enum { NARROW_BYTES = 1 << 20 }; /* of an image's rows: they stay in the second-level cache */

typedef struct {
  const fc_conv2d *conv;
  fc_image grad, grad_x;
  const real *packed; /* [output channel][tap y][tap x][input channel], padded to whole vectors */
  ptrdiff_t pitch;    /* of those rows, and of the products' */
  const real *bias;
  const real *add;
  void *scratch;
} fc_narrow;

static ptrdiff_t narrow_pitch(const fc_conv2d *c) {
  return ceil_div(c->window.kh * c->window.kw * c->window.channels, VL) * VL;
}

/* Whether this way pays. */
static int is_narrow(const fc_conv2d *c) {
  const fc_window *w = &c->window;
  if (c->groups != 1 || 2 * w->channels > VL || w->kh * w->kw < 4 || c->out_channels < 8) return 0;
  if (w->kh > 64 || w->kw > 64 || w->w > 4096) return 0;
  return w->out_h * w->out_w * narrow_pitch(c) * (ptrdiff_t)sizeof(real) <= NARROW_BYTES;
}

static void narrow_pack(const fc_conv2d *c, const real *weight, real *packed) {
  const fc_window *w = &c->window;
  const ptrdiff_t taps = w->kh * w->kw, pitch = narrow_pitch(c);
  for (ptrdiff_t o = 0; o < c->out_channels; o++) {
    for (ptrdiff_t tap = 0; tap < taps; tap++)
      for (ptrdiff_t i = 0; i < w->channels; i++)
        packed[o * pitch + tap * w->channels + i] = weight[(o * w->channels + i) * taps + tap];
    for (ptrdiff_t n = taps * w->channels; n < pitch; n++) packed[o * pitch + n] = 0;
  }
}

/* The taps k of an axis that reach input position `at`, as offsets: output * output_step + k * tap_step. */
static ptrdiff_t narrow_taps(ptrdiff_t at, ptrdiff_t outputs, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t pad,
                             ptrdiff_t dilation, ptrdiff_t output_step, ptrdiff_t tap_step, ptrdiff_t *offset) {
  ptrdiff_t count = 0;
  for (ptrdiff_t k = 0; k < kernel; k++) {
    const ptrdiff_t reach = at + pad - k * dilation;
    if (reach >= 0 && reach % stride == 0 && reach / stride < outputs)
      offset[count++] = reach / stride * output_step + k * tap_step;
  }
  return count;
}

static void narrow_piece(void *context, ptrdiff_t image, int worker) {
  const fc_narrow *job = context;
  const fc_window *w = &job->conv->window;
  const ptrdiff_t pixels = w->out_h * w->out_w, pitch = job->pitch, outputs = job->conv->out_channels;
  ptrdiff_t *a_row = fc_scratch_part(job->scratch, worker), *c_row = a_row + pixels;
  ptrdiff_t *across = c_row + pixels, *counts = across + w->w * w->kw;
  real *products = (real *)((char *)a_row + round64((size_t)(2 * pixels + w->w * (w->kw + 1)) * sizeof(ptrdiff_t)));
  for (ptrdiff_t y = 0, m = 0; y < w->out_h; y++)
    for (ptrdiff_t x = 0; x < w->out_w; x++, m++) {
      a_row[m] = y * job->grad.row + x * job->grad.pixel;
      c_row[m] = m * pitch;
    }
  for (ptrdiff_t x = 0; x < w->w; x++)
    counts[x] =
        narrow_taps(x, w->out_w, w->kw, w->stride_x, w->pad_x, w->dilation_x, pitch, w->channels, across + x * w->kw);

  const ptrdiff_t no_segment = 0;
  fc_tile tile = {.a = (const real *)job->grad.data + image * job->grad.image,
                  .segment = &no_segment,
                  .segments = 1,
                  .length = outputs,
                  .a_step = 1,
                  .b_step = pitch};
  for (ptrdiff_t column = 0; column < pitch; column += FC_PANEL) {
    tile.columns = min_size(FC_PANEL, pitch - column);
    tile.b = job->packed + column;
    tile.c = products + column;
    run_tiles(&tile, pixels, a_row, c_row);
  }
  for (ptrdiff_t y = 0; y < w->h; y++) {
    ptrdiff_t down[64];
    const ptrdiff_t rows = narrow_taps(y, w->out_h, w->kh, w->stride_y, w->pad_y, w->dilation_y, w->out_w * pitch,
                                       w->kw * w->channels, down);
    real *out = (real *)job->grad_x.data + image * job->grad_x.image + y * job->grad_x.row;
    for (ptrdiff_t x = 0; x < w->w; x++, out += job->grad_x.pixel) {
      vec sum = job->bias ? v_load_n(job->bias, w->channels) : v_zero();
      if (job->add) sum = v_add(sum, v_load_n(added(job->add, &job->grad_x, out), w->channels));
      for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t k = 0; k < counts[x]; k++)
          sum = v_add(sum, v_load_n(products + down[i] + across[x * w->kw + k], w->channels));
      v_store_n(out, sum, w->channels);
    }
  }
}

static int narrow_grad_input(const fc_conv2d *c, fc_image grad, const real *packed, const fc_epilogue *epilogue,
                             fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_narrow job = {.conv = c,
                   .grad = grad,
                   .grad_x = grad_x,
                   .packed = packed,
                   .pitch = narrow_pitch(c),
                   .bias = epilogue->bias,
                   .add = epilogue->add};
  const ptrdiff_t pixels = w->out_h * w->out_w;
  const size_t tables = round64((size_t)(2 * pixels + w->w * (w->kw + 1)) * sizeof(ptrdiff_t));
  job.scratch = fc_scratch_acquire(fc_workers(), tables + (size_t)(pixels * job.pitch) * sizeof(real));
  if (!job.scratch) return FC_NO_MEMORY;
  const double work = (double)w->batch * pixels * job.pitch * c->out_channels;
  const int status = fc_parallel(w->batch, work, narrow_piece, &job);
  fc_scratch_release(job.scratch);
  return status;
}
