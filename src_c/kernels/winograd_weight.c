/* The weight gradient of 3x3 convolutions by Winograd's F(3, 4): a tile of 4 x 4 outputs and the 6 x 6 inputs it saw
 * give the 3 x 3 gradient for 36 products where the sum over taps needs 144.
 *
 * The points are those of the value's F(4, 3). A part of the gradient takes its tiles a block at a time: inputs and
 * output gradients are transformed, and 36 products over the block's tiles are added to the transformed sums, which
 * go back to taps when all tiles have been seen. */

enum {
  WEIGHT_POINTS = 36,
  WEIGHT_TILES = 24,        /* of a block: sums of more lose accuracy, of fewer time */
  WEIGHT_BLOCK = 768 << 10, /* bytes of a block's transformed inputs and gradients */
  WEIGHT_CHANNELS = 16,     /* of a group, at least, on both sides */
  WEIGHT_FEWEST_TILES = 16, /* with fewer the sum over taps is as quick */
  WEIGHT_SMALLEST_MAP = 9 /* on a smaller one half of the tiles' pixels are not there, and the error is over 4 times */
};

/* Whether this way serves and pays. */
static int weight_by_winograd(const fc_conv2d *c) {
  const fc_window *w = &c->window;
  if (winograd_form(c, 4).alpha_y != 6 || w->kw != 3) return 0;
  const ptrdiff_t h = ceil_div(w->out_h, w->dilation_y), width = ceil_div(w->out_w, w->dilation_x);
  if (min_size(h, width) < WEIGHT_SMALLEST_MAP) return 0;
  if (min_size(w->channels, c->out_channels) / c->groups < WEIGHT_CHANNELS) return 0;
  return w->batch * w->dilation_y * w->dilation_x * ceil_div(h, 4) * ceil_div(width, 4) >= WEIGHT_FEWEST_TILES;
}

/* Scratch memory of a part: pitches in elements, each an odd number of cache lines. */
typedef struct {
  ptrdiff_t block;      /* tiles */
  ptrdiff_t row, plane; /* of transformed inputs, [point][tile][channel] */
  ptrdiff_t grad_plane,
      sums_plane; /* of transformed gradients [point][tile][width] and of sums [point][channel][width] */
  ptrdiff_t zeros;
} fc_weight_space;

static fc_weight_space weight_space(ptrdiff_t channels) {
  const ptrdiff_t element = (ptrdiff_t)sizeof(real);
  const ptrdiff_t fit = WEIGHT_BLOCK / (WEIGHT_POINTS * (channels + FC_PANEL) * element);
  fc_weight_space s = {.block = max_size(8, min_size(WEIGHT_TILES, fit))};
  s.row = (ceil_div(channels, LINE) | 1) * LINE;
  s.plane = (s.block * s.row / LINE | 1) * LINE + LINE * 2;
  s.grad_plane = (s.block * FC_PANEL / LINE | 1) * LINE;
  s.sums_plane = (ceil_div(channels * FC_PANEL, LINE) | 1) * LINE;
  s.zeros = ceil_div(max_size(channels, FC_PANEL) + VL, LINE) * LINE;
  return s;
}

static ptrdiff_t weight_space_size(const fc_weight_job *job) {
  const fc_weight_space s = weight_space(ceil_div(job->band.in_channels, job->ranges));
  return s.zeros + WEIGHT_POINTS * (s.plane + s.grad_plane + s.sums_plane);
}

/* One tile of the output's gradient, `width` channels of it (whole vectors; `channels` exist). */
static void weight_transform_grad(const real *const *pixel, ptrdiff_t channels, ptrdiff_t width, real *to,
                                  ptrdiff_t plane) {
  for (ptrdiff_t c = 0; c < width; c += VL) {
    vec g[16], half[24], u[WEIGHT_POINTS];
    const ptrdiff_t n = max_size(0, min_size(VL, channels - c));
    FC_UNROLL(16)
    for (int i = 0; i < 16; i++) g[i] = v_load_n(pixel[i] + c, n);
    FC_UNROLL(4)
    for (int x = 0; x < 4; x++) winograd_weight(6, 4, g + x, 4, half + x, 4);
    FC_UNROLL(6)
    for (int y = 0; y < 6; y++) winograd_weight(6, 4, half + y * 4, 1, u + y * 6, 1);
    FC_UNROLL(36)
    for (int i = 0; i < WEIGHT_POINTS; i++) v_store(to + i * plane + c, u[i]);
  }
}

/* Transformed sums back to taps: sums [tap][row][width]. Returns whether a value is not finite. */
static int weight_transform_sums(const real *from, ptrdiff_t plane, ptrdiff_t elements, real *sums) {
  vec suspect = v_zero();
  for (ptrdiff_t i = 0; i < elements; i += VL) {
    vec y[WEIGHT_POINTS], half[18], tap[9];
    FC_UNROLL(36)
    for (int k = 0; k < WEIGHT_POINTS; k++) y[k] = v_load(from + k * plane + i);
    FC_UNROLL(6)
    for (int x = 0; x < 6; x++) winograd_output(6, 3, y + x, 6, half + x, 6);
    FC_UNROLL(3)
    for (int k = 0; k < 3; k++) winograd_output(6, 3, half + k * 6, 1, tap + k * 3, 1);
    FC_UNROLL(9)
    for (int k = 0; k < 9; k++) {
      suspect = v_fma(tap[k], v_zero(), suspect);
      v_store(sums + k * elements + i, tap[k]);
    }
  }
  return m_any(v_isnan(suspect));
}

/* Adds the products of a block of tiles to the transformed sums. */
static void weight_add_block(const fc_weight_space *s, fc_tile *tile, const real *inputs, const real *grads,
                             real *total, ptrdiff_t tiles, ptrdiff_t channels) {
  tile->length = tiles;
  for (int point = 0; point < WEIGHT_POINTS; point++) {
    tile->a = inputs + point * s->plane;
    tile->b = grads + point * s->grad_plane;
    tile->c = total + point * s->sums_plane;
    run_tiles_beside(tile, channels);
  }
  tile->accumulate = 1;
}

/* The sums of a part over the bands first .. last, whose heights are whole tiles. Returns false if one of them is not
 * finite, or if it was told to stop: they are then undefined. */
static int weight_winograd(const fc_weight_job *job, const fc_weight_part *part, ptrdiff_t first, ptrdiff_t last,
                           real *space, real *sums) {
  const fc_product *p = &job->band;
  const ptrdiff_t channels = part->last - part->first, width = part->width, no_segment = 0;
  const fc_weight_space s = weight_space(ceil_div(p->in_channels, job->ranges));
  real *zeros = space, *inputs = zeros + s.zeros, *grads = inputs + WEIGHT_POINTS * s.plane,
       *total = grads + WEIGHT_POINTS * s.grad_plane;
  memset(zeros, 0, (size_t)s.zeros * sizeof(real));
  fc_tile tile = {
      .segment = &no_segment, .segments = 1, .a_step = s.row, .b_step = width, .c_step = width, .columns = width};
  ptrdiff_t waiting = 0;
  for (ptrdiff_t band = first; band < last; band++) {
    const fc_weight_job one = weight_image(job, band / p->bands_y);
    const ptrdiff_t begin = band % p->bands_y * p->rows, end = min_size(one.band.out_h, begin + p->rows);
    const ptrdiff_t tiles_x = ceil_div(one.band.out_w, 4);
    fc_image in = one.band.in, grad = one.grad;
    in.data = (real *)in.data + part->group * p->in_channels + part->first;
    grad.data = (real *)grad.data + part->group * p->out_channels + part->column;
    const ptrdiff_t tiles = ceil_div(max_size(0, end - begin), 4) * tiles_x;
    for (ptrdiff_t t = 0; t < tiles; t++) {
      const ptrdiff_t y = begin + t / tiles_x * 4, x = t % tiles_x * 4;
      const real *pixel[WEIGHT_POINTS];
      tile_pixels(6, 6, in, y + one.band.first_y, x + one.band.first_x, one.band.in_h, one.band.in_w, FC_ZEROS, zeros,
                  pixel);
      winograd_transform_tile(6, pixel, 0, channels, inputs + waiting * s.row, s.plane);
      tile_pixels(4, 4, grad, y, x, end, one.band.out_w, FC_ZEROS, zeros, pixel);
      weight_transform_grad(pixel, part->channels, width, grads + waiting * width, s.grad_plane);
      if (++waiting < s.block) continue;
      if (fc_stopping()) return 0;
      weight_add_block(&s, &tile, inputs, grads, total, waiting, channels);
      waiting = 0;
    }
  }
  if (waiting) weight_add_block(&s, &tile, inputs, grads, total, waiting, channels);
  return tile.accumulate && !weight_transform_sums(total, s.sums_plane, channels * width, sums);
}
