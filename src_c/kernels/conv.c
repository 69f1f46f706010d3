/* Direct convolution on channels-last images, as a product over taps.
 *
 * Forward and input gradient are one routine: output pixel (y, x) is the sum, over a grid of taps, of the packed
 * weights times the input pixel at (y * stride + first + tap * step). The input gradient of a strided convolution is
 * stride_y * stride_x such products, one for each residue of the pixel, over the taps that reach it: no zero is
 * multiplied. A band of the output (conv_band.c) is worked on at a time. Of small maps, where zeros round the image
 * would be a good part of the work, most products with them are left out. */

/* Looks for products that can be left out, with zeros round a map that is a tile wide at most. */
static void plan_edges(fc_product *p) {
  const ptrdiff_t taps = p->taps_y * p->taps_x;
  p->trimmed = taps > 1 && p->copied && p->padding == FC_ZEROS && p->bands_x == 1 && p->out_w <= FC_MR;
  p->edges = p->trimmed && has_edges(p->out_w) && taps <= MOST_EDGE_TAPS && p->in_channels >= FC_LONG_SEGMENT &&
             p->out_channels > VL;
  if (p->edges) p->copy_gap = odd_lines(p->in_channels) - p->in_channels;
  for (ptrdiff_t tap = 0; p->edges && tap < taps; tap++) {
    const ptrdiff_t first = p->first_x + tap % p->taps_x * p->step_x, last = first + (p->out_w - 1) * p->stride_x;
    p->skips[tap] = first < 0 ? FC_SKIP_FIRST : last >= p->in_w ? FC_SKIP_LAST : FC_SKIP_NONE;
  }
}

/* The first tap row that reaches the input from output row y, and the first one after it that does not any more. */
static ptrdiff_t tap_row(const fc_product *p, ptrdiff_t y, int end) {
  ptrdiff_t tap = end ? p->taps_y : 0, at = p->first_y + y * p->stride_y;
  while (!end && tap < p->taps_y && at + tap * p->step_y < 0) tap++;
  while (end && tap > 0 && at + (tap - 1) * p->step_y >= p->in_h) tap--;
  return tap;
}

/* A panel of the band's rows from y on, each over the tap rows that reach the input. */
static void run_trimmed(const fc_product *p, fc_tile tile, ptrdiff_t y, ptrdiff_t rows, const ptrdiff_t *a_row,
                        const ptrdiff_t *c_row) {
  const ptrdiff_t columns = p->out_w, of_row = tile.segments / p->taps_y, *segment = tile.segment;
  const real *b = tile.b;
  for (ptrdiff_t i = 0, next; i < rows; i = next) {
    const ptrdiff_t first = tap_row(p, y + i, 0), last = tap_row(p, y + i, 1);
    for (next = i + 1; next < rows && tap_row(p, y + next, 0) == first && tap_row(p, y + next, 1) == last;) next++;
    tile.segment = segment + first * of_row;
    tile.segments = max_size(0, last - first) * of_row;
    tile.b = b + first * p->taps_x * p->in_channels * tile.b_step;
    if (p->edges && tile.columns > VL) {
      tile.skips = p->skips + first * p->taps_x;
      run_edges(&tile, next - i, columns, a_row + i * columns, c_row + i * columns);
      continue;
    }
    const ptrdiff_t run = 2 * columns == FC_MR ? 2 : next - i;
    for (ptrdiff_t j = i; j < next; j += run)
      run_tiles(&tile, min_size(run, next - j) * columns, a_row + j * columns, c_row + j * columns);
  }
}

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
  const int merged = !p->edges && (band.tap_x == p->in_channels || p->taps_x == 1);
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
      if (p->trimmed) {
        run_trimmed(p, tile, y, rows, a_row, c_row);
        continue;
      }
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
  plan_edges(p);
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
