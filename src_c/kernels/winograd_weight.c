/* The weight gradient of 3x3 convolutions by Winograd's F(3, 4): a tile of 4 x 4 outputs and the 6 x 6 inputs it saw
 * give the 3 x 3 gradient for 36 products where the sum over taps needs 144.
 *
 * The points are those of the value's F(4, 3). A part of the gradient takes its tiles a block at a time: inputs and
 * output gradients are transformed, and 36 products over the block's tiles are added to the transformed sums, which
 * go back to taps when all tiles have been seen. */

enum {
  WEIGHT_POINTS = 36,
  WEIGHT_TILES = 32,        /* of a block: sums of more lose accuracy, of fewer time */
  WEIGHT_SIDE = 256,        /* bytes of a piece's input and output channels: what their products are near to */
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

/* Several panels share transformed inputs, several ranges of inputs a panel's gradients: of as many channels on both
 * sides as leave the transformed sums near. */
static void weight_winograd_plan(fc_weight_job *job) {
  const ptrdiff_t side = WEIGHT_SIDE / (ptrdiff_t)sizeof(real);
  job->ranges = ceil_div(job->band.in_channels, side);
  job->panels = min_size(max_size(1, side / FC_PANEL), job->band.panels);
}

/* Scratch memory of a piece: pitches in elements, each an odd number of cache lines. */
typedef struct {
  ptrdiff_t row, plane; /* of transformed inputs, [point][tile][channel] */
  ptrdiff_t grad_plane,
      sums_plane; /* of transformed gradients [point][tile][width] and of sums [point][channel][width] */
  ptrdiff_t zeros;
} fc_weight_space;

static fc_weight_space weight_space(const fc_weight_job *job) {
  const ptrdiff_t channels = ceil_div(job->band.in_channels, job->ranges), width = job->panels * FC_PANEL,
                  row = odd_lines(channels);
  return (fc_weight_space){.row = row,
                           .plane = odd_lines(WEIGHT_TILES * row) + LINE * 2,
                           .grad_plane = odd_lines(WEIGHT_TILES * width),
                           .sums_plane = odd_lines(channels * FC_PANEL),
                           .zeros = ceil_div(max_size(channels, width) + VL, LINE) * LINE};
}

static ptrdiff_t weight_space_size(const fc_weight_job *job) {
  const fc_weight_space s = weight_space(job);
  return s.zeros + WEIGHT_POINTS * (s.plane + s.grad_plane + job->panels * s.sums_plane);
}

/* One tile of the output's gradient, `width` channels of it (whole vectors; `channels` exist). */
static void weight_transform_grad(const real *const *pixel, ptrdiff_t channels, ptrdiff_t width, ptrdiff_t ahead,
                                  real *to, ptrdiff_t plane) {
  for (ptrdiff_t c = 0; c < width; c += VL) {
    vec g[16], half[24], u[WEIGHT_POINTS];
    const ptrdiff_t n = max_size(0, min_size(VL, channels - c));
    FC_UNROLL(16)
    for (int i = 0; i < 16; i++) {
      g[i] = v_load_n(pixel[i] + c, n);
      __builtin_prefetch(pixel[i] + c + ahead);
    }
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

/* The panels of output channels that share a block of transformed inputs: their gradients lie side by side, their
 * transformed sums one after the other. */
typedef struct {
  ptrdiff_t channels, width; /* of all panels: those that exist, and whole vectors of them */
  real *inputs, *grads, *total;
} fc_weight_block;

/* Adds the products of a block of tiles to the transformed sums. */
static void weight_add_block(const fc_weight_space *s, const fc_weight_block *block, fc_tile *tile, ptrdiff_t tiles,
                             ptrdiff_t channels) {
  tile->length = tiles;
  for (int point = 0; point < WEIGHT_POINTS; point++)
    for (ptrdiff_t column = 0; column < block->width; column += FC_PANEL) {
      tile->a = block->inputs + point * s->plane;
      tile->b = block->grads + point * s->grad_plane + column;
      tile->c = block->total + (column / FC_PANEL * WEIGHT_POINTS + point) * s->sums_plane;
      tile->columns = tile->c_step = panel_width(block->width, column);
      run_tiles_beside(tile, channels);
    }
  tile->accumulate = 1;
}

/* The sums of `panels` parts, whose sums are `next` apart, over the bands first .. last, whose heights are whole tiles.
 * Returns false if one of them is not finite, or if it was told to stop: they are then undefined. */
static int weight_winograd(const fc_weight_job *job, ptrdiff_t first_part, ptrdiff_t panels, ptrdiff_t first,
                           ptrdiff_t last, real *space, real *sums, ptrdiff_t next) {
  const fc_product *p = &job->band;
  const fc_weight_part part = weight_part(job, first_part);
  const ptrdiff_t channels = part.last - part.first, no_segment = 0;
  const fc_weight_space s = weight_space(job);
  real *zeros = space;
  fc_weight_block block = {.channels = min_size(panels * FC_PANEL, p->out_channels - part.column)};
  block.width = ceil_div(block.channels, VL) * VL;
  block.inputs = zeros + s.zeros;
  block.grads = block.inputs + WEIGHT_POINTS * s.plane;
  block.total = block.grads + WEIGHT_POINTS * s.grad_plane;
  memset(zeros, 0, (size_t)s.zeros * sizeof(real));
  fc_tile tile = {.segment = &no_segment, .segments = 1, .a_step = s.row, .b_step = block.width};
  ptrdiff_t waiting = 0;
  for (ptrdiff_t band = first; band < last; band++) {
    const fc_weight_job one = weight_image(job, band / p->bands_y);
    const ptrdiff_t begin = band % p->bands_y * p->rows, end = min_size(one.band.out_h, begin + p->rows);
    const ptrdiff_t tiles_x = ceil_div(one.band.out_w, 4);
    fc_image in = one.band.in, grad = one.grad;
    in.data = (real *)in.data + part.group * p->in_channels + part.first;
    grad.data = (real *)grad.data + part.group * p->out_channels + part.column;
    const ptrdiff_t tiles = ceil_div(max_size(0, end - begin), 4) * tiles_x;
    for (ptrdiff_t t = 0; t < tiles; t++) {
      const ptrdiff_t y = begin + t / tiles_x * 4, x = t % tiles_x * 4;
      const real *pixel[WEIGHT_POINTS];
      tile_pixels(6, 6, in, y + one.band.first_y, x + one.band.first_x, one.band.in_h, one.band.in_w, FC_ZEROS, zeros,
                  pixel);
      winograd_transform_tile(6, pixel, 0, channels, 4 * in.pixel, block.inputs + waiting * s.row, s.plane);
      tile_pixels(4, 4, grad, y, x, end, one.band.out_w, FC_ZEROS, zeros, pixel);
      weight_transform_grad(pixel, block.channels, block.width, 4 * grad.pixel, block.grads + waiting * block.width,
                            s.grad_plane);
      if (++waiting < WEIGHT_TILES) continue;
      if (fc_stopping()) return 0;
      weight_add_block(&s, &block, &tile, waiting, channels);
      waiting = 0;
    }
  }
  if (waiting) weight_add_block(&s, &block, &tile, waiting, channels);
  int finite = tile.accumulate;
  for (ptrdiff_t panel = 0; panel < panels && finite; panel++)
    finite = !weight_transform_sums(block.total + panel * WEIGHT_POINTS * s.sums_plane, s.sums_plane,
                                    channels * panel_width(block.width, panel * FC_PANEL), sums + panel * next);
  return finite;
}
