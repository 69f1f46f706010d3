/* The gradient of convolution weights.
 *
 * grad_w[(ky, kx, i)][o] is the product of the shifted input, seen column-wise (one row of A is one channel under one
 * tap, k runs over pixels), with the output gradient. A piece owns a panel of output channels, a range of input
 * channels with all their taps, and a chunk of the bands. Without chunks it writes its part of the gradient itself,
 * while the sums are near; else the chunks are added in order at the end.
 *
 * With many channels a tile stays within one tap, and only the pixels that the tap finds inside the image are visited:
 * nothing is copied; but for a single tap the pixels' channels are, beside each other, for pixels of many channels are
 * far apart, a memory page each, and every tile would go to all of them. Several panels share that copy. With few,
 * tiles run across taps, over a copy of the band with the zeros around it. Rows that lie side by side in the input, a
 * pixel's channels or a tap row's, share a pointer. */
enum {
  WEIGHT_PIXELS = 192,     /* of a band: a panel of the gradient beside the input's lines in the first-level cache */
  WEIGHT_SUMS = 128 << 10, /* bytes of a piece's sums: they stay in the second-level cache */
  NEAR_CHANNELS = 256,     /* of a near copy, at most, */
  NEAR_PANELS = 8,         /* and panels that share it: copy and sums stay in the second-level cache */
  SUMS_SHARE = 16,         /* the sums of all chunks are at most such a part of input and gradient */
  FAR_INPUT = 4 << 20,     /* bytes of an input that is beyond the second-level caches */
  FAR_APART = 320 << 10,   /* bytes that a band's input lies within: more pages than the processor knows at once */
  BESIDE_RUN = 8           /* rows that must lie side by side for tiles of such rows */
};

typedef struct {
  fc_product band; /* the input side: how bands are cut and copied */
  fc_image grad;
  ptrdiff_t ranges, chunks, bands;
  ptrdiff_t images_y,
      images_x;          /* that an image is taken as: by Winograd's way, each dilation-th row and column is one */
  int by_taps, winograd; /* the latter by tiles of so many outputs an axis, or not at all */
  int by_chunks;       /* for a large input: pieces share the pixels, and those of the same pixels follow each other */
  ptrdiff_t near;      /* of a single tap's copy of the input: the step from pixel to pixel, or 0 where there is none */
  ptrdiff_t panels;    /* of a piece: those that share such a copy or transformed inputs, or 1 */
  ptrdiff_t units;     /* pieces of a chunk */
  ptrdiff_t tiles;     /* of a block of Winograd's */
  ptrdiff_t pixels;    /* side by side in a vector of the gradient, see pixels_a_vector */
  real *sums;          /* with chunks: [chunk][group, panel and range][sums of a part] */
  ptrdiff_t most_sums; /* of a piece's panel */
  real *grad_weight;
} fc_weight_job;

/* What a piece computes for a panel: sums [tap y][tap x][channel first .. last][width], whole vectors of output
 * channels. */
typedef struct {
  ptrdiff_t group, column, width, channels; /* a panel of output channels */
  ptrdiff_t first, last;                    /* input channels */
} fc_weight_part;

static fc_weight_part weight_part(const fc_weight_job *job, ptrdiff_t part) {
  const fc_product *p = &job->band;
  const ptrdiff_t range = part % job->ranges, panel = part / job->ranges % p->panels, column = panel * FC_PANEL;
  return (fc_weight_part){.group = part / job->ranges / p->panels,
                          .column = column,
                          .width = panel_width(p->out_channels, column),
                          .channels = min_size(FC_PANEL, p->out_channels - column),
                          .first = p->in_channels * range / job->ranges,
                          .last = p->in_channels * (range + 1) / job->ranges};
}

static void pack_grad(const fc_weight_job *job, real *to, const real *from, ptrdiff_t rows, ptrdiff_t columns,
                      ptrdiff_t channels, ptrdiff_t width) {
  for (ptrdiff_t i = 0; i < rows; i++)
    for (ptrdiff_t j = 0; j < columns; j++, to += width) {
      const real *pixel = from + i * job->grad.row + j * job->grad.pixel;
      for (ptrdiff_t n = 0; n < width; n += VL)
        v_store(to + n, v_load_n(pixel + n, max_size(0, min_size(VL, channels - n))));
    }
}

/* The sums of a part, tap by tap, over the band of outputs y0 .. y1, x0 .. x1. */
static void weight_taps(const fc_weight_job *job, fc_tile tile, const fc_weight_part *part, const real *in,
                        ptrdiff_t y0, ptrdiff_t y1, ptrdiff_t x0, ptrdiff_t x1, ptrdiff_t *segment) {
  const fc_product *p = &job->band;
  const ptrdiff_t width = part->width, columns = x1 - x0, rows = part->last - part->first;
  const real *packed = tile.b;
  for (ptrdiff_t tap = 0; tap < p->taps_y * p->taps_x; tap++, tile.c += rows * width) {
    const ptrdiff_t offset_y = p->first_y + tap / p->taps_x * p->step_y,
                    offset_x = p->first_x + tap % p->taps_x * p->step_x;
    ptrdiff_t first_y = y0, last_y = y1, first_x = x0, last_x = x1;
    inside(&first_y, &last_y, offset_y, p->stride_y, p->in_h);
    inside(&first_x, &last_x, offset_x, p->stride_x, p->in_w);
    tile.segments = first_x < last_x ? max_size(0, last_y - first_y) : 0;
    tile.length = last_x - first_x;
    if (tile.segments) {
      for (ptrdiff_t i = 0; i < tile.segments; i++) segment[i] = i * p->stride_y * p->in.row;
      tile.a = in + (first_y * p->stride_y + offset_y) * p->in.row + (first_x * p->stride_x + offset_x) * p->in.pixel +
               part->first;
      tile.b = packed + ((first_y - y0) * columns + first_x - x0) * width;
      tile.b_skip = (columns - tile.length) * width;
    }
    if (tile.segments || !tile.accumulate) run_tiles_beside(&tile, rows);
    tile.ahead = NULL;
  }
}

/* The same for a single tap that stays inside, over a copy of the band's input, which the piece's first panel makes. */
static void weight_near(const fc_weight_job *job, fc_tile tile, const fc_weight_part *part, const real *in, ptrdiff_t y,
                        ptrdiff_t x, ptrdiff_t rows, ptrdiff_t columns, real *copy, int fresh, ptrdiff_t *segment) {
  const fc_product *p = &job->band;
  const ptrdiff_t channels = part->last - part->first;
  real *to = copy;
  for (ptrdiff_t i = y; fresh && i < y + rows; i++)
    for (ptrdiff_t j = x; j < x + columns; j++, to += job->near) {
      const real *from =
          in + (i * p->stride_y + p->first_y) * p->in.row + (j * p->stride_x + p->first_x) * p->in.pixel + part->first;
      for (ptrdiff_t n = 0; n < channels; n += VL) v_store(to + n, v_load_n(from + n, min_size(VL, channels - n)));
    }
  *segment = 0;
  tile.a = copy;
  tile.a_step = job->near;
  tile.segments = 1;
  tile.length = rows * columns;
  run_tiles_beside(&tile, channels);
}

/* The same across taps, over a copy of the band; `tables` has room for two offsets a row and one a line of the band. */
static void weight_merged(const fc_weight_job *job, fc_tile tile, const fc_band *band, ptrdiff_t rows,
                          ptrdiff_t columns, ptrdiff_t *tables) {
  const fc_product *p = &job->band;
  const ptrdiff_t count = p->taps_y * p->taps_x * p->in_channels;
  const ptrdiff_t run = p->in_channels * (band->tap_x == p->in_channels ? p->taps_x : 1);
  ptrdiff_t *a_row = tables, *c_row = tables + count, *segment = tables + 2 * count;
  if (!tile.accumulate) { /* the first band; the tables are the same for all */
    for (ptrdiff_t m = 0; m < count; m++) {
      const ptrdiff_t tap = m / p->in_channels;
      a_row[m] = tap / p->taps_x * band->tap_y + tap % p->taps_x * band->tap_x + m % p->in_channels;
      c_row[m] = m * tile.c_step;
    }
    for (ptrdiff_t i = 0; i < p->rows; i++) segment[i] = i * band->row;
  }
  tile.a_step = band->pixel;
  tile.segments = rows;
  tile.length = columns;
  tile.a = band->base;
  tile.segment = segment;
  if (run < BESIDE_RUN) {
    tile.add = tile.accumulate ? tile.c : NULL;
    run_tiles(&tile, count, a_row, c_row);
    return;
  }
  for (ptrdiff_t m = 0; m < count; m += run, tile.c += run * tile.c_step) {
    tile.a = band->base + a_row[m];
    run_tiles_beside(&tile, run);
  }
}

/* Adds a part's sums of all chunks, `next` apart, in order, and those of the pixels that share a vector; then
 * transposes them to (out channel, channel, ky, kx). */
static void weight_unpack(const fc_weight_job *job, const fc_weight_part *part, real *sums, ptrdiff_t next) {
  enum { BLOCK = 64 };
  const fc_product *p = &job->band;
  const ptrdiff_t stride = p->stride_x / job->pixels, kw = p->taps_x - (job->pixels - 1) * stride;
  const ptrdiff_t taps = p->taps_y * kw, channels = p->out_channels / job->pixels, width = part->width;
  const ptrdiff_t rows = part->last - part->first, tap_sums = rows * width;
  if (job->chunks > 1)
    for (ptrdiff_t i = 0; i < p->taps_y * p->taps_x * tap_sums; i += VL) {
      vec sum = v_load(sums + i);
      for (ptrdiff_t chunk = 1; chunk < job->chunks; chunk++) sum = v_add(sum, v_load(sums + chunk * next + i));
      v_store(sums + i, sum);
    }
  for (ptrdiff_t pixel = 1; pixel < job->pixels; pixel++) /* one vector is all there is */
    for (ptrdiff_t i = 0; i < p->taps_y * kw * rows; i++) {
      real *sum = sums + (i / (kw * rows) * p->taps_x * rows + i % (kw * rows)) * width;
      const vec other = v_load_n(sum + pixel * (stride * tap_sums + channels), channels);
      v_store_n(sum, v_add(v_load_n(sum, channels), other), channels);
    }

  const fc_transposition lanes = transposition();
  const ptrdiff_t outputs = min_size(channels - part->column, FC_PANEL), step = p->in_channels * taps;
  real *to = job->grad_weight + ((part->group * channels + part->column) * p->in_channels + part->first) * taps;
  ptrdiff_t source[BLOCK], target[FC_PANEL];
  for (ptrdiff_t n = 0; n < FC_PANEL; n++) target[n] = n * step;
  for (ptrdiff_t first = 0; first < rows * taps; first += BLOCK) {
    const ptrdiff_t here = min_size(BLOCK, rows * taps - first);
    for (ptrdiff_t j = 0, i = first / taps, tap = first % taps; j < here; j++) {
      source[j] = ((tap / kw * p->taps_x + tap % kw) * rows + i) * width;
      if (++tap == taps) tap = 0, i++;
    }
    for (ptrdiff_t j = 0; j < here; j += VL)
      transpose(&lanes, sums, source + j, min_size(VL, here - j), outputs, to + first + j, target, 0);
  }
}

/* The job for one image, or for one of those that a dilated one is taken as. */
static fc_weight_job weight_image(const fc_weight_job *job, ptrdiff_t index) {
  fc_weight_job one = *job;
  fc_product *p = &one.band;
  const ptrdiff_t dy = job->images_y, dx = job->images_x;
  const ptrdiff_t x = index % dx, y = index / dx % dy, image = index / dx / dy;
  const fc_thinned in = thinned(p->in, p->in_h, p->in_w, dy, dx, y + p->first_y, x + p->first_x);
  p->in = in.image;
  p->in.data = (real *)p->in.data + image * p->in.image;
  p->in_h = in.h, p->in_w = in.w;
  one.grad.data = (real *)one.grad.data + image * one.grad.image + y * one.grad.row + x * one.grad.pixel;
  one.grad.row *= dy, one.grad.pixel *= dx;
  p->out_h = max_size(0, ceil_div(p->out_h - y, dy)), p->out_w = max_size(0, ceil_div(p->out_w - x, dx));
  p->first_y = in.y, p->first_x = in.x;
  p->step_y /= dy, p->step_x /= dx;
  return one;
}

static int weight_winograd(const fc_weight_job *job, ptrdiff_t first_part, ptrdiff_t panels, ptrdiff_t first,
                           ptrdiff_t last, real *space, real *sums, ptrdiff_t next);

/* What is read after a band's panel number `panel` of `panels`: the gradient of the next, after the last that of the
 * next band's first, and, unless rows are left out, a share of the next band's input, if there is one (`more`). Where
 * bands are whole rows of dense images, its pixels are those that follow; elsewhere others are fetched in vain. */
static void weight_ahead(const fc_weight_job *job, const fc_weight_part *part, const real *in, const real *grad,
                         ptrdiff_t pixels, ptrdiff_t panel, ptrdiff_t panels, int more, fc_ahead ahead[3]) {
  const fc_product *p = &job->band;
  const ptrdiff_t lines = more && p->stride_y == 1 ? ceil_div(part->last - part->first, LINE) : 0,
                  begin = lines * panel / panels;
  const real *next = panel + 1 < panels ? grad + FC_PANEL : grad - panel * FC_PANEL + pixels * job->grad.pixel;
  ahead[0] = (fc_ahead){next, job->grad.pixel, more || panel + 1 < panels ? ceil_div(part->width, LINE) : 0};
  ahead[1] = (fc_ahead){in + part->first + begin * LINE + pixels * p->stride_x * p->in.pixel, p->stride_x * p->in.pixel,
                        lines * (panel + 1) / panels - begin};
  ahead[2] = (fc_ahead){.tiles = 0};
}

/* The sums of a piece's panel number `panel` of `panels` over one band, added to what is there if `tile` says so;
 * returns 0 if the band has no pixels. */
static int weight_band(const fc_weight_job *job, fc_tile tile, const fc_weight_part *part, ptrdiff_t index,
                       ptrdiff_t panel, ptrdiff_t panels, int more, real *packed, real *copy, ptrdiff_t *tables) {
  const fc_product *p = &job->band;
  const ptrdiff_t x = index % p->bands_x * p->columns, y = index / p->bands_x % p->bands_y * p->rows;
  const fc_weight_job one = weight_image(job, index / p->bands_x / p->bands_y);
  const ptrdiff_t rows = min_size(p->rows, one.band.out_h - y), columns = min_size(p->columns, one.band.out_w - x);
  if (rows <= 0 || columns <= 0) return 0;
  const real *in = (const real *)one.band.in.data + part->group * p->in_channels;
  const real *grad = (const real *)one.grad.data + y * one.grad.row + x * one.grad.pixel +
                     part->group * p->out_channels + part->column;
  pack_grad(&one, packed, grad, rows, columns, part->channels, part->width);
  tile.b = packed;
  tile.a_step = p->stride_x * one.band.in.pixel;
  fc_ahead ahead[3];
  if (job->by_taps) {
    weight_ahead(&one, part, in + y * p->stride_y * one.band.in.row + x * p->stride_x * one.band.in.pixel, grad,
                 rows * columns, panel, panels, more, ahead);
    tile.ahead = ahead;
  }
  if (job->near) {
    weight_near(&one, tile, part, in, y, x, rows, columns, copy, panel == 0, tables);
  } else if (job->by_taps) {
    weight_taps(&one, tile, part, in, y, y + rows, x, x + columns, tables);
  } else {
    const fc_band band = open_band(&one.band, in, y, x, rows, columns, copy, 1);
    weight_merged(&one, tile, &band, rows, columns, tables);
  }
  return 1;
}

/* Bytes of a worker's tables of offsets. */
static size_t weight_tables(const fc_weight_job *job) {
  const fc_product *p = &job->band;
  const ptrdiff_t offsets = p->rows + (job->by_taps ? 0 : 2 * p->taps_y * p->taps_x * p->in_channels);
  return round64((size_t)offsets * sizeof(ptrdiff_t));
}

static void weight_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_weight_job *job = context;
  const fc_product *p = &job->band;
  const ptrdiff_t parts = p->groups * p->panels * job->ranges, blocks = ceil_div(p->panels, job->panels);
  const ptrdiff_t chunk = job->by_chunks ? piece / job->units : piece % job->chunks;
  const ptrdiff_t unit = job->by_chunks ? piece % job->units : piece / job->chunks;
  const ptrdiff_t range = unit % job->ranges, block = unit / job->ranges % blocks, group = unit / job->ranges / blocks;
  const ptrdiff_t panels = min_size(job->panels, p->panels - block * job->panels);
  const ptrdiff_t first_part = (group * p->panels + block * job->panels) * job->ranges + range;

  ptrdiff_t *tables = fc_scratch_part(p->scratch, worker);
  real *own = (real *)((char *)tables + weight_tables(job));
  real *packed = own + (job->sums ? 0 : job->panels * job->most_sums); /* or all that Winograd's way needs */
  real *copy = packed + p->rows * p->columns * FC_PANEL;
  real *sums = job->sums ? job->sums + (chunk * parts + first_part) * job->most_sums : own;
  const ptrdiff_t next = (job->sums ? job->ranges : 1) * job->most_sums; /* panel */

  fc_tile tile = {.segment = tables};
  const ptrdiff_t first_band = job->bands * chunk / job->chunks, last_band = job->bands * (chunk + 1) / job->chunks;
  const int done = job->winograd && weight_winograd(job, first_part, panels, first_band, last_band, packed, sums, next);
  for (ptrdiff_t index = first_band; index < last_band && !done && !fc_stopping(); index++) {
    int found = 0;
    for (ptrdiff_t panel = 0; panel < panels; panel++) {
      const fc_weight_part part = weight_part(job, first_part + panel * job->ranges);
      tile.b_step = tile.c_step = tile.columns = part.width;
      tile.c = sums + panel * next;
      found = weight_band(job, tile, &part, index, panel, panels, index + 1 < last_band, packed, copy, tables);
    }
    tile.accumulate |= found;
  }
  for (ptrdiff_t panel = 0; panel < panels; panel++) {
    const fc_weight_part part = weight_part(job, first_part + panel * job->ranges);
    if (!tile.accumulate && !done) memset(sums + panel * next, 0, (size_t)job->most_sums * sizeof(real));
    if (!job->sums) weight_unpack(job, &part, sums + panel * next, 0);
  }
}

static void unpack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_weight_job *job = context;
  const fc_weight_part part = weight_part(job, piece);
  weight_unpack(job, &part, job->sums + piece * job->most_sums,
                job->band.groups * job->band.panels * job->ranges * job->most_sums);
}
