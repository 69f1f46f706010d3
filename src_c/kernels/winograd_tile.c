/* Winograd's tiles: where they lie, their inputs' transform and their results'. */

typedef struct {
  fc_image in, out;
  ptrdiff_t batch, groups, in_h, in_w, in_channels, out_h, out_w, out_channels, first_y, first_x;
  ptrdiff_t step_y, step_x; /* dilation */
  ptrdiff_t taps_y, taps_x;
  fc_winograd_form form;
  ptrdiff_t images_y, images_x;      /* that a dilated image consists of */
  ptrdiff_t tiles_y, tiles_x, tiles; /* of one such image; of the batch */
  ptrdiff_t block, blocks;           /* tiles worked on at a time */
  ptrdiff_t panels, panels_a_piece, chunks;
  ptrdiff_t depth, slice;             /* products a sum, and how many of them are done at a time */
  ptrdiff_t row, plane, result_plane; /* pitches of transformed inputs and of products */
  const real *weights; /* [group][panel][plane][part][channel][panel width], or NULL: made of `plain` in passing */
  fc_winograd_pack plain;
  const real *bias, *add; /* see fc_epilogue */
  int clamp;
  real low, high;
  int padding;
  unsigned char *broken; /* a tile that has to be computed directly, by [group][tile] */
  void *scratch;
} fc_winograd;

FC_INLINE int winograd_planes(const fc_winograd *p) { return p->form.alpha_y * p->form.alpha_x; }

/* Where a tile lies: its image, where its outputs begin and how many of them exist, and the first pixel that it reads.
 * A dilated convolution is one of every image that is left if all but each dilation-th row and column are taken away;
 * its results are interleaved likewise. */
typedef struct {
  fc_image in, out;
  ptrdiff_t in_h, in_w, y, x, rows, columns;
} fc_winograd_place;

static fc_winograd_place winograd_place(const fc_winograd *p, ptrdiff_t tile) {
  const ptrdiff_t dy = p->step_y, dx = p->step_x;
  const ptrdiff_t x = tile % p->tiles_x * p->form.m_x, y = tile / p->tiles_x % p->tiles_y * p->form.m_y;
  const ptrdiff_t part = tile / p->tiles_x / p->tiles_y, part_x = part % p->images_x;
  const ptrdiff_t part_y = part / p->images_x % p->images_y, image = part / p->images_x / p->images_y;
  const ptrdiff_t tap_y = part_y + p->first_y, tap_x = part_x + p->first_x; /* the first tap of the first output */
  const ptrdiff_t row = (tap_y % dy + dy) % dy, column = (tap_x % dx + dx) % dx;
  return (fc_winograd_place){.in = {(real *)p->in.data + image * p->in.image + row * p->in.row + column * p->in.pixel,
                                    0, p->in.row * dy, p->in.pixel * dx},
                             .out = {(real *)p->out.data + image * p->out.image + (part_y + y * dy) * p->out.row +
                                         (part_x + x * dx) * p->out.pixel,
                                     0, p->out.row * dy, p->out.pixel * dx},
                             .in_h = max_size(0, ceil_div(p->in_h - row, dy)),
                             .in_w = max_size(0, ceil_div(p->in_w - column, dx)),
                             .y = (tap_y - row) / dy + y,
                             .x = (tap_x - column) / dx + x,
                             .rows = ceil_div(p->out_h - part_y, dy) - y,
                             .columns = ceil_div(p->out_w - part_x, dx) - x};
}

/* Transforms channels first <= c < last of a tile: to[plane][channel], planes `pitch` apart. What lies `ahead` elements
 * further is fetched: the next channels, or the next tile's. */
FC_INLINE void winograd_transform_tile(const int alpha, const real *const *pixel, ptrdiff_t first, ptrdiff_t last,
                                       ptrdiff_t ahead, real *to, ptrdiff_t pitch) {
  for (ptrdiff_t c = first; c < last; c += VL, to += VL) {
    vec d[MOST_PLANES];
    const ptrdiff_t n = min_size(VL, last - c);
    FC_UNROLL(6)
    for (int x = 0; x < alpha; x++) {
      FC_UNROLL(6)
      for (int y = 0; y < alpha; y++) {
        const real *from = pixel[y * alpha + x] + c;
        d[y * alpha + x] = n == VL ? v_load(from) : v_load_n(from, n);
        __builtin_prefetch(from + ahead);
      }
      winograd_input(alpha, d + x, alpha);
    }
    FC_UNROLL(6)
    for (int y = 0; y < alpha; y++) {
      winograd_input(alpha, d + y * alpha, 1);
      FC_UNROLL(6)
      for (int x = 0; x < alpha; x++) v_store(to + (y * alpha + x) * pitch, d[y * alpha + x]);
    }
  }
}

/* The same for the six pixels of a line. */
FC_INLINE void winograd_transform_line(const fc_winograd *p, const real *const *pixel, real *to) {
  for (ptrdiff_t c = 0; c < p->in_channels; c += VL) {
    vec d[MOST_ALPHA];
    FC_UNROLL(6)
    for (int i = 0; i < MOST_ALPHA; i++) d[i] = v_load_n(pixel[i] + c, min_size(VL, p->in_channels - c));
    winograd_input(MOST_ALPHA, d, 1);
    FC_UNROLL(6)
    for (int i = 0; i < MOST_ALPHA; i++) v_store(to + i * p->plane + c, d[i]);
  }
}

/* The pixels of the rectangle at (y0, x0) of an image of h x w pixels, or of its padding. */
static void tile_pixels(int size_y, int size_x, fc_image image, ptrdiff_t y0, ptrdiff_t x0, ptrdiff_t h, ptrdiff_t w,
                        int padding, const real *zeros, const real **pixel) {
  ptrdiff_t column[MOST_ALPHA];
  for (int x = 0; x < size_x; x++) column[x] = pixel_at(x0 + x, w, padding);
  for (int y = 0; y < size_y; y++) {
    const ptrdiff_t row = pixel_at(y0 + y, h, padding);
    for (int x = 0; x < size_x; x++)
      *pixel++ =
          row < 0 || column[x] < 0 ? zeros : (const real *)image.data + row * image.row + column[x] * image.pixel;
  }
}

/* Finishes and stores an output. */
FC_INLINE void winograd_store(const fc_winograd *p, real *to, vec value, const vec *offset, ptrdiff_t n) {
  if (p->bias) value = v_add(value, *offset);
  if (p->add) value = v_add(value, v_load_n(added(p->add, &p->out, to), n));
  if (p->clamp) value = v_min(v_set1(p->high), v_max(v_set1(p->low), value));
  if (n == VL)
    v_store(to, value);
  else
    v_store_n(to, value, n);
}

/* Transforms one tile of one panel back and stores it at channel `first`; returns whether a value was not finite. */
FC_INLINE int winograd_store_tile(const int alpha, const int m, const fc_winograd *p, const real *products,
                                  const fc_winograd_place *at, ptrdiff_t first, ptrdiff_t channels) {
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
    const vec offset = p->bias ? v_load_n(p->bias + first + c, n) : v_zero();
    real *out = (real *)at->out.data + first + c;
    FC_UNROLL(4)
    for (int i = 0; i < m; i++) {
      winograd_output(alpha, m, half + i * alpha, 1, y + i * m, 1);
      FC_UNROLL(4)
      for (int j = 0; j < m; j++) {
        suspect = v_fma(y[i * m + j], v_zero(), suspect); /* NaN as soon as a value is not finite */
        if (i < at->rows && j < at->columns)
          winograd_store(p, out + i * at->out.row + j * at->out.pixel, y[i * m + j], &offset, n);
      }
    }
  }
  return m_any(v_isnan(suspect));
}

/* The same for a line of m outputs. */
FC_INLINE int winograd_store_line(const int m, const fc_winograd *p, const real *products, const fc_winograd_place *at,
                                  ptrdiff_t first, ptrdiff_t channels) {
  const int down = p->form.alpha_x == 1;
  const ptrdiff_t step = down ? at->out.row : at->out.pixel;
  const ptrdiff_t count = at->rows <= 0 || at->columns <= 0 ? 0 : down ? at->rows : at->columns;
  vec suspect = v_zero();
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t n = min_size(VL, channels - c);
    vec product[MOST_ALPHA], y[4];
    FC_UNROLL(6)
    for (int i = 0; i < MOST_ALPHA; i++) product[i] = v_load(products + i * p->result_plane + c);
    winograd_output(MOST_ALPHA, m, product, 1, y, 1);
    const vec offset = p->bias ? v_load_n(p->bias + first + c, n) : v_zero();
    FC_UNROLL(4)
    for (int i = 0; i < m; i++) {
      suspect = v_fma(y[i], v_zero(), suspect);
      if (i < count) winograd_store(p, (real *)at->out.data + first + c + i * step, y[i], &offset, n);
    }
  }
  return m_any(v_isnan(suspect));
}

static int winograd_store_any(const fc_winograd *p, const real *products, const fc_winograd_place *at, ptrdiff_t first,
                              ptrdiff_t channels) {
  const fc_winograd_form *f = &p->form;
  if (f->alpha_y != f->alpha_x)
    return max_size(f->m_y, f->m_x) == 4 ? winograd_store_line(4, p, products, at, first, channels)
                                         : winograd_store_line(3, p, products, at, first, channels);
  if (f->alpha_y == 4) return winograd_store_tile(4, 2, p, products, at, first, channels);
  if (f->m_y == 4) return winograd_store_tile(6, 4, p, products, at, first, channels);
  return winograd_store_tile(6, 2, p, products, at, first, channels);
}
