/* Pixels of few channels, along the lanes of vectors and back; and bands of images laid out so.
 *
 * Few channels leave most of a vector empty; pixels of a row fill it. So a band is laid out in planes, one for every
 * channel. Vectors of planes become pixels, and pixels become them, by perfect shuffles: each interleaves the first
 * half of the vectors with the second, so that after as many as the number of channels has bits these lie innermost.
 * The number is made up to a power of two, and the lanes that are too many are left out by the last shuffle. */

enum {
  /* Output channels: more fill vectors about as well, and with fewer registers every way is as good as this. */
  PLANAR_MOST = VL >= 8 && FC_MR * FC_NV >= 24 ? 3 * VL / 8 : 0,
  PLANAR_WOVEN = 8,     /* the most, made up to a power of two */
  PLANAR_CHANNELS = 16, /* input channels of a range */
  PLANAR_TAPS = 128     /* of the kernel */
};

typedef struct {
  permutation low, high;             /* the first and the second halves of two vectors, their lanes in turn, */
  permutation last_low, last_high;   /* without those that are too many */
  permutation even, odd;             /* every second lane of two vectors, */
  permutation first_even, first_odd; /* as if the lanes that are too many had been there */
} fc_shuffles;

/* The channels made up to a power of two. */
FC_INLINE int woven(const int channels) { return channels > 4 ? 8 : channels > 2 ? 4 : channels; }

static fc_shuffles shuffles_for(int channels) {
  const int all = woven(channels);
  uint8_t low[VL], high[VL], last_low[VL], last_high[VL], even[VL], odd[VL], first[2][VL];
  for (int lane = 0; lane < VL; lane++) {
    low[lane] = (uint8_t)(lane / 2 + lane % 2 * VL);
    high[lane] = (uint8_t)(VL / 2 + lane / 2 + lane % 2 * VL);
    even[lane] = (uint8_t)(2 * lane);
    odd[lane] = (uint8_t)(2 * lane + 1);
  }
  for (int lane = 0; lane < VL; lane++) {
    const int from = min_size(lane / channels * all + lane % channels, VL - 1);
    last_low[lane] = low[from];
    last_high[lane] = high[from];
    for (int i = 0; i < 2; i++) {
      const int at = (2 * lane + i) % VL, vector = (2 * lane + i) / VL;
      first[i][lane] = (uint8_t)(vector * VL + at / all * channels + min_size(at % all, channels - 1));
    }
  }
  return (fc_shuffles){.low = v_permutation(low),
                       .high = v_permutation(high),
                       .last_low = v_permutation(last_low),
                       .last_high = v_permutation(last_high),
                       .even = v_permutation(even),
                       .odd = v_permutation(odd),
                       .first_even = v_permutation(first[0]),
                       .first_odd = v_permutation(first[1])};
}

/* A vector of each channel becomes woven(channels) vectors of VL / woven(channels) pixels, the channels side by side.
 */
FC_INLINE void weave_pixels(const fc_shuffles *s, const int channels, vec row[PLANAR_WOVEN]) {
  const int all = woven(channels);
  FC_UNROLL(4)
  for (int done = 1; done < all; done *= 2) {
    const permutation low = 2 * done < all ? s->low : s->last_low, high = 2 * done < all ? s->high : s->last_high;
    vec next[PLANAR_WOVEN];
    FC_UNROLL(4)
    for (int c = 0; c < all / 2; c++) {
      next[2 * c] = v_permute(row[c], row[c + all / 2], low);
      next[2 * c + 1] = v_permute(row[c], row[c + all / 2], high);
    }
    FC_UNROLL(8)
    for (int c = 0; c < all; c++) row[c] = next[c];
  }
}

/* And back; what is in the rows beyond the channels is of no use. */
FC_INLINE void unweave_pixels(const fc_shuffles *s, const int channels, vec row[PLANAR_WOVEN]) {
  const int all = woven(channels);
  FC_UNROLL(4)
  for (int done = 1; done < all; done *= 2) {
    const permutation even = done > 1 ? s->even : s->first_even, odd = done > 1 ? s->odd : s->first_odd;
    vec next[PLANAR_WOVEN];
    FC_UNROLL(4)
    for (int c = 0; c < all / 2; c++) {
      next[c] = v_permute(row[2 * c], row[2 * c + 1], even);
      next[c + all / 2] = v_permute(row[2 * c], row[2 * c + 1], odd);
    }
    FC_UNROLL(8)
    for (int c = 0; c < all; c++) row[c] = next[c];
  }
}

/* How a band's input lies, for a range of channels: rows of planes, a plane for each channel and, where there is a
 * stride, each residue of the column; so the inputs of neighbouring outputs under one tap are neighbours. */
typedef struct {
  fc_product source;
  ptrdiff_t channels, ranges;   /* of a range, the last of which may have fewer, and ranges */
  ptrdiff_t planes, pitch, row; /* of a row, and elements of a plane's and of a whole row */
  ptrdiff_t vectors;            /* of an output row */
  ptrdiff_t pixels;             /* of a plane's row */
  fc_transposition lanes;
} fc_planes;

/* Whether pixels fill the lanes better: dense kernels to few channels, whose planes for a row of outputs stay near. */
static int is_planar(const fc_conv2d *c) {
  const fc_window *w = &c->window;
  const ptrdiff_t taps = w->kh * w->kw, channels = min_size(w->channels, PLANAR_CHANNELS);
  if (c->groups != 1 || w->channels == 0 || taps < 4 || taps > PLANAR_TAPS) return 0;
  if (c->out_channels == 0 || c->out_channels > PLANAR_MOST) return 0;
  if (w->channels > 1 && w->channels < FC_MR && c->out_channels > PLANAR_MOST / 2) return 0;
  if (2 * w->out_w < ceil_div(w->out_w, VL) * VL) return 0;
  const double columns = (double)w->out_w * w->stride_x + (double)(w->kw - 1) * w->dilation_x;
  return columns * ((double)(w->kh - 1) * w->dilation_y + 1) * channels * sizeof(real) <= BAND_BYTES;
}

static fc_planes planes_of(const fc_conv2d *c, fc_image x) {
  const fc_window *w = &c->window;
  fc_planes p = {.source = product_of(c, x), .lanes = transposition()};
  const ptrdiff_t reach = (w->kw - 1) * w->dilation_x / w->stride_x;
  p.ranges = ceil_div(w->channels, PLANAR_CHANNELS);
  p.channels = ceil_div(w->channels, p.ranges);
  p.planes = w->stride_x * p.channels;
  p.vectors = ceil_div(w->out_w, VL);
  p.pitch = odd_lines((p.vectors + ceil_div(reach, VL)) * VL);
  p.row = odd_lines(p.planes * p.pitch);
  p.source.copy_columns = extent(w->out_w, w->stride_x, w->kw, w->dilation_x);
  p.pixels = ceil_div(p.source.copy_columns, w->stride_x);
  return p;
}

/* The same with the channels of one range as all there are. */
static fc_planes planes_range(const fc_planes *p, ptrdiff_t range) {
  fc_planes one = *p;
  const ptrdiff_t first = range * p->channels;
  one.source.in.data = (real *)one.source.in.data + first;
  one.source.in_channels = min_size(p->channels, p->source.in_channels - first);
  return one;
}

/* Where the taps of a range, in the order of the weights, are from an output's place in its first row. */
static void planes_offsets(const fc_planes *p, ptrdiff_t *offset) {
  const fc_product *s = &p->source;
  for (ptrdiff_t channel = 0; channel < p->channels; channel++)
    for (ptrdiff_t ky = 0; ky < s->taps_y; ky++)
      for (ptrdiff_t kx = 0; kx < s->taps_x; kx++) {
        const ptrdiff_t x = kx * s->step_x, plane = x % s->stride_x * p->channels + channel;
        *offset++ = ky * s->step_y * p->row + plane * p->pitch + x / s->stride_x;
      }
}

/* A row of a single plane, or zeros, with zeros around it: short rows are not worth calls. */
static void lay_plane(const fc_planes *p, real *to, const real *row) {
  const fc_product *s = &p->source;
  const ptrdiff_t from = max_size(0, s->first_x), n = min_size(s->in_w, s->first_x + s->copy_columns) - from;
  for (ptrdiff_t i = 0; i < p->pitch; i += VL) v_store(to + i, v_zero());
  to += from - s->first_x;
  for (ptrdiff_t i = 0; row && i < n; i += VL) {
    const ptrdiff_t here = min_size(VL, n - i);
    v_store_n(to + i, v_load_n(row + from + i, here), here);
  }
}

/* Row y of an image, which may be padding. `line` has room for its pixels as they are. */
static void lay_row(const fc_planes *p, real *to, const real *image, ptrdiff_t y, real *line) {
  const fc_product *s = &p->source;
  if (p->planes == 1 && s->in.pixel == 1 && s->padding == FC_ZEROS) {
    lay_plane(p, to, y >= 0 && y < s->in_h ? image + y * s->in.row : NULL);
    return;
  }
  copy_row(s, line, image, y, 0, s->out_w);
  for (ptrdiff_t i = s->copy_columns * s->in_channels; i < p->pixels * s->stride_x * s->in_channels; i++) line[i] = 0;
  for (ptrdiff_t residue = 0; residue < s->stride_x; residue++) {
    real *planes = to + residue * p->channels * p->pitch;
    transpose_matrix(&p->lanes, line + residue * s->in_channels, s->stride_x * s->in_channels, p->pixels,
                     s->in_channels, planes, p->pitch);
    for (ptrdiff_t channel = 0; channel < s->in_channels; channel++)
      for (ptrdiff_t i = p->pixels; i < p->pitch; i += VL)
        v_store_n(planes + channel * p->pitch + i, v_zero(), min_size(VL, p->pitch - i));
  }
}

static ptrdiff_t planes_rows(const fc_planes *p, ptrdiff_t rows) {
  const fc_product *s = &p->source;
  return extent(rows, s->stride_y, s->taps_y, s->step_y);
}

/* Lays out the input of output rows y .. y + rows of an image. */
static void lay_planes(const fc_planes *p, real *planes, ptrdiff_t image, ptrdiff_t y, ptrdiff_t rows, real *line) {
  const fc_product *s = &p->source;
  const real *in = (const real *)s->in.data + image * s->in.image;
  for (ptrdiff_t i = 0; i < planes_rows(p, rows); i++)
    lay_row(p, planes + i * p->row, in, y * s->stride_y + s->first_y + i, line);
}

/* Elements of a line, and of the planes that `rows` output rows read. */
static ptrdiff_t planes_line(const fc_planes *p) { return ceil_div(p->pixels * p->planes, VL) * VL; }
static ptrdiff_t planes_size(const fc_planes *p, ptrdiff_t rows) { return planes_rows(p, rows) * p->row; }

/* The rows of bands of equal height: an image has at least so many, and they take, with what else a row needs, no more
 * than so many bytes, unless a single row does. */
static ptrdiff_t planes_band(const fc_planes *p, ptrdiff_t bands, ptrdiff_t more, ptrdiff_t bytes) {
  const ptrdiff_t height = p->source.out_h, fit = bytes / (ptrdiff_t)sizeof(real);
  ptrdiff_t rows = ceil_div(height, min_size(height, bands));
  while (rows > 1 && planes_size(p, rows) + rows * more > fit) rows--;
  return ceil_div(height, ceil_div(height, rows));
}
