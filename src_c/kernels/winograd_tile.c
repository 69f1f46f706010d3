/* Winograd's tiles: where they lie, their inputs' transform and their results'. */

typedef struct {
  fc_image in, out;
  ptrdiff_t batch, groups, in_h, in_w, in_channels, out_h, out_w, out_channels, first_y, first_x;
  ptrdiff_t in_step_y, in_step_x, out_step_y, out_step_x; /* dilation; the stride, of one of them */
  ptrdiff_t odd_y, odd_x; /* rows and columns that a first phase begins before the output */
  ptrdiff_t taps_y, taps_x;
  fc_winograd_form form;
  ptrdiff_t images_y, images_x;      /* that a dilated image consists of */
  ptrdiff_t tiles_y, tiles_x, tiles; /* of one such image; of the batch */
  ptrdiff_t block, blocks;           /* tiles worked on at a time */
  ptrdiff_t panels, panels_a_piece, chunks;
  ptrdiff_t depth, slice;             /* products a sum, and how many of them are done at a time */
  ptrdiff_t row, plane, result_plane; /* pitches of transformed inputs and of products */
  const real
      *weights; /* [group][panel][phase][plane][part][channel][panel width], or NULL: made of `plain` in passing */
  fc_winograd_pack plain;
  const real *bias, *add; /* see fc_epilogue */
  int clamp;
  real low, high;
  int padding;
  unsigned char *broken; /* a tile that has to be computed directly, by [group][tile] */
  void *scratch;
} fc_winograd;

/* Where a tile lies: the image that it reads and its first pixel there, and which of its outputs exist, rows top <= y <
 * rows and columns left <= x < columns, the first of which is at `out`.
 *
 * A dilated convolution is one of every image that is left if all but each dilation-th row and column are taken away;
 * its results are interleaved likewise. So are the parts of a strided one's input, and the phases of what it gives
 * backward. */
typedef struct {
  fc_thinned in;
  fc_image out;
  ptrdiff_t top, left, rows, columns;
} fc_winograd_place;

/* A tile, by its number in the batch, and its part of a strided convolution's input or, backward, its phase. */
static fc_winograd_place winograd_place(const fc_winograd *p, ptrdiff_t tile, int phase) {
  const ptrdiff_t x = tile % p->tiles_x * p->form.m_x, y = tile / p->tiles_x % p->tiles_y * p->form.m_y;
  const ptrdiff_t small = tile / p->tiles_x / p->tiles_y, small_x = small % p->images_x;
  const ptrdiff_t small_y = small / p->images_x % p->images_y, image = small / p->images_x / p->images_y;
  const int part = p->form.phases == 1 ? phase : 0;
  fc_winograd_place at = {.in = thinned(p->in, p->in_h, p->in_w, p->in_step_y, p->in_step_x,
                                        p->first_y + small_y + part / 2, p->first_x + small_x + part % 2)};
  at.in.image.data = (real *)at.in.image.data + image * p->in.image;
  at.in.y += y, at.in.x += x;
  const ptrdiff_t row = y * p->out_step_y + small_y - p->odd_y + (phase - part) / 2,
                  column = x * p->out_step_x + small_x - p->odd_x + (phase - part) % 2;
  at.top = row < 0, at.left = column < 0;
  at.rows = ceil_div(p->out_h - row, p->out_step_y), at.columns = ceil_div(p->out_w - column, p->out_step_x);
  at.out = (fc_image){(real *)p->out.data + image * p->out.image + (row + at.top * p->out_step_y) * p->out.row +
                          (column + at.left * p->out_step_x) * p->out.pixel,
                      0, p->out.row * p->out_step_y, p->out.pixel * p->out_step_x};
  return at;
}

/* The input channels of a group. */
static fc_image winograd_channels(const fc_winograd *p, fc_image in, ptrdiff_t group) {
  in.data = (real *)in.data + group * p->in_channels;
  return in;
}

/* Transforms channels first <= c < last of a tile: to[plane][channel], planes `pitch` apart and vectors of channels
 * `step`. What lies `ahead` elements further is fetched: the next channels, or the next tile's. */
FC_INLINE void winograd_transform_tile(const int alpha, const real *const *pixel, ptrdiff_t first, ptrdiff_t last,
                                       ptrdiff_t ahead, real *to, ptrdiff_t step, ptrdiff_t pitch) {
  for (ptrdiff_t c = first; c < last; c += VL, to += step) {
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

/* Bits first <= i < last of a tile's. */
FC_INLINE unsigned tile_bits(ptrdiff_t first, ptrdiff_t last) {
  return ((1u << max_size(0, min_size(last, MOST_ALPHA))) - 1) >> first << first;
}

/* Transforms one tile of one panel back and stores it at channel `first`; returns whether a value was not finite. */
FC_INLINE int winograd_store_tile(const int alpha, const int m, const fc_winograd *p, const real *products,
                                  const fc_winograd_place *at, ptrdiff_t first, ptrdiff_t channels) {
  const unsigned rows = tile_bits(at->top, at->rows), columns = tile_bits(at->left, at->columns);
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
        if ((rows >> i & 1) && (columns >> j & 1))
          winograd_store(p, out + (i - at->top) * at->out.row + (j - at->left) * at->out.pixel, y[i * m + j], &offset,
                         n);
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
  if (f->alpha_y == 4)
    return f->m_y == 2 ? winograd_store_tile(4, 2, p, products, at, first, channels)
                       : winograd_store_tile(4, 3, p, products, at, first, channels);
  if (f->m_y == 4) return winograd_store_tile(6, 4, p, products, at, first, channels);
  return winograd_store_tile(6, 2, p, products, at, first, channels);
}
