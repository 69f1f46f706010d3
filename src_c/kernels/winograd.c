/* Winograd's minimal filtering for stride 1: an output tile of m x m pixels costs alpha * alpha multiplications a
 * channel pair, alpha = m + r - 1, in place of m * m * r * r.
 *
 * Lavin and Gray, arXiv:1509.09308. The points of alpha = 6 are 0, +-1/sqrt(2), +-sqrt(2) and infinity: their rounding
 * error is about half of that of the usual 0, +-1, +-2 (measured; see docs/architecture.md). A block of tiles is
 * transformed, multiplied plane by plane with one panel of transformed weights after the other, and transformed back
 * with the epilogue, all in a worker's scratch memory. A tile in which something is not finite is computed again
 * directly, so that an Inf, a NaN or an overflow of the transform reaches no pixel that it would not reach there. */

typedef struct {
  fc_image in, out;
  ptrdiff_t batch, groups, in_h, in_w, in_channels, out_h, out_w, out_channels, first_y, first_x;
  int alpha, m, taps;
  ptrdiff_t tiles_y, tiles_x, tiles; /* of one image; of the batch */
  ptrdiff_t block, blocks;           /* tiles worked on at a time */
  ptrdiff_t panels, panels_a_piece, chunks;
  ptrdiff_t row, plane, result_plane; /* pitches of transformed inputs and of products */
  const real *weights;                /* [group][panel][plane][channel][panel width] */
  const real *bias, *add;             /* see fc_epilogue */
  int clamp;
  real low, high;
  int padding;
  unsigned char *broken; /* a tile that has to be computed directly, by [group][tile] */
  void *scratch;
} fc_winograd;

/* The scratch memory of a worker. */
typedef struct {
  ptrdiff_t block; /* group * blocks + the block that `inputs` holds */
  real *zeros, *inputs, *products;
} fc_winograd_state;

FC_INLINE void winograd_transform_tile(const int alpha, const fc_winograd *p, const real *const *pixel, real *to) {
  const ptrdiff_t channels = p->in_channels;
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    vec d[MOST_PLANES];
    const ptrdiff_t n = min_size(VL, channels - c);
    FC_UNROLL(6)
    for (int x = 0; x < alpha; x++) {
      FC_UNROLL(6)
      for (int y = 0; y < alpha; y++)
        d[y * alpha + x] = n == VL ? v_load(pixel[y * alpha + x] + c) : v_load_n(pixel[y * alpha + x] + c, n);
      winograd_input(alpha, d + x, alpha);
    }
    FC_UNROLL(6)
    for (int y = 0; y < alpha; y++) {
      winograd_input(alpha, d + y * alpha, 1);
      FC_UNROLL(6)
      for (int x = 0; x < alpha; x++) v_store(to + (y * alpha + x) * p->plane + c, d[y * alpha + x]);
    }
  }
}

/* The pixels of the square of `size` at (y0, x0) of an image of h x w pixels, or of its padding. */
static void tile_pixels(int size, const real *first, fc_image image, ptrdiff_t y0, ptrdiff_t x0, ptrdiff_t h,
                        ptrdiff_t w, int padding, const real *zeros, const real **pixel) {
  ptrdiff_t column[MOST_ALPHA];
  for (int x = 0; x < size; x++) column[x] = pixel_at(x0 + x, w, padding);
  for (int y = 0; y < size; y++) {
    const ptrdiff_t row = pixel_at(y0 + y, h, padding);
    for (int x = 0; x < size; x++)
      pixel[y * size + x] = row < 0 || column[x] < 0 ? zeros : first + row * image.row + column[x] * image.pixel;
  }
}

static void winograd_load_block(const fc_winograd *p, const fc_winograd_state *state, ptrdiff_t group, ptrdiff_t first,
                                ptrdiff_t count) {
  for (ptrdiff_t t = 0; t < count; t++) {
    const ptrdiff_t tile = first + t, x0 = tile % p->tiles_x * p->m + p->first_x;
    const ptrdiff_t y0 = tile / p->tiles_x % p->tiles_y * p->m + p->first_y, image = tile / p->tiles_x / p->tiles_y;
    const real *in = (const real *)p->in.data + image * p->in.image + group * p->in_channels;
    const real *pixel[MOST_PLANES];
    tile_pixels(p->alpha, in, p->in, y0, x0, p->in_h, p->in_w, p->padding, state->zeros, pixel);
    if (p->alpha == 6)
      winograd_transform_tile(6, p, pixel, state->inputs + t * p->row);
    else
      winograd_transform_tile(4, p, pixel, state->inputs + t * p->row);
  }
}

/* Transforms one tile of one panel back and stores it; returns whether a value was not finite. */
FC_INLINE int winograd_store_tile(const int alpha, const int m, const fc_winograd *p, const real *products, real *out,
                                  ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels, const real *bias) {
  vec suspect = v_zero();
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t n = min_size(VL, channels - c);
    vec half[MOST_PLANES], y[MOST_PLANES];
    FC_UNROLL(6)
    for (int x = 0; x < alpha; x++) {
      vec column[MOST_ALPHA];
      FC_UNROLL(6)
      for (int i = 0; i < alpha; i++) column[i] = v_load(products + (i * alpha + x) * p->result_plane + c);
      winograd_output(alpha, m, column, 1, half + x, alpha);
    }
    const vec offset = bias ? v_load_n(bias + c, n) : v_zero();
    FC_UNROLL(4)
    for (int i = 0; i < m; i++) {
      winograd_output(alpha, m, half + i * alpha, 1, y + i * m, 1);
      FC_UNROLL(4)
      for (int j = 0; j < m; j++) {
        vec value = y[i * m + j];
        suspect = v_fma(value, v_zero(), suspect); /* NaN as soon as a value is not finite */
        if (bias) value = v_add(value, offset);
        if (i < rows && j < columns) {
          real *to = out + i * p->out.row + j * p->out.pixel + c;
          if (p->add) value = v_add(value, v_load_n(added(p->add, &p->out, to), n));
          if (p->clamp) value = v_min(v_set1(p->high), v_max(v_set1(p->low), value));
          if (n == VL)
            v_store(to, value);
          else
            v_store_n(to, value, n);
        }
      }
    }
  }
  return m_any(v_isnan(suspect));
}

static void winograd_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_winograd *p = context;
  const ptrdiff_t chunk = piece % p->chunks, block = piece / p->chunks % p->blocks,
                  group = piece / p->chunks / p->blocks;
  const ptrdiff_t first = block * p->block, count = min_size(p->block, p->tiles - first);
  const int planes = p->alpha * p->alpha;
  fc_winograd_state *state = fc_scratch_part(p->scratch, worker);
  if (state->block != group * p->blocks + block) winograd_load_block(p, state, group, first, count);
  state->block = group * p->blocks + block;

  ptrdiff_t a_row[WINOGRAD_TILES], c_row[2][WINOGRAD_TILES];
  const ptrdiff_t no_segment = 0, begin = chunk * p->panels_a_piece,
                  end = min_size(p->panels, begin + p->panels_a_piece);
  const ptrdiff_t last_width = panel_width(p->out_channels, (end - 1) * FC_PANEL);
  for (ptrdiff_t t = 0; t < count; t++) a_row[t] = t * p->row, c_row[0][t] = t * FC_PANEL, c_row[1][t] = t * last_width;
  const real *weights = p->weights + group * planes * packed_group(p->out_channels, p->in_channels);
  fc_tile tile = {.segment = &no_segment, .segments = 1, .length = p->in_channels, .a_step = 1};
  /* A plane of inputs stays in the second-level cache while the panels pass; each weight is read once a block. */
  for (int plane = 0; plane < planes && !fc_stopping(); plane++)
    for (ptrdiff_t panel = begin; panel < end; panel++) {
      const ptrdiff_t column = panel * FC_PANEL, width = panel + 1 < end ? FC_PANEL : last_width;
      tile.columns = tile.b_step = width;
      tile.a = state->inputs + plane * p->plane;
      tile.b = weights + (column * planes + plane * width) * p->in_channels;
      tile.c = state->products + ((panel - begin) * planes + plane) * p->result_plane;
      run_tiles(&tile, count, a_row, c_row[panel + 1 == end]);
    }
  for (ptrdiff_t panel = begin; panel < end; panel++) {
    const ptrdiff_t column = panel * FC_PANEL, width = panel + 1 < end ? FC_PANEL : last_width;
    const ptrdiff_t channels = min_size(FC_PANEL, p->out_channels - column);
    const ptrdiff_t channel = group * p->out_channels + column;
    const real *bias = p->bias ? p->bias + channel : NULL;
    for (ptrdiff_t t = 0; t < count; t++) {
      const ptrdiff_t index = first + t, x = index % p->tiles_x * p->m, y = index / p->tiles_x % p->tiles_y * p->m;
      real *out = (real *)p->out.data + index / p->tiles_x / p->tiles_y * p->out.image + y * p->out.row +
                  x * p->out.pixel + channel;
      const real *products = state->products + (panel - begin) * planes * p->result_plane + t * width;
      const ptrdiff_t rows = p->out_h - y, columns = p->out_w - x;
      int bad;
      if (p->alpha == 4)
        bad = winograd_store_tile(4, 2, p, products, out, rows, columns, channels, bias);
      else if (p->m == 4)
        bad = winograd_store_tile(6, 4, p, products, out, rows, columns, channels, bias);
      else
        bad = winograd_store_tile(6, 2, p, products, out, rows, columns, channels, bias);
      if (bad) __atomic_store_n(&p->broken[group * p->tiles + index], 1, __ATOMIC_RELAXED);
    }
  }
}

/* --- the convolution --------------------------------------------------------------------------------------------- */

enum { WINOGRAD_BYTES = 512 << 10, WINOGRAD_WEIGHTS = 16 << 20 };

/* Computes the broken tiles again, one small direct product each. */
static int winograd_mend(const fc_winograd *p, const fc_conv2d *c, int backward, const real *weight) {
  if (!memchr(p->broken, 1, (size_t)(p->groups * p->tiles))) return FC_OK;
  if (p->add == p->out.data) return FC_NOT_FINITE;
  const ptrdiff_t group_weights = packed_group(p->out_channels, p->taps * p->taps * p->in_channels);
  real *packed = fc_scratch_acquire(1, (size_t)(p->groups * group_weights) * sizeof(real));
  if (!packed) return FC_NO_MEMORY;
  fc_pack pack = whole_pack(c, backward, weight, packed);
  int status = run_pack(&pack, p->groups);
  for (ptrdiff_t i = 0; i < p->groups * p->tiles && status == FC_OK; i++) {
    if (!p->broken[i]) continue;
    const ptrdiff_t group = i / p->tiles, tile = i % p->tiles, x = tile % p->tiles_x * p->m;
    const ptrdiff_t y = tile / p->tiles_x % p->tiles_y * p->m, image = tile / p->tiles_x / p->tiles_y;
    const fc_image in = {(real *)p->in.data + image * p->in.image + group * p->in_channels, 0, p->in.row, p->in.pixel};
    const fc_image out = {
        (real *)p->out.data + image * p->out.image + y * p->out.row + x * p->out.pixel + group * p->out_channels, 0,
        p->out.row, p->out.pixel};
    fc_product product = {.in = in,
                          .out = out,
                          .batch = 1,
                          .groups = 1,
                          .in_h = p->in_h,
                          .in_w = p->in_w,
                          .in_channels = p->in_channels,
                          .out_h = min_size(p->m, p->out_h - y),
                          .out_w = min_size(p->m, p->out_w - x),
                          .out_channels = p->out_channels,
                          .taps_y = p->taps,
                          .taps_x = p->taps,
                          .first_y = p->first_y + y,
                          .first_x = p->first_x + x,
                          .step_y = 1,
                          .step_x = 1,
                          .stride_y = 1,
                          .stride_x = 1,
                          .packed = packed + group * group_weights,
                          .bias = p->bias ? p->bias + group * p->out_channels : NULL,
                          .add = added(p->add, &p->out, out.data),
                          .clamp = p->clamp,
                          .low = p->low,
                          .high = p->high,
                          .padding = p->padding};
    status = run_product(&product);
  }
  fc_scratch_release(packed);
  return status;
}

static int run_winograd(fc_winograd *p, const fc_conv2d *c, int backward, const real *weight) {
  if (p->batch == 0) return FC_OK;
  const ptrdiff_t planes = p->alpha * p->alpha, element = (ptrdiff_t)sizeof(real);
  p->tiles_y = ceil_div(p->out_h, p->m);
  p->tiles_x = ceil_div(p->out_w, p->m);
  p->tiles = p->batch * p->tiles_y * p->tiles_x;
  p->panels = ceil_div(p->out_channels, FC_PANEL);
  const double work = (double)p->groups * p->tiles * planes * p->in_channels * p->out_channels;
  const ptrdiff_t pieces = pieces_for(work);

  /* As many tiles as keep the transformed inputs in the second-level cache, or, where the weights do not fit there
   * either, so many that they are read few times; whole register tiles, equal blocks. */
  const int stream = planes * p->in_channels * p->out_channels * element > WINOGRAD_WEIGHTS;
  const ptrdiff_t fit = stream ? WINOGRAD_TILES : WINOGRAD_BYTES / (planes * p->in_channels * element) / FC_MR * FC_MR;
  const ptrdiff_t most = max_size(FC_MR, min_size(min_size(fit, WINOGRAD_TILES / FC_MR * FC_MR), p->tiles));
  p->blocks = ceil_div(p->tiles, most);
  p->block = ceil_div(ceil_div(p->tiles, p->blocks), 2) * 2;
  p->blocks = ceil_div(p->tiles, p->block);
  p->chunks = min_size(p->panels, ceil_div(pieces, p->blocks * p->groups));
  p->panels_a_piece = ceil_div(p->panels, p->chunks);
  p->chunks = ceil_div(p->panels, p->panels_a_piece);

  /* Pitches an odd number of cache lines, so that planes and tiles spread over the cache's sets. */
  const ptrdiff_t line = 64 / element;
  p->row = (ceil_div(p->in_channels, line) | 1) * line;
  p->plane = (p->block * p->row / line | 1) * line + line * 2;
  p->result_plane = (p->block * FC_PANEL / line | 1) * line;
  const size_t zeros = round64((size_t)((p->in_channels + VL) * element)),
               inputs = round64((size_t)(planes * p->plane * element));
  const size_t products = round64((size_t)(p->panels_a_piece * planes * p->result_plane * element));
  const int workers = fc_workers();
  p->broken = fc_scratch_acquire(1, (size_t)(p->groups * p->tiles));
  if (!p->broken) return FC_NO_MEMORY;
  memset(p->broken, 0, (size_t)(p->groups * p->tiles));
  int status = FC_NO_MEMORY;
  p->scratch = fc_scratch_acquire(workers, 64 + zeros + inputs + products);
  if (p->scratch) {
    for (int i = 0; i < workers; i++) {
      char *part = fc_scratch_part(p->scratch, i);
      *(fc_winograd_state *)part = (fc_winograd_state){-1, (real *)(part + 64), (real *)(part + 64 + zeros),
                                                       (real *)(part + 64 + zeros + inputs)};
      memset(part + 64, 0, zeros);
    }
    status = fc_parallel(p->groups * p->blocks * p->chunks, work, winograd_piece, p);
    fc_scratch_release(p->scratch);
    if (status == FC_OK) status = winograd_mend(p, c, backward, weight);
  }
  fc_scratch_release(p->broken);
  return status;
}

/* A dilated convolution is one of every image that is left if all but each dilation-th row and column are taken away;
 * its results are interleaved likewise. */
static int run_interleaved(const fc_winograd *whole, const fc_conv2d *c, int backward, const real *weight) {
  const ptrdiff_t dy = c->window.dilation_y, dx = c->window.dilation_x;
  int status = FC_OK;
  for (ptrdiff_t y = 0; y < min_size(dy, whole->out_h) && status == FC_OK; y++)
    for (ptrdiff_t x = 0; x < min_size(dx, whole->out_w) && status == FC_OK; x++) {
      const ptrdiff_t tap_y = y + whole->first_y, tap_x = x + whole->first_x; /* the first tap of the first output */
      const ptrdiff_t row = (tap_y % dy + dy) % dy, column = (tap_x % dx + dx) % dx;
      fc_winograd p = *whole;
      p.in = (fc_image){(real *)p.in.data + row * p.in.row + column * p.in.pixel, p.in.image, p.in.row * dy,
                        p.in.pixel * dx};
      p.out = (fc_image){(real *)p.out.data + y * p.out.row + x * p.out.pixel, p.out.image, p.out.row * dy,
                         p.out.pixel * dx};
      p.add = added(p.add, &whole->out, p.out.data);
      p.in_h = max_size(0, ceil_div(p.in_h - row, dy)), p.in_w = max_size(0, ceil_div(p.in_w - column, dx));
      p.out_h = ceil_div(p.out_h - y, dy), p.out_w = ceil_div(p.out_w - x, dx);
      p.first_y = (tap_y - row) / dy, p.first_x = (tap_x - column) / dx;
      status = run_winograd(&p, c, backward, weight);
    }
  return status;
}

static int kernel_winograd(const fc_conv2d *c, int m, fc_image x, const void *weight, const void *packed,
                           const fc_epilogue *epilogue, fc_image out) {
  const fc_window *w = &c->window;
  fc_winograd p = {.in = x,
                   .out = out,
                   .batch = w->batch,
                   .groups = c->groups,
                   .in_h = w->h,
                   .in_w = w->w,
                   .in_channels = w->channels / c->groups,
                   .out_h = w->out_h,
                   .out_w = w->out_w,
                   .out_channels = c->out_channels / c->groups,
                   .first_y = -w->pad_y,
                   .first_x = -w->pad_x,
                   .alpha = winograd_alpha(c, m),
                   .m = m,
                   .taps = (int)w->kh,
                   .weights = packed,
                   .bias = epilogue->bias,
                   .clamp = epilogue->clamp,
                   .add = epilogue->add,
                   .low = (real)epilogue->low,
                   .high = (real)epilogue->high,
                   .padding = w->padding};
  return run_interleaved(&p, c, 0, weight);
}

/* The input's gradient is the convolution of the output's with flipped, transposed weights. */
static int kernel_winograd_grad_input(const fc_conv2d *c, int m, fc_image grad, const void *weight, const void *packed,
                                      const fc_epilogue *epilogue, fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_winograd p = {.in = grad,
                   .out = grad_x,
                   .batch = w->batch,
                   .groups = c->groups,
                   .in_h = w->out_h,
                   .in_w = w->out_w,
                   .in_channels = c->out_channels / c->groups,
                   .out_h = w->h,
                   .out_w = w->w,
                   .out_channels = w->channels / c->groups,
                   .first_y = w->pad_y - (w->kh - 1) * w->dilation_y,
                   .first_x = w->pad_x - (w->kw - 1) * w->dilation_x,
                   .alpha = winograd_alpha(c, m),
                   .m = m,
                   .taps = (int)w->kh,
                   .weights = packed,
                   .bias = epilogue->bias,
                   .add = epilogue->add};
  return run_interleaved(&p, c, 1, weight);
}
