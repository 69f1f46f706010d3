/* The weight gradient of 3x3 convolutions by Winograd's F(3, 4): a tile of 4 x 4 outputs and the 6 x 6 inputs it saw
 * give the 3 x 3 gradient for 36 products where the sum over taps needs 144. That of 4x4 ones of stride 2 by F(2, 3): a
 * tile of 3 x 3 outputs and four of 4 x 4 inputs, one of each phase, give the phases' 2 x 2 gradients for 16 products
 * each in place of 36.
 *
 * The points are those of the value's F(4, 3) and F(3, 2). A part of the gradient takes its tiles a block at a time:
 * inputs and output gradients are transformed, and products over the block's tiles, one for each point, are added to
 * the transformed sums, which go back to taps when all tiles have been seen. */

enum {
  WEIGHT_POINTS = 36,       /* at most */
  WEIGHT_TILES = 32,        /* of a block: sums of more lose accuracy, of fewer time */
  WEIGHT_SIDE = 256,        /* bytes of a piece's input and output channels: what their products are near to */
  WEIGHT_WAYS = 6,          /* see weight_winograd_plan */
  WEIGHT_CHANNELS = 16,     /* of a group, at least, on both sides */
  WEIGHT_FEWEST_TILES = 16, /* with fewer the sum over taps is as quick */
  WEIGHT_SMALLEST_MAP = 9 /* on a smaller one half of the tiles' pixels are not there, and the error is over 4 times */
};

/* Outputs an axis of a tile if this way serves and pays, or 0. */
static int weight_by_winograd(const fc_conv2d *c) {
  const fc_window *w = &c->window;
  const int strided = winograd_form(c, 3, 0).stride == 2, tile = strided ? 3 : 4;
  if (!strided && (winograd_form(c, 4, 0).alpha_y != 6 || w->kw != 3)) return 0;
  const ptrdiff_t h = ceil_div(w->out_h, w->dilation_y), width = ceil_div(w->out_w, w->dilation_x);
  if (min_size(h, width) < WEIGHT_SMALLEST_MAP) return 0;
  if (min_size(w->channels, c->out_channels) / c->groups < WEIGHT_CHANNELS) return 0;
  const ptrdiff_t tiles = w->batch * w->dilation_y * w->dilation_x * ceil_div(h, tile) * ceil_div(width, tile);
  return tiles >= WEIGHT_FEWEST_TILES ? tile : 0;
}

/* Of the input: its pixels of each are to the products what channels are. */
static int weight_phases(const fc_weight_job *job) { return job->winograd == 3 ? PHASES : 1; }

static int weight_points(const fc_weight_job *job) { return job->winograd == 3 ? 16 : WEIGHT_POINTS; }

/* Several panels share transformed inputs, several ranges of inputs a panel's gradients: of as many channels on both
 * sides as leave the transformed sums near. There are ways that take less memory and more time, about 1.06, 1.09, 1.13,
 * 1.18 and 1.24 times as much: of fewer tiles in a block, of half as many panels, and of half as many inputs too. */
static void weight_winograd_plan(fc_weight_job *job, int way) {
  const ptrdiff_t side = WEIGHT_SIDE / (ptrdiff_t)sizeof(real), panels = max_size(1, side / FC_PANEL);
  const ptrdiff_t rows = side * (WEIGHT_POINTS / weight_points(job)); /* the fewer points, the more */
  job->tiles = way % 2 ? WEIGHT_TILES / 2 : WEIGHT_TILES;
  job->panels = min_size(way >= 2 ? max_size(1, panels / 2) : panels, job->band.panels);
  job->ranges = ceil_div(job->band.in_channels * weight_phases(job), way >= 4 ? rows / 2 : rows);
}

/* Scratch memory of a piece: pitches in elements, each an odd number of cache lines. */
typedef struct {
  ptrdiff_t row, plane; /* of transformed inputs, [point][tile][channel] */
  ptrdiff_t grad_plane,
      sums_plane; /* of transformed gradients [point][tile][width] and of sums [point][channel][width] */
  ptrdiff_t zeros;
} fc_weight_space;

static fc_weight_space weight_space(const fc_weight_job *job) {
  const ptrdiff_t channels = ceil_div(job->band.in_channels, job->ranges) * weight_phases(job),
                  width = job->panels * FC_PANEL, row = odd_lines(channels);
  return (fc_weight_space){.row = row,
                           .plane = odd_lines(job->tiles * row) + LINE * 2,
                           .grad_plane = odd_lines(job->tiles * width),
                           .sums_plane = odd_lines(channels * FC_PANEL),
                           .zeros = ceil_div(max_size(channels, width) + VL, LINE) * LINE};
}

static ptrdiff_t weight_space_size(const fc_weight_job *job) {
  const fc_weight_space s = weight_space(job);
  return s.zeros + weight_points(job) * (s.plane + s.grad_plane + job->panels * s.sums_plane);
}

/* One tile of the output's gradient, `width` channels of it (whole vectors; `channels` exist). */
FC_INLINE void weight_transform_grad(const int alpha, const int m, const real *const *pixel, ptrdiff_t channels,
                                     ptrdiff_t width, ptrdiff_t ahead, real *to, ptrdiff_t plane) {
  for (ptrdiff_t c = 0; c < width; c += VL) {
    vec g[16], half[24], u[MOST_PLANES];
    const ptrdiff_t n = max_size(0, min_size(VL, channels - c));
    FC_UNROLL(16)
    for (int i = 0; i < m * m; i++) {
      g[i] = v_load_n(pixel[i] + c, n);
      __builtin_prefetch(pixel[i] + c + ahead);
    }
    FC_UNROLL(4)
    for (int x = 0; x < m; x++) winograd_weight(alpha, m, g + x, m, half + x, m);
    FC_UNROLL(6)
    for (int y = 0; y < alpha; y++) winograd_weight(alpha, m, half + y * m, 1, u + y * alpha, 1);
    FC_UNROLL(36)
    for (int i = 0; i < alpha * alpha; i++) v_store(to + i * plane + c, u[i]);
  }
}

/* Transformed sums back to `taps` x `taps` taps: sums [tap y][tap x][row][width], rows of taps `row` apart and taps
 * `tap`. Returns whether a value is not finite. */
FC_INLINE int weight_transform_sums(const int alpha, const int taps, const real *from, ptrdiff_t plane,
                                    ptrdiff_t elements, real *sums, ptrdiff_t row, ptrdiff_t tap) {
  vec suspect = v_zero();
  for (ptrdiff_t i = 0; i < elements; i += VL) {
    vec y[MOST_PLANES], half[18], sum[9];
    FC_UNROLL(36)
    for (int k = 0; k < alpha * alpha; k++) y[k] = v_load(from + k * plane + i);
    FC_UNROLL(6)
    for (int x = 0; x < alpha; x++) winograd_output(alpha, taps, y + x, alpha, half + x, alpha);
    FC_UNROLL(3)
    for (int k = 0; k < taps; k++) winograd_output(alpha, taps, half + k * alpha, 1, sum + k * taps, 1);
    FC_UNROLL(9)
    for (int k = 0; k < taps * taps; k++) {
      suspect = v_fma(sum[k], v_zero(), suspect);
      v_store(sums + k / taps * row + k % taps * tap + i, sum[k]);
    }
  }
  return m_any(v_isnan(suspect));
}

/* A panel's transformed sums of `channels` channels, of each phase, back to taps. */
static int weight_finish(const fc_weight_job *job, const fc_weight_space *s, const real *total, ptrdiff_t channels,
                         ptrdiff_t width, real *sums) {
  const ptrdiff_t tap = channels * width;
  if (job->winograd == 4) return weight_transform_sums(6, 3, total, s->sums_plane, tap, sums, 3 * tap, tap);
  int broken = 0;
  for (int phase = 0; phase < PHASES; phase++)
    broken |= weight_transform_sums(4, 2, total + phase * tap, s->sums_plane, tap,
                                    sums + (phase / 2 * 4 + phase % 2) * tap, 8 * tap, 2 * tap);
  return broken;
}

/* The panels of output channels that share a block of transformed inputs: their gradients lie side by side, their
 * transformed sums one after the other. */
typedef struct {
  int points;
  ptrdiff_t channels, width; /* of all panels: those that exist, and whole vectors of them */
  real *inputs, *grads, *total;
} fc_weight_block;

/* Adds the products of a block of tiles to the transformed sums. */
static void weight_add_block(const fc_weight_space *s, const fc_weight_block *block, fc_tile *tile, ptrdiff_t tiles,
                             ptrdiff_t channels) {
  tile->length = tiles;
  for (int point = 0; point < block->points; point++)
    for (ptrdiff_t column = 0; column < block->width; column += FC_PANEL) {
      tile->a = block->inputs + point * s->plane;
      tile->b = block->grads + point * s->grad_plane + column;
      tile->c = block->total + (column / FC_PANEL * block->points + point) * s->sums_plane;
      tile->columns = tile->c_step = panel_width(block->width, column);
      run_tiles_beside(tile, channels);
    }
  tile->accumulate = 1;
}

/* Transforms the tile whose outputs begin at (y, x) of an image, the `channels` inputs of each phase and the gradients
 * before row `end`; it is the block's tile number `at`. */
static void weight_load_tile(const fc_weight_job *image, const fc_weight_space *s, const fc_weight_block *block,
                             const fc_thinned *in, ptrdiff_t channels, ptrdiff_t y, ptrdiff_t x, ptrdiff_t end,
                             const real *zeros, ptrdiff_t at) {
  const int m = image->winograd, alpha = m == 4 ? 6 : 4, phases = weight_phases(image);
  const real *pixel[MOST_PLANES];
  real *inputs = block->inputs + at * s->row, *grads = block->grads + at * block->width;
  for (int phase = 0; phase < phases; phase++, in++, inputs += channels) {
    tile_pixels(alpha, alpha, in->image, y + in->y, x + in->x, in->h, in->w, FC_ZEROS, zeros, pixel);
    if (m == 4)
      winograd_transform_tile(6, pixel, 0, channels, m * in->image.pixel, inputs, VL, s->plane);
    else
      winograd_transform_tile(4, pixel, 0, channels, m * in->image.pixel, inputs, VL, s->plane);
  }
  tile_pixels(m, m, image->grad, y, x, end, image->band.out_w, FC_ZEROS, zeros, pixel);
  if (m == 4)
    weight_transform_grad(6, 4, pixel, block->channels, block->width, m * image->grad.pixel, grads, s->grad_plane);
  else
    weight_transform_grad(4, 3, pixel, block->channels, block->width, m * image->grad.pixel, grads, s->grad_plane);
}

/* The sums of `panels` parts, whose sums are `next` apart, over the bands first .. last, whose heights are whole tiles.
 * Returns false if one of them is not finite, or if it was told to stop: they are then undefined. */
static int weight_winograd(const fc_weight_job *job, ptrdiff_t first_part, ptrdiff_t panels, ptrdiff_t first,
                           ptrdiff_t last, real *space, real *sums, ptrdiff_t next) {
  const fc_product *p = &job->band;
  const fc_weight_part part = weight_part(job, first_part);
  const ptrdiff_t channels = part.last - part.first, no_segment = 0;
  const int phases = weight_phases(job), points = weight_points(job), m = job->winograd, step = phases > 1 ? 2 : 1;
  const fc_weight_space s = weight_space(job);
  real *zeros = space;
  fc_weight_block block = {.points = points, .channels = min_size(panels * FC_PANEL, p->out_channels - part.column)};
  block.width = ceil_div(block.channels, VL) * VL;
  block.inputs = zeros + s.zeros;
  block.grads = block.inputs + points * s.plane;
  block.total = block.grads + points * s.grad_plane;
  memset(zeros, 0, (size_t)s.zeros * sizeof(real));
  fc_tile tile = {.segment = &no_segment, .segments = 1, .a_step = s.row, .b_step = block.width};
  ptrdiff_t waiting = 0;
  for (ptrdiff_t band = first; band < last; band++) {
    fc_weight_job one = weight_image(job, band / p->bands_y);
    const ptrdiff_t begin = band % p->bands_y * p->rows, end = min_size(one.band.out_h, begin + p->rows);
    const ptrdiff_t tiles_x = ceil_div(one.band.out_w, m);
    one.grad.data = (real *)one.grad.data + part.group * p->out_channels + part.column;
    one.band.in.data = (real *)one.band.in.data + part.group * p->in_channels + part.first;
    fc_thinned in[PHASES];
    for (int phase = 0; phase < phases; phase++)
      in[phase] = thinned(one.band.in, one.band.in_h, one.band.in_w, step, step, one.band.first_y + phase / 2,
                          one.band.first_x + phase % 2);
    const ptrdiff_t tiles = ceil_div(max_size(0, end - begin), m) * tiles_x;
    for (ptrdiff_t t = 0; t < tiles; t++) {
      weight_load_tile(&one, &s, &block, in, channels, begin + t / tiles_x * m, t % tiles_x * m, end, zeros, waiting);
      if (++waiting < job->tiles) continue;
      if (fc_stopping()) return 0;
      weight_add_block(&s, &block, &tile, waiting, channels * phases);
      waiting = 0;
    }
  }
  if (waiting) weight_add_block(&s, &block, &tile, waiting, channels * phases);
  int finite = tile.accumulate;
  for (ptrdiff_t panel = 0; panel < panels && finite; panel++)
    finite = !weight_finish(job, &s, block.total + panel * points * s.sums_plane, channels,
                            panel_width(block.width, panel * FC_PANEL), sums + panel * next);
  return finite;
}
