/* Filtering of single planes by Fourier transforms of overlapping tiles.
 *
 * Tile pair by tile pair (one in the real parts, one in the imaginary parts): strips of VL columns are transformed
 * down; then groups of VL rows are turned, transformed, multiplied by the spectrum of the weights and transformed back,
 * within the first-level cache; then the strips are transformed back. Of a tile's size_y x size_x results those that
 * the circular convolution has not wrapped are kept. Pairs are of one plane, so that no other changes a bit of it. */

typedef struct {
  fc_filter direct; /* what tiles are filtered by if their results are not finite */
  ptrdiff_t size_y, size_x, step_y, step_x, tiles_y, tiles_x, pairs; /* of a plane */
  const real *twiddles_y, *twiddles_x;
  const real *spectrum;              /* [group of rows][column][re, im][row] */
  size_t tile_at, group_at, line_at; /* in a worker's scratch memory, after direct's */
} fc_fft_filter;

/* The outputs of tile t. */
typedef struct {
  ptrdiff_t y, x, rows, columns;
} fc_fft_tile;

static fc_fft_tile fft_tile(const fc_fft_filter *f, ptrdiff_t t) {
  const fc_window *w = &f->direct.window;
  const ptrdiff_t y = t / f->tiles_x * f->step_y, x = t % f->tiles_x * f->step_x;
  if (t >= f->tiles_y * f->tiles_x) return (fc_fft_tile){0, 0, 0, 0};
  return (fc_fft_tile){y, x, min_size(f->step_y, w->out_h - y), min_size(f->step_x, w->out_w - x)};
}

/* Strips [strip][row][re, im][VL]: `half` is 0 for the real parts. */
static void fft_load(const fc_fft_filter *f, ptrdiff_t plane, fc_fft_tile tile, int half, real *strips, real *line) {
  const fc_window *w = &f->direct.window;
  const fc_boundary *boundary = &f->direct.boundary;
  const real *in = (const real *)f->direct.in.data + plane * f->direct.in.image;
  const ptrdiff_t rows = tile.rows ? tile.rows + (w->kh - 1) * w->dilation_y : 0;
  const ptrdiff_t columns = tile.columns + (w->kw - 1) * w->dilation_x, first = tile.x - w->pad_x;
  const int inside = first >= 0 && first + f->size_x <= w->w;
  memset(line, 0, (size_t)f->size_x * sizeof(real));
  for (ptrdiff_t y = 0; y < f->size_y; y++) {
    const ptrdiff_t at = y < rows ? boundary_index(boundary->kind, tile.y - w->pad_y + y, w->h) : -1;
    const real *row = line;
    if (at >= 0 && inside)
      row = in + at * f->direct.in.row + first;
    else if (at >= 0)
      boundary_copy(boundary, in + at * f->direct.in.row, w->w, first, columns, line);
    else
      for (ptrdiff_t x = 0; x < columns; x++) line[x] = y < rows ? (real)boundary->fill : 0;
    real *to = strips + y * FFT_STEP + half * VL;
    for (ptrdiff_t x = 0; x < f->size_x; x += VL, to += f->size_y * FFT_STEP) v_store(to, v_load(row + x));
  }
}

static void fft_turn_in(const fc_fft_filter *f, const fc_transposition *turn, const real *strips, ptrdiff_t group,
                        real *to) {
  for (ptrdiff_t x = 0; x < f->size_x; x += VL, strips += f->size_y * FFT_STEP) {
    fft_transpose(turn, strips + group * VL * FFT_STEP, to + x * FFT_STEP);
    fft_transpose(turn, strips + group * VL * FFT_STEP + VL, to + x * FFT_STEP + VL);
  }
}

static void fft_turn_out(const fc_fft_filter *f, const fc_transposition *turn, const real *from, ptrdiff_t group,
                         real *strips) {
  for (ptrdiff_t x = 0; x < f->size_x; x += VL, strips += f->size_y * FFT_STEP) {
    fft_transpose(turn, from + x * FFT_STEP, strips + group * VL * FFT_STEP);
    fft_transpose(turn, from + x * FFT_STEP + VL, strips + group * VL * FFT_STEP + VL);
  }
}

/* Stores a tile's outputs; returns whether one was not finite. */
static int fft_store(const fc_fft_filter *f, ptrdiff_t plane, fc_fft_tile tile, int half, const real *strips) {
  vec suspect = v_zero();
  for (ptrdiff_t y = 0; y < tile.rows; y++) {
    const real *from = strips + y * FFT_STEP + half * VL;
    real *out = (real *)f->direct.out.data + plane * f->direct.out.image + (tile.y + y) * f->direct.out.row + tile.x;
    for (ptrdiff_t x = 0; x < tile.columns; x += VL, from += f->size_y * FFT_STEP) {
      const vec value = v_load(from);
      suspect = v_fma(value, v_zero(), suspect); /* NaN as soon as a value is not finite */
      v_store_n(out + x, value, min_size(VL, tile.columns - x));
    }
  }
  return m_any(v_isnan(suspect));
}

/* Filters one pair of tiles. */
static void fft_filter_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_fft_filter *f = context;
  const ptrdiff_t plane = piece / f->pairs, strip = f->size_y * FFT_STEP, groups = f->size_y / VL;
  char *scratch = fc_scratch_part(f->direct.scratch, worker);
  real *strips = (real *)(scratch + f->tile_at), *group = (real *)(scratch + f->group_at);
  const fc_transposition turn = transposition();
  fc_fft_tile tile[2];
  for (int half = 0; half < 2; half++) {
    tile[half] = fft_tile(f, piece % f->pairs * 2 + half);
    fft_load(f, plane, tile[half], half, strips, (real *)(scratch + f->line_at));
  }
  const int down = f->direct.window.kh > 1; /* else the spectrum is the same in every row */
  for (ptrdiff_t x = 0; x < f->size_x && down && !fc_stopping(); x += VL)
    fft_forward(strips + x / VL * strip, f->size_y, FFT_STEP, f->twiddles_y);
  for (ptrdiff_t g = 0; g < groups && !fc_stopping(); g++) {
    fft_turn_in(f, &turn, strips, g, group);
    fft_forward(group, f->size_x, FFT_STEP, f->twiddles_x);
    const real *spectrum = f->spectrum + g * f->size_x * FFT_STEP;
    for (ptrdiff_t i = 0; i < f->size_x * FFT_STEP; i += FFT_STEP)
      c_store(group + i, c_mul(c_load(group + i), c_load(spectrum + i)));
    fft_inverse(group, f->size_x, FFT_STEP, f->twiddles_x);
    fft_turn_out(f, &turn, group, g, strips);
  }
  for (ptrdiff_t x = 0; x < f->size_x && down && !fc_stopping(); x += VL)
    fft_inverse(strips + x / VL * strip, f->size_y, FFT_STEP, f->twiddles_y);
  for (int half = 0; half < 2; half++)
    if (fft_store(f, plane, tile[half], half, strips))
      for (ptrdiff_t y = 0; y < tile[half].rows; y += f->direct.band)
        filter_band(&f->direct, plane, tile[half].y + y, tile[half].y + min_size(tile[half].rows, y + f->direct.band),
                    tile[half].x, tile[half].x + tile[half].columns, scratch);
}

/* The spectrum of the weights, scaled for the inverse transform. Tap t lies at -t, for results are correlations. */
static void fft_weights(const fc_fft_filter *f, real *spectrum, real *strips) {
  const fc_window *w = &f->direct.window;
  const real scale = (real)(1 / ((double)(w->kh > 1 ? f->size_y : 1) * (double)f->size_x)), *weight = f->direct.weight;
  const fc_transposition turn = transposition();
  memset(strips, 0, (size_t)(f->size_y * f->size_x * 2) * sizeof(real));
  for (ptrdiff_t ty = 0; ty < w->kh; ty++)
    for (ptrdiff_t tx = 0; tx < w->kw; tx++) {
      const ptrdiff_t y = (f->size_y - ty * w->dilation_y) % f->size_y;
      const ptrdiff_t x = (f->size_x - tx * w->dilation_x) % f->size_x;
      strips[(x / VL * f->size_y + y) * FFT_STEP + x % VL] = weight[ty * w->kw + tx] * scale;
    }
  for (ptrdiff_t x = 0; x < f->size_x; x += VL)
    fft_forward(strips + x * f->size_y * 2, f->size_y, FFT_STEP, f->twiddles_y);
  for (ptrdiff_t g = 0; g < f->size_y / VL; g++) {
    fft_turn_in(f, &turn, strips, g, spectrum + g * f->size_x * FFT_STEP);
    fft_forward(spectrum + g * f->size_x * FFT_STEP, f->size_x, FFT_STEP, f->twiddles_x);
  }
}

static int kernel_fft_filter2d(const fc_window *window, const fc_boundary *boundary, ptrdiff_t tile_y, ptrdiff_t tile_x,
                               fc_image x, const void *weight, fc_image out) {
  fc_fft_filter f = {.direct = {.window = *window, .boundary = *boundary, .in = x, .out = out, .weight = weight},
                     .size_y = tile_y,
                     .size_x = tile_x};
  if (window->batch == 0) return FC_OK;
  f.step_y = tile_y - (window->kh - 1) * window->dilation_y;
  f.step_x = tile_x - (window->kw - 1) * window->dilation_x;
  f.tiles_y = ceil_div(window->out_h, f.step_y);
  f.tiles_x = ceil_div(window->out_w, f.step_x);
  f.pairs = ceil_div(f.tiles_y * f.tiles_x, 2);
  const size_t tile = (size_t)(tile_y * tile_x * 2) * sizeof(real), group = (size_t)(tile_x * FFT_STEP) * sizeof(real);
  f.tile_at = round64(filter_plan(&f.direct));
  f.group_at = f.tile_at + tile + 64; /* not at the same place of a page */
  f.line_at = f.group_at + group;
  const size_t twiddles_y = round64(fft_twiddle_count(tile_y) * sizeof(real)),
               twiddles_x = round64(fft_twiddle_count(tile_x) * sizeof(real));
  const double work = 5. * (double)(window->batch * f.pairs) * (double)(tile_y * tile_x) * 10;
  int status = FC_NO_MEMORY;
  char *shared = fc_scratch_acquire(1, tile + twiddles_y + twiddles_x + filter_shared_bytes(&f.direct));
  if (shared) {
    f.direct.scratch = fc_scratch_acquire(fc_workers(), f.line_at + (size_t)tile_x * sizeof(real));
    if (f.direct.scratch) {
      real *spectrum = (real *)shared, *y = (real *)(shared + tile), *x = (real *)(shared + tile + twiddles_y);
      fft_twiddles(y, tile_y);
      fft_twiddles(x, tile_x);
      f.twiddles_y = y, f.twiddles_x = x, f.spectrum = spectrum;
      filter_share(&f.direct, shared + tile + twiddles_y + twiddles_x);
      fft_weights(&f, spectrum, (real *)((char *)fc_scratch_part(f.direct.scratch, 0) + f.tile_at));
      status = fc_parallel(window->batch * f.pairs, work, fft_filter_piece, &f);
    }
    fc_scratch_release(f.direct.scratch);
  }
  fc_scratch_release(shared);
  return status;
}
