/* Convolution of many channels by Fourier transforms, for large kernels of stride and dilation 1.
 *
 * Two tiles of an image make one complex tile. Vectors run across channels, so that a tile is transformed as it lies.
 * At every frequency the result is the product of a matrix (tiles x input channels) with one of weights, a complex one,
 * made of real ones by running over twice as many channels: a tile's row is [re, im, -re], from which the product with
 * [re; -im] of the weights takes the real part at the first and the imaginary part at the second. The weights at the
 * opposite frequency are conjugate, for they are real: a row [im, re, -im] there serves the same panel. */

enum {
  FFT_MOST_PAIRS = 16,    /* of tiles worked on at a time */
  FFT_STREAMED_PAIRS = 8, /* at least so many where the weights do not stay in the cache */
  FFT_INPUT_BYTES = 1 << 20,
  FFT_WEIGHT_BYTES = 4 << 20
};

typedef struct {
  fc_image in, out;
  ptrdiff_t batch, groups, in_h, in_w, in_channels, out_h, out_w, out_channels; /* channels of one group */
  ptrdiff_t taps_y, taps_x, first_y, first_x;
  int padding;
  const fc_epilogue *epilogue;
  /* tiles, of an image, and pairs of them, of an image and in all */
  ptrdiff_t size_y, size_x, planes, halves, step_y, step_x, tiles_x, tiles, image_pairs, pairs;
  ptrdiff_t block, blocks, panels, panels_a_piece, chunks;
  ptrdiff_t row, plane; /* pitches of transformed inputs */
  const real *weights;  /* [group][panel][plane of a half][re, -im][channel][panel width] */
  const real *twiddles_y, *twiddles_x;
  const int32_t *mirror; /* the plane of the opposite frequency */
  unsigned char *broken; /* an image that has to be computed directly */
  void *scratch;
} fc_fft_conv;

/* A worker's scratch memory; `block` is what `inputs` holds, of group * blocks + block. */
typedef struct {
  ptrdiff_t block;
  real *tile, *inputs, *products;
} fc_fft_state;

/* The outputs of tile t of an image; none if there is no such tile. */
static fc_fft_tile fft_conv_outputs(const fc_fft_conv *p, ptrdiff_t t) {
  const ptrdiff_t y = t / p->tiles_x * p->step_y, x = t % p->tiles_x * p->step_x;
  if (t >= p->tiles) return (fc_fft_tile){0, 0, 0, 0};
  return (fc_fft_tile){y, x, min_size(p->step_y, p->out_h - y), min_size(p->step_x, p->out_w - x)};
}

/* Channels c ... of a tile into one half of the complex one. */
static void fft_conv_read(const fc_fft_conv *p, const real *image, fc_fft_tile at, ptrdiff_t c, real *tile) {
  const ptrdiff_t n = min_size(VL, p->in_channels - c);
  for (ptrdiff_t y = 0; y < p->size_y; y++) {
    const ptrdiff_t from_y = y < at.rows + p->taps_y - 1 ? pixel_at(at.y + p->first_y + y, p->in_h, p->padding) : -1;
    for (ptrdiff_t x = 0; x < p->size_x; x++, tile += FFT_STEP) {
      const ptrdiff_t from_x =
          x < at.columns + p->taps_x - 1 ? pixel_at(at.x + p->first_x + x, p->in_w, p->padding) : -1;
      if (from_y < 0 || from_x < 0 || at.rows == 0)
        v_store(tile, v_zero());
      else
        v_store(tile, v_load_n(image + from_y * p->in.row + from_x * p->in.pixel + c, n));
    }
  }
}

/* Transforms `count` pairs of tiles into their rows at every frequency. */
static void fft_conv_load(const fc_fft_conv *p, const fc_fft_state *state, ptrdiff_t group, ptrdiff_t first,
                          ptrdiff_t count) {
  const ptrdiff_t channels = p->in_channels;
  for (ptrdiff_t i = 0; i < count && !fc_stopping(); i++) {
    const ptrdiff_t image = (first + i) / p->image_pairs, tile = (first + i) % p->image_pairs * 2;
    const real *in = (const real *)p->in.data + image * p->in.image + group * channels;
    for (ptrdiff_t c = 0; c < channels; c += VL) {
      const ptrdiff_t n = min_size(VL, channels - c);
      fft_conv_read(p, in, fft_conv_outputs(p, tile), c, state->tile);
      fft_conv_read(p, in, fft_conv_outputs(p, tile + 1), c, state->tile + VL);
      fft_plane_forward(state->tile, p->size_y, p->size_x, p->twiddles_y, p->twiddles_x);
      for (ptrdiff_t f = 0; f < p->planes; f++) {
        const fc_complex a = c_load(state->tile + f * FFT_STEP);
        const vec one = p->mirror[f] < f ? a.im : a.re, other = p->mirror[f] < f ? a.re : a.im;
        real *to = state->inputs + f * p->plane + i * p->row + c;
        v_store_n(to, one, n);
        v_store_n(to + channels, other, n);
        v_store_n(to + 2 * channels, v_sub(v_zero(), one), n);
      }
    }
  }
}

/* All frequencies of one panel. */
static void fft_conv_multiply(const fc_fft_conv *p, const fc_fft_state *state, const real *weights, ptrdiff_t width,
                              ptrdiff_t count) {
  ptrdiff_t a_row[4 * FFT_MOST_PAIRS], c_row[4 * FFT_MOST_PAIRS];
  const ptrdiff_t no_segment = 0, channels = p->in_channels;
  fc_tile tile = {.a = state->inputs,
                  .segment = &no_segment,
                  .segments = 1,
                  .length = 2 * channels,
                  .a_step = 1,
                  .b = weights,
                  .b_step = width,
                  .c = state->products,
                  .columns = width};
  for (ptrdiff_t f = 0; f < p->planes && !fc_stopping(); f++) {
    const ptrdiff_t g = p->mirror[f];
    if (g < f) continue;
    ptrdiff_t rows = 0;
    for (ptrdiff_t half = 0; half < 2; half++) /* the real and the imaginary parts */
      for (ptrdiff_t i = 0; i < count; i++, rows++) {
        a_row[rows] = f * p->plane + i * p->row + half * channels;
        c_row[rows] = ((f * p->block + i) * 2 + half) * width;
      }
    for (ptrdiff_t half = 0; half < 2 && g > f; half++)
      for (ptrdiff_t i = 0; i < count; i++, rows++) {
        a_row[rows] = g * p->plane + i * p->row + (1 - half) * channels;
        c_row[rows] = ((g * p->block + i) * 2 + half) * width;
      }
    run_tiles(&tile, rows, a_row, c_row);
    tile.b += 2 * channels * width;
  }
}

/* Stores the n channels of a tile; returns whether a value was not finite. */
static int fft_conv_write(const fc_fft_conv *p, fc_fft_tile at, const real *tile, real *out, const real *bias,
                          ptrdiff_t n) {
  const fc_epilogue *e = p->epilogue;
  const vec offset = bias ? v_load_n(bias, n) : v_zero();
  vec suspect = v_zero();
  for (ptrdiff_t y = 0; y < at.rows; y++)
    for (ptrdiff_t x = 0; x < at.columns; x++) {
      vec value = v_load(tile + (y * p->size_x + x) * FFT_STEP);
      real *to = out + (at.y + y) * p->out.row + (at.x + x) * p->out.pixel;
      suspect = v_fma(value, v_zero(), suspect); /* NaN as soon as a value is not finite */
      value = v_add(value, offset);
      if (e->add) value = v_add(value, v_load_n(added(e->add, &p->out, to), n));
      if (e->clamp) value = v_min(v_set1((real)e->high), v_max(v_set1((real)e->low), value));
      v_store_n(to, value, n);
    }
  return m_any(v_isnan(suspect));
}

static void fft_conv_store(const fc_fft_conv *p, const fc_fft_state *state, ptrdiff_t group, ptrdiff_t column,
                           ptrdiff_t width, ptrdiff_t first, ptrdiff_t count) {
  const real *bias = p->epilogue->bias;
  for (ptrdiff_t i = 0; i < count && !fc_stopping(); i++) {
    const ptrdiff_t image = (first + i) / p->image_pairs, tile = (first + i) % p->image_pairs * 2;
    for (ptrdiff_t v = 0; v < width && column + v < p->out_channels; v += VL) {
      const ptrdiff_t n = min_size(VL, p->out_channels - column - v), channel = group * p->out_channels + column + v;
      for (ptrdiff_t f = 0; f < p->planes; f++) {
        const real *from = state->products + (f * p->block + i) * 2 * width + v;
        c_store(state->tile + f * FFT_STEP, (fc_complex){v_load(from), v_load(from + width)});
      }
      fft_plane_inverse(state->tile, p->size_y, p->size_x, p->twiddles_y, p->twiddles_x);
      real *out = (real *)p->out.data + image * p->out.image + channel;
      for (int half = 0; half < 2; half++)
        if (fft_conv_write(p, fft_conv_outputs(p, tile + half), state->tile + half * VL, out,
                           bias ? bias + channel : NULL, n))
          __atomic_store_n(&p->broken[image], 1, __ATOMIC_RELAXED);
    }
  }
}

static void fft_conv_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_fft_conv *p = context;
  const ptrdiff_t chunk = piece % p->chunks, block = piece / p->chunks % p->blocks,
                  group = piece / p->chunks / p->blocks;
  const ptrdiff_t first = block * p->block, count = min_size(p->block, p->pairs - first);
  const ptrdiff_t products = p->halves * 2 * p->in_channels;
  fc_fft_state *state = fc_scratch_part(p->scratch, worker);
  if (state->block != group * p->blocks + block) fft_conv_load(p, state, group, first, count);
  state->block = group * p->blocks + block;
  for (ptrdiff_t panel = chunk * p->panels_a_piece; panel < min_size(p->panels, (chunk + 1) * p->panels_a_piece);
       panel++) {
    const ptrdiff_t column = panel * FC_PANEL, width = panel_width(p->out_channels, column);
    const real *weights = p->weights + group * packed_group(p->out_channels, products) + column * products;
    fft_conv_multiply(p, state, weights, width, count);
    fft_conv_store(p, state, group, column, width, first, count);
  }
}

/* Computes the broken images again. */
static int fft_conv_mend(const fc_fft_conv *p, const fc_conv2d *c, int backward, const real *weight) {
  if (!memchr(p->broken, 1, (size_t)p->batch)) return FC_OK;
  if (p->epilogue->add == p->out.data) return FC_NOT_FINITE;
  fc_conv2d one = *c;
  one.window.batch = 1;
  ptrdiff_t size;
  kernel_conv2d_packed_size(&one, backward, &size);
  real *packed = fc_scratch_acquire(1, (size_t)size * sizeof(real));
  if (!packed) return FC_NO_MEMORY;
  int status = kernel_conv2d_pack(&one, backward, weight, packed);
  for (ptrdiff_t image = 0; image < p->batch && status == FC_OK; image++) {
    if (!p->broken[image]) continue;
    fc_image in = p->in, out = p->out;
    in.data = (real *)in.data + image * in.image;
    out.data = (real *)out.data + image * out.image;
    fc_epilogue epilogue = *p->epilogue;
    epilogue.add = added(epilogue.add, &p->out, out.data);
    status = backward ? kernel_conv2d_grad_input(&one, in, packed, &epilogue, out)
                      : kernel_conv2d(&one, in, packed, &epilogue, out);
  }
  fc_scratch_release(packed);
  return status;
}

/* Cuts the work into blocks and pieces, by sizes alone. */
static void fft_conv_plan(fc_fft_conv *p, double work) {
  const ptrdiff_t element = (ptrdiff_t)sizeof(real);
  p->planes = p->size_y * p->size_x;
  p->halves = fft_conv_halves(p->size_y, p->size_x);
  p->step_y = p->size_y - p->taps_y + 1;
  p->step_x = p->size_x - p->taps_x + 1;
  p->tiles_x = ceil_div(p->out_w, p->step_x);
  p->tiles = ceil_div(p->out_h, p->step_y) * p->tiles_x;
  p->image_pairs = ceil_div(p->tiles, 2);
  p->pairs = p->batch * p->image_pairs;
  p->row = odd_lines(3 * p->in_channels);
  const ptrdiff_t fit = FFT_INPUT_BYTES / (p->planes * p->row * element);
  const int streamed = p->halves * 2 * p->in_channels * p->out_channels * element > FFT_WEIGHT_BYTES;
  p->block = min_size(max_size(streamed ? FFT_STREAMED_PAIRS : 1, min_size(fit, FFT_MOST_PAIRS)), p->pairs);
  p->blocks = ceil_div(p->pairs, p->block);
  p->block = ceil_div(p->pairs, p->blocks);
  p->blocks = ceil_div(p->pairs, p->block);
  p->plane = odd_lines(p->block * p->row);
  p->panels = ceil_div(p->out_channels, FC_PANEL);
  p->chunks = min_size(p->panels, ceil_div(pieces_for(work), p->blocks * p->groups));
  p->panels_a_piece = ceil_div(p->panels, p->chunks);
  p->chunks = ceil_div(p->panels, p->panels_a_piece);
}

static int run_fft_conv(fc_fft_conv *p, const fc_conv2d *c, int backward, const real *weight) {
  if (p->batch == 0) return FC_OK;
  fft_conv_tile(c, backward, &p->size_y, &p->size_x);
  const double pixels = (double)p->batch * p->out_h * p->out_w;
  fft_conv_plan(p, pixels * p->groups * p->in_channels * (double)p->out_channels * 8);
  const double work = (double)p->pairs * p->planes * p->groups * p->in_channels * (double)p->out_channels * 4;
  const size_t tile = round64((size_t)(p->planes * FFT_STEP) * sizeof(real)),
               inputs = round64((size_t)(p->planes * p->plane) * sizeof(real)),
               products = round64((size_t)(p->planes * p->block * 2 * FC_PANEL) * sizeof(real));
  const size_t tables = round64(fft_conv_table_bytes(p->size_y, p->size_x));
  const int workers = fc_workers();
  int status = FC_NO_MEMORY;
  char *shared = fc_scratch_acquire(1, tables + (size_t)p->batch);
  p->scratch = shared ? fc_scratch_acquire(workers, 64 + tile + 64 + inputs + products) : NULL;
  if (p->scratch) {
    fft_conv_tables(shared, p->size_y, p->size_x, &p->twiddles_y, &p->twiddles_x, &p->mirror);
    p->broken = (unsigned char *)shared + tables;
    memset(p->broken, 0, (size_t)p->batch);
    for (int i = 0; i < workers; i++) {
      char *part = (char *)fc_scratch_part(p->scratch, i) + 64;
      *(fc_fft_state *)(part - 64) =
          (fc_fft_state){-1, (real *)part, (real *)(part + tile + 64), (real *)(part + tile + 64 + inputs)};
    }
    status = fc_parallel(p->groups * p->blocks * p->chunks, work, fft_conv_piece, p);
  }
  fc_scratch_release(p->scratch);
  if (status == FC_OK) status = fft_conv_mend(p, c, backward, weight);
  fc_scratch_release(shared);
  return status;
}

static int kernel_fft_conv2d(const fc_conv2d *c, fc_image x, const void *weight, const void *packed,
                             const fc_epilogue *epilogue, fc_image out) {
  const fc_window *w = &c->window;
  fc_fft_conv p = {.in = x,
                   .out = out,
                   .batch = w->batch,
                   .groups = c->groups,
                   .in_h = w->h,
                   .in_w = w->w,
                   .in_channels = w->channels / c->groups,
                   .out_h = w->out_h,
                   .out_w = w->out_w,
                   .out_channels = c->out_channels / c->groups,
                   .taps_y = w->kh,
                   .taps_x = w->kw,
                   .first_y = -w->pad_y,
                   .first_x = -w->pad_x,
                   .padding = w->padding,
                   .weights = packed,
                   .epilogue = epilogue};
  return run_fft_conv(&p, c, 0, weight);
}

/* The input's gradient is the convolution of the output's with flipped, transposed weights. */
static int kernel_fft_conv2d_grad_input(const fc_conv2d *c, fc_image grad, const void *weight, const void *packed,
                                        const fc_epilogue *epilogue, fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_fft_conv p = {.in = grad,
                   .out = grad_x,
                   .batch = w->batch,
                   .groups = c->groups,
                   .in_h = w->out_h,
                   .in_w = w->out_w,
                   .in_channels = c->out_channels / c->groups,
                   .out_h = w->h,
                   .out_w = w->w,
                   .out_channels = w->channels / c->groups,
                   .taps_y = w->kh,
                   .taps_x = w->kw,
                   .first_y = w->pad_y - w->kh + 1,
                   .first_x = w->pad_x - w->kw + 1,
                   .padding = FC_ZEROS,
                   .weights = packed,
                   .epilogue = epilogue};
  return run_fft_conv(&p, c, 1, weight);
}
