/* Direct convolution on channels-last images, as a product over taps.
 *
 * Forward and input gradient are one routine: output pixel (y, x) is the sum, over a grid of taps, of the packed
 * weights times the input pixel at (y * stride + first + tap * step). The input gradient of a strided convolution is
 * stride_y * stride_x such products, one for each residue of the pixel, over the taps that reach it: no zero is
 * multiplied. A band of the output is worked on at a time; where its taps leave the image, the band's input is first
 * copied into scratch memory with the zeros around it. */

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
  int copied; /* bands are copied into scratch */
  int gather_y, gather_x;
  ptrdiff_t copy_rows, copy_columns; /* pixels of a band's copy */
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

static ptrdiff_t copy_bytes(const fc_product *p) {
  return p->copied ? p->copy_rows * p->copy_columns * p->in_channels * (ptrdiff_t)sizeof(real) : 0;
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
  if (p->in.pixel == channels) {
    memcpy(to, from, (size_t)(pixels * channels) * sizeof(real));
    return;
  }
  for (ptrdiff_t i = 0; i < pixels; i++)
    memcpy(to + i * channels, from + i * p->in.pixel, (size_t)channels * sizeof(real));
}

/* Copies the padding for pixels at, at + 1, ... of a row. */
static void copy_padding(const fc_product *p, real *to, const real *row, ptrdiff_t at, ptrdiff_t pixels) {
  const size_t pixel_bytes = (size_t)p->in_channels * sizeof(real);
  if (p->padding == FC_ZEROS) {
    memset(to, 0, (size_t)pixels * pixel_bytes);
    return;
  }
  for (ptrdiff_t i = 0; i < pixels; i++, to += p->in_channels) {
    const ptrdiff_t from = pixel_at(at + i, p->in_w, p->padding);
    if (from < 0)
      memset(to, 0, pixel_bytes);
    else
      memcpy(to, row + from * p->in.pixel, pixel_bytes);
  }
}

/* Copies input row y, or its padding, for `columns` output pixels from x on. */
static void copy_row(const fc_product *p, real *to, const real *image, ptrdiff_t y, ptrdiff_t x, ptrdiff_t columns) {
  const ptrdiff_t channels = p->in_channels, first = x * p->stride_x + p->first_x;
  const size_t pixel_bytes = (size_t)channels * sizeof(real);
  y = pixel_at(y, p->in_h, p->padding);
  if (y < 0) {
    memset(to, 0, (size_t)p->copy_columns * pixel_bytes);
    return;
  }
  const real *row = image + y * p->in.row;
  if (p->gather_x) {
    for (ptrdiff_t i = 0; i < columns; i++)
      for (ptrdiff_t tap = 0; tap < p->taps_x; tap++, to += channels) {
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
  if (end > begin) copy_pixels(p, to + begin * channels, row + (first + begin) * p->in.pixel, end - begin);
  copy_padding(p, to + end * channels, row, first + end, run - end);
}

/* Lays out the input of the band at output (y, x) of an image whose first channel of the group is at `image`. */
static fc_band open_band(const fc_product *p, const real *image, ptrdiff_t y, ptrdiff_t x, ptrdiff_t rows,
                         ptrdiff_t columns, real *copy, int fresh) {
  if (!p->copied)
    return (fc_band){image + (y * p->stride_y + p->first_y) * p->in.row + (x * p->stride_x + p->first_x) * p->in.pixel,
                     p->stride_y * p->in.row, p->stride_x * p->in.pixel, p->step_y * p->in.row,
                     p->step_x * p->in.pixel};
  const ptrdiff_t channels = p->in_channels, pitch = p->copy_columns * channels;
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
                   p->gather_x ? p->taps_x * channels : p->stride_x * channels, p->gather_y ? pitch : p->step_y * pitch,
                   p->gather_x ? channels : p->step_x * channels};
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

/* --- forward and input gradient ---------------------------------------------------------------------------------- */

static void product_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_product *p = context;
  const ptrdiff_t chunk = piece % p->chunks, band_index = piece / p->chunks;
  const ptrdiff_t band_x = band_index % p->bands_x, band_y = band_index / p->bands_x % p->bands_y;
  const ptrdiff_t image = band_index / p->bands_x / p->bands_y % p->batch;
  const ptrdiff_t group = band_index / p->bands_x / p->bands_y / p->batch;
  const ptrdiff_t y = band_y * p->out_h / p->bands_y, x = band_x * p->columns; /* heights differ by one at most */
  const ptrdiff_t rows = (band_y + 1) * p->out_h / p->bands_y - y, columns = min_size(p->columns, p->out_w - x);
  if (rows <= 0 || columns <= 0) return;

  char *scratch = fc_scratch_part(p->scratch, worker);
  fc_band_state *state = (fc_band_state *)scratch;
  const size_t table = round64((size_t)(p->rows * p->columns) * sizeof(ptrdiff_t));
  const ptrdiff_t merged_taps = p->taps_y * p->taps_x;
  ptrdiff_t *a_row = (ptrdiff_t *)(scratch + 64), *c_row = (ptrdiff_t *)(scratch + 64 + table);
  ptrdiff_t *segment = (ptrdiff_t *)(scratch + 64 + 2 * table);
  real *copy = (real *)(scratch + 64 + 2 * table + round64((size_t)merged_taps * sizeof(ptrdiff_t)));

  const real *in = (const real *)p->in.data + image * p->in.image + group * p->in_channels;
  const fc_band band = open_band(p, in, y, x, rows, columns, copy, state->band != band_index);
  const int merged = band.tap_x == p->in_channels || p->taps_x == 1;
  const ptrdiff_t segments = merged ? p->taps_y : merged_taps;
  if (state->rows != rows || state->columns != columns) {
    for (ptrdiff_t i = 0, m = 0; i < rows; i++)
      for (ptrdiff_t j = 0; j < columns; j++, m++) {
        a_row[m] = i * band.row + j * band.pixel;
        c_row[m] = i * p->out.row + j * p->out.pixel;
      }
    for (ptrdiff_t s = 0; s < segments; s++)
      segment[s] = merged ? s * band.tap_y : s / p->taps_x * band.tap_y + s % p->taps_x * band.tap_x;
  }
  *state = (fc_band_state){band_index, rows, columns};

  const ptrdiff_t products = merged_taps * p->in_channels;
  const ptrdiff_t first_channel = group * p->out_channels;
  fc_ahead ahead;
  fc_tile tile = {.a = band.base,
                  .segment = segment,
                  .segments = segments,
                  .length = merged ? p->taps_x * p->in_channels : p->in_channels,
                  .a_step = 1,
                  .a_next = band.pixel,
                  .c_step = p->out.pixel,
                  .clamp = p->clamp,
                  .low = p->low,
                  .high = p->high};
  real *out = (real *)p->out.data + image * p->out.image + y * p->out.row + x * p->out.pixel + first_channel;
  const ptrdiff_t last = min_size(p->panels, (chunk + 1) * p->panels_a_piece), pixels = rows * columns;
  /* Whether all pixels of the band are at equal distances, whatever rows they are in. */
  const int flat = rows == 1 || (band.row == columns * band.pixel && p->out.row == columns * p->out.pixel);
  /* Short sums: as many pixels at a time as keep their inputs in the first-level cache while the panels pass. */
  const ptrdiff_t fit = FIRST_LEVEL / (products * (ptrdiff_t)sizeof(real)) / FC_MR * FC_MR;
  const ptrdiff_t unit = !flat && columns % FC_MR == 0 ? columns : 1; /* whole image rows, where tiles fill these */
  const ptrdiff_t block = merged_taps == 1 && fit >= 4 * FC_MR ? max_size(1, fit / unit) * unit : pixels;
  for (ptrdiff_t first = 0; first < pixels && !fc_stopping(); first += block)
    for (ptrdiff_t panel = chunk * p->panels_a_piece; panel < last && !fc_stopping(); panel++) {
      const ptrdiff_t here = min_size(block, pixels - first);
      const ptrdiff_t column = panel * FC_PANEL;
      tile.b = p->packed + group * p->group_weights + column * products;
      tile.b_step = panel_width(p->out_channels, column);
      tile.columns = min_size(FC_PANEL, p->out_channels - column);
      tile.bias = p->bias ? p->bias + first_channel + column : NULL;
      tile.c = out + column;
      tile.add = added(p->add, &p->out, tile.c);
      /* The pixels of the next tile, while they are new; then, where few tiles are a panel's, the next weights. */
      const int new_pixels = panel == chunk * p->panels_a_piece;
      const ptrdiff_t tiles = ceil_div(here, FC_MR);
      ahead = (fc_ahead){tile.b + products * tile.b_step, new_pixels ? 0 : tile.b_step / tiles, tiles};
      tile.ahead = merged_taps == 1 && (new_pixels || tiles <= FEW_TILES) ? &ahead : NULL;
      /* Tiles that do not cross image rows are the faster ones, where these fill them. Of short rows two fill a tile.
       */
      const int filled = columns % FC_MR == 0 || (tile.columns <= VL && columns >= FC_MANY_ROWS);
      const ptrdiff_t even = flat ? here : filled && first % columns == 0 ? columns : 0;
      const ptrdiff_t run = even ? even : 2 * columns == FC_MR ? FC_MR : here;
      for (ptrdiff_t i = 0; i < here; i += run) {
        const ptrdiff_t rows_here = min_size(run, here - i);
        if (even)
          run_tiles_even(&tile, a_row[first + i], c_row[first + i], rows_here);
        else
          run_tiles(&tile, rows_here, a_row + first + i, c_row + first + i);
      }
    }
}

static ptrdiff_t packed_group(ptrdiff_t columns, ptrdiff_t products) { return ceil_div(columns, VL) * VL * products; }

static int run_product(fc_product *p) {
  if (p->batch == 0 || p->out_h <= 0 || p->out_w <= 0 || p->out_channels == 0) return FC_OK;
  const ptrdiff_t products = p->taps_y * p->taps_x * p->in_channels;
  const double work = (double)p->batch * p->groups * p->out_h * p->out_w * p->out_channels * (double)(products + 1);
  p->group_weights = packed_group(p->out_channels, products);
  p->panels = ceil_div(p->out_channels, FC_PANEL);
  /* Weights larger than the image: share out panels, each read once. Else share out bands. */
  const int by_panels = p->panels >= 4 && products * p->out_channels > p->in_h * p->in_w * p->in_channels;
  const ptrdiff_t pieces = pieces_for(work);
  const ptrdiff_t planes = p->batch * p->groups;
  ptrdiff_t pixels = by_panels ? BAND_PIXELS : min_size(BAND_PIXELS, ceil_div(p->out_h * p->out_w * planes, pieces));
  plan_bands(p, max_size(pixels, 4 * FC_MR), BAND_BYTES);
  if (!by_panels && planes * p->bands_y * p->bands_x % 2 && p->bands_y < p->out_h) p->bands_y++; /* two equal shares */
  const ptrdiff_t bands = planes * p->bands_y * p->bands_x;
  p->chunks = by_panels ? min_size(p->panels, ceil_div(pieces, bands)) : 1;
  p->chunks = ceil_div(p->panels, p->panels / p->chunks); /* rather more than fewer: an odd panel idles a thread long */
  p->panels_a_piece = ceil_div(p->panels, p->chunks);
  p->chunks = ceil_div(p->panels, p->panels_a_piece);

  const size_t tables = 64 + 2 * round64((size_t)(p->rows * p->columns) * sizeof(ptrdiff_t)) +
                        round64((size_t)(p->taps_y * p->taps_x) * sizeof(ptrdiff_t));
  const int workers = fc_workers();
  p->scratch = fc_scratch_acquire(workers, tables + (size_t)copy_bytes(p));
  if (!p->scratch) return FC_NO_MEMORY;
  for (int i = 0; i < workers; i++) *(fc_band_state *)fc_scratch_part(p->scratch, i) = (fc_band_state){-1, -1, -1};
  const int status = fc_parallel(bands * p->chunks, work, product_piece, p);
  fc_scratch_release(p->scratch);
  return status;
}

/* The outputs of one axis, first <= o < last, whose tap at `offset` lies inside the input. */
static void inside(ptrdiff_t *first, ptrdiff_t *last, ptrdiff_t offset, ptrdiff_t stride, ptrdiff_t size) {
  if (offset < 0) *first = max_size(*first, ceil_div(-offset, stride));
  *last = offset >= size ? *first : min_size(*last, (size - 1 - offset) / stride + 1);
}
