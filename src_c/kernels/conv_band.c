/* Convolution by bands of the output: how the work is cut into them, and what of the image each reads. Where the taps
 * leave the image, a band's input is first copied into scratch memory with the padding around it. */

enum { MOST_EDGE_TAPS = 64 };

typedef struct {
  fc_image in, out;
  ptrdiff_t batch, groups;
  ptrdiff_t in_h, in_w, in_channels;    /* channels of one group */
  ptrdiff_t out_h, out_w, out_channels; /* of one group */
  ptrdiff_t taps_y, taps_x, first_y, first_x, step_y, step_x, stride_y, stride_x;
  const real *packed; /* [group][panel][tap y][tap x][input channel][panel width] */
  ptrdiff_t group_weights;
  const real *bias, *add; /* see fc_epilogue */
  int clamp;
  real low, high;
  int padding;
  /* how the work is cut */
  ptrdiff_t rows, columns, bands_y, bands_x; /* a band, and their number */
  ptrdiff_t panels, panels_a_piece, chunks;
  int copied;  /* bands are copied into scratch */
  int trimmed; /* products with the zeros above and below a small map are left out, */
  int edges;   /* and with those beside it; what of each tap: */
  char skips[MOST_EDGE_TAPS];
  int gather_y, gather_x;
  ptrdiff_t copy_rows, copy_columns; /* pixels of a band's copy, */
  ptrdiff_t copy_gap;                /* and elements left out between two */
  void *scratch;
} fc_product;

/* What a worker has at the start of its scratch memory. */
typedef struct {
  ptrdiff_t band, rows, columns; /* the band last prepared, and the size its row tables were made for */
} fc_band_state;

/* The input of a band as the tiles see it: the first pixel, and the steps to the next output row, output pixel and tap.
 */
typedef struct {
  const real *base;
  ptrdiff_t row, pixel, tap_y, tap_x;
} fc_band;

enum {
  BAND_BYTES = 256 << 10, /* of a band's copy: it stays in the second-level cache beside a panel of weights */
  BAND_PIXELS = 1 << 10,
  FIRST_LEVEL = 24 << 10,   /* half of the first-level cache */
  PIECE_PRODUCTS = 1 << 20, /* multiply-adds of a small job's piece, about 12 us, */
  LARGE_PIECE = 1 << 24,    /* and of a large one's: fewer halos are copied */
  PIECES = 8,
  MOST_PIECES = 64,
  FEW_TILES = 8
};

/* How many pieces a job of `work` multiply-adds is cut into. */
static ptrdiff_t pieces_for(double work) {
  const double small = work / PIECE_PRODUCTS, large = work / LARGE_PIECE;
  if (small < PIECES) return small < 1 ? 1 : 2 * (ptrdiff_t)ceil(small / 2); /* even: two threads' shares are equal */
  return large < PIECES ? PIECES : large > MOST_PIECES ? MOST_PIECES : (ptrdiff_t)large;
}

static ptrdiff_t extent(ptrdiff_t outputs, ptrdiff_t stride, ptrdiff_t taps, ptrdiff_t step) {
  return (outputs - 1) * stride + (taps - 1) * step + 1;
}

/* Sets the pixels that a band of rows x columns outputs reads: a run of them, or, where that is shorter, tap by tap. */
static void plan_copy(fc_product *p) {
  const ptrdiff_t run_y = extent(p->rows, p->stride_y, p->taps_y, p->step_y);
  const ptrdiff_t run_x = extent(p->columns, p->stride_x, p->taps_x, p->step_x);
  p->gather_y = p->rows * p->taps_y < run_y;
  p->gather_x = p->columns * p->taps_x < run_x;
  p->copy_rows = p->gather_y ? p->rows * p->taps_y : run_y;
  p->copy_columns = p->gather_x ? p->columns * p->taps_x : run_x;
}

/* From pixel to pixel of a band's copy. */
FC_INLINE ptrdiff_t copy_pitch(const fc_product *p) { return p->in_channels + p->copy_gap; }

static ptrdiff_t copy_bytes(const fc_product *p) {
  return p->copied ? p->copy_rows * p->copy_columns * copy_pitch(p) * (ptrdiff_t)sizeof(real) : 0;
}

/* Cuts the work into bands and pieces, by sizes alone. */
static void plan_bands(fc_product *p, ptrdiff_t band_pixels, ptrdiff_t band_bytes) {
  p->copied = p->first_y < 0 || p->first_x < 0 ||
              p->first_y + extent(p->out_h, p->stride_y, p->taps_y, p->step_y) > p->in_h ||
              p->first_x + extent(p->out_w, p->stride_x, p->taps_x, p->step_x) > p->in_w;
  p->columns = min_size(p->out_w, max_size(band_pixels, 64));
  p->rows = min_size(p->out_h, max_size(1, band_pixels / p->columns));
  plan_copy(p);
  while (copy_bytes(p) > band_bytes && (p->rows > 1 || p->columns > 64)) {
    if (p->rows > 1)
      p->rows = (p->rows + 1) / 2;
    else
      p->columns = (p->columns + 1) / 2;
    plan_copy(p);
  }
  p->bands_y = ceil_div(p->out_h, p->rows);
  p->rows = ceil_div(p->out_h, p->bands_y); /* of equal height, see product_piece */
  p->bands_x = ceil_div(p->out_w, p->columns);
  p->columns = ceil_div(p->out_w, p->bands_x);
  plan_copy(p);
}

/* The pixel of an axis of `size` pixels that stands for pixel `at`, or -1 for a zero. */
FC_INLINE ptrdiff_t pixel_at(ptrdiff_t at, ptrdiff_t size, int padding) {
  if (at >= 0 && at < size) return at;
  if (padding == FC_REPLICATE) return at < 0 ? 0 : size - 1;
  if (padding == FC_REFLECT) at = at < 0 ? -at : 2 * (size - 1) - at;
  if (padding == FC_CIRCULAR) at += at < 0 ? size : -size;
  return at >= 0 && at < size ? at : -1;
}

/* Every step-th row and column of an image: those among which a tap at (y, x) of the image is, there (y, x) again. */
typedef struct {
  fc_image image;
  ptrdiff_t h, w, y, x;
} fc_thinned;

static fc_thinned thinned(fc_image image, ptrdiff_t h, ptrdiff_t w, ptrdiff_t step_y, ptrdiff_t step_x, ptrdiff_t y,
                          ptrdiff_t x) {
  const ptrdiff_t row = (y % step_y + step_y) % step_y, column = (x % step_x + step_x) % step_x;
  return (fc_thinned){.image = {(real *)image.data + row * image.row + column * image.pixel, image.image,
                                image.row * step_y, image.pixel * step_x},
                      .h = max_size(0, ceil_div(h - row, step_y)),
                      .w = max_size(0, ceil_div(w - column, step_x)),
                      .y = (y - row) / step_y,
                      .x = (x - column) / step_x};
}

static void copy_pixels(const fc_product *p, real *to, const real *from, ptrdiff_t pixels) {
  const ptrdiff_t channels = p->in_channels;
  if (p->in.pixel == channels && p->copy_gap == 0) {
    memcpy(to, from, (size_t)(pixels * channels) * sizeof(real));
    return;
  }
  for (ptrdiff_t i = 0; i < pixels; i++)
    memcpy(to + i * copy_pitch(p), from + i * p->in.pixel, (size_t)channels * sizeof(real));
}

/* Copies the padding for pixels at, at + 1, ... of a row. */
static void copy_padding(const fc_product *p, real *to, const real *row, ptrdiff_t at, ptrdiff_t pixels) {
  const size_t pixel_bytes = (size_t)p->in_channels * sizeof(real);
  if (p->padding == FC_ZEROS) {
    memset(to, 0, (size_t)(pixels * copy_pitch(p)) * sizeof(real));
    return;
  }
  for (ptrdiff_t i = 0; i < pixels; i++, to += copy_pitch(p)) {
    const ptrdiff_t from = pixel_at(at + i, p->in_w, p->padding);
    if (from < 0)
      memset(to, 0, pixel_bytes);
    else
      memcpy(to, row + from * p->in.pixel, pixel_bytes);
  }
}

/* Copies input row y, or its padding, for `columns` output pixels from x on. */
static void copy_row(const fc_product *p, real *to, const real *image, ptrdiff_t y, ptrdiff_t x, ptrdiff_t columns) {
  const ptrdiff_t pitch = copy_pitch(p), first = x * p->stride_x + p->first_x;
  const size_t pixel_bytes = (size_t)p->in_channels * sizeof(real);
  y = pixel_at(y, p->in_h, p->padding);
  if (y < 0) {
    memset(to, 0, (size_t)(p->copy_columns * pitch) * sizeof(real));
    return;
  }
  const real *row = image + y * p->in.row;
  if (p->gather_x) {
    for (ptrdiff_t i = 0; i < columns; i++)
      for (ptrdiff_t tap = 0; tap < p->taps_x; tap++, to += pitch) {
        const ptrdiff_t at = pixel_at(first + i * p->stride_x + tap * p->step_x, p->in_w, p->padding);
        if (at < 0)
          memset(to, 0, pixel_bytes);
        else
          memcpy(to, row + at * p->in.pixel, pixel_bytes);
      }
    return;
  }
  const ptrdiff_t run = extent(columns, p->stride_x, p->taps_x, p->step_x);
  const ptrdiff_t begin = min_size(max_size(0, -first), run), end = max_size(begin, min_size(run, p->in_w - first));
  copy_padding(p, to, row, first, begin);
  if (end > begin) copy_pixels(p, to + begin * pitch, row + (first + begin) * p->in.pixel, end - begin);
  copy_padding(p, to + end * pitch, row, first + end, run - end);
}

/* Lays out the input of the band at output (y, x) of an image whose first channel of the group is at `image`. */
static fc_band open_band(const fc_product *p, const real *image, ptrdiff_t y, ptrdiff_t x, ptrdiff_t rows,
                         ptrdiff_t columns, real *copy, int fresh) {
  if (!p->copied)
    return (fc_band){image + (y * p->stride_y + p->first_y) * p->in.row + (x * p->stride_x + p->first_x) * p->in.pixel,
                     p->stride_y * p->in.row, p->stride_x * p->in.pixel, p->step_y * p->in.row,
                     p->step_x * p->in.pixel};
  const ptrdiff_t pixel = copy_pitch(p), pitch = p->copy_columns * pixel;
  const ptrdiff_t first = y * p->stride_y + p->first_y;
  if (!fresh) { /* already copied by the piece before */
  } else if (p->gather_y) {
    for (ptrdiff_t i = 0; i < rows; i++)
      for (ptrdiff_t tap = 0; tap < p->taps_y; tap++)
        copy_row(p, copy + (i * p->taps_y + tap) * pitch, image, first + i * p->stride_y + tap * p->step_y, x, columns);
  } else {
    const ptrdiff_t run = extent(rows, p->stride_y, p->taps_y, p->step_y);
    for (ptrdiff_t i = 0; i < run; i++) copy_row(p, copy + i * pitch, image, first + i, x, columns);
  }
  return (fc_band){copy, p->gather_y ? p->taps_y * pitch : p->stride_y * pitch,
                   p->gather_x ? p->taps_x * pixel : p->stride_x * pixel, p->gather_y ? pitch : p->step_y * pitch,
                   p->gather_x ? pixel : p->step_x * pixel};
}

/* The element of `add` that belongs to an element of the output. */
FC_INLINE const real *added(const real *add, const fc_image *out, const real *element) {
  return add ? add + (element - (const real *)out->data) : NULL;
}

FC_INLINE size_t round64(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

/* The geometry of the value, which its weights' gradient shares. */
static fc_product product_of(const fc_conv2d *c, fc_image x) {
  const fc_window *w = &c->window;
  return (fc_product){.in = x,
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
                      .step_y = w->dilation_y,
                      .step_x = w->dilation_x,
                      .stride_y = w->stride_y,
                      .stride_x = w->stride_x,
                      .padding = w->padding};
}

/* The outputs of one axis, first <= o < last, whose tap at `offset` lies inside the input. */
static void inside(ptrdiff_t *first, ptrdiff_t *last, ptrdiff_t offset, ptrdiff_t stride, ptrdiff_t size) {
  if (offset < 0) *first = max_size(*first, ceil_div(-offset, stride));
  *last = offset >= size ? *first : min_size(*last, (size - 1 - offset) / stride + 1);
}
