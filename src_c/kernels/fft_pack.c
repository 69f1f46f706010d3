/* Convolution of many channels by Fourier transforms: the size of tiles, and the weights.
 *
 * The weights of a panel of output channels are transformed with vectors across these channels. They are real, so that
 * half of the frequencies is enough: the others' are the conjugates. Two input channels go through one transform, as
 * real and imaginary parts. Planes are in the transform's own order, digits of the frequency in reverse. */

enum { FFT_MOST_PLANES = 1 << 16 };

/* What the tiles cost: products, and reading the weights. */
static double fft_conv_cost(ptrdiff_t out_h, ptrdiff_t out_w, ptrdiff_t step_y, ptrdiff_t step_x, ptrdiff_t planes) {
  const double pairs = (double)ceil_div(ceil_div(out_h, step_y) * ceil_div(out_w, step_x), 2);
  return (pairs + 3) * (double)planes;
}

/* Sets the size of tiles for so many outputs; 0 where there is none. It does not depend on the batch. */
static void fft_conv_tile(const fc_conv2d *c, int backward, ptrdiff_t *size_y, ptrdiff_t *size_x) {
  const fc_window *w = &c->window;
  const ptrdiff_t out_h = backward ? w->h : w->out_h, out_w = backward ? w->w : w->out_w;
  double best = 0;
  *size_y = *size_x = 0;
  if (w->stride_y != 1 || w->stride_x != 1 || w->dilation_y != 1 || w->dilation_x != 1) return;
  for (ptrdiff_t y = 1; y <= FFT_MOST_PLANES && y < 2 * (out_h + w->kh - 1); y *= 2)
    for (ptrdiff_t x = 1; y * x <= FFT_MOST_PLANES && x < 2 * (out_w + w->kw - 1); x *= 2) {
      if (y < w->kh || x < w->kw || (w->kh == 1 && y > 1) || (w->kw == 1 && x > 1)) continue;
      const double cost = fft_conv_cost(out_h, out_w, y - w->kh + 1, x - w->kw + 1, y * x);
      if (best == 0 || cost < best) best = cost, *size_y = y, *size_x = x;
    }
}

/* The frequency at a place of a transform of length n, and the place of a frequency: digits in reverse. */
static ptrdiff_t fft_frequency(ptrdiff_t place, ptrdiff_t n) {
  const ptrdiff_t quarter = n / 4;
  return n <= 2 ? place : place / quarter + 4 * fft_frequency(place % quarter, quarter);
}

static ptrdiff_t fft_place(ptrdiff_t frequency, ptrdiff_t n) {
  const ptrdiff_t quarter = n / 4;
  return n <= 2 ? frequency : frequency % 4 * quarter + fft_place(frequency / 4, quarter);
}

/* place[i]: where the frequency opposite to that at i is found. */
static void fft_opposite(int32_t *place, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) place[i] = (int32_t)fft_place((n - fft_frequency(i, n)) % n, n);
}

/* Tables that pieces share: twiddle factors and `mirror`. */
static size_t fft_conv_table_bytes(ptrdiff_t size_y, ptrdiff_t size_x) {
  return (fft_twiddle_count(size_y) + fft_twiddle_count(size_x)) * sizeof(real) +
         (size_t)(size_y * size_x + size_y + size_x) * sizeof(int32_t);
}

static void fft_conv_tables(void *memory, ptrdiff_t size_y, ptrdiff_t size_x, const real **twiddles_y,
                            const real **twiddles_x, const int32_t **mirror) {
  real *y = memory, *x = y + fft_twiddle_count(size_y);
  int32_t *planes = (int32_t *)(x + fft_twiddle_count(size_x)), *rows = planes + size_y * size_x,
          *columns = rows + size_y;
  fft_twiddles(y, size_y);
  fft_twiddles(x, size_x);
  fft_opposite(rows, size_y);
  fft_opposite(columns, size_x);
  for (ptrdiff_t i = 0; i < size_y * size_x; i++)
    planes[i] = (int32_t)(rows[i / size_x] * size_x + columns[i % size_x]);
  *twiddles_y = y, *twiddles_x = x, *mirror = planes;
}

/* Planes of which none is another's mirror image. */
static ptrdiff_t fft_conv_halves(ptrdiff_t size_y, ptrdiff_t size_x) {
  return (size_y * size_x + (size_y > 1 ? 2 : 1) * (size_x > 1 ? 2 : 1)) / 2;
}

static void fft_plane_forward(real *tile, ptrdiff_t size_y, ptrdiff_t size_x, const real *twiddles_y,
                              const real *twiddles_x) {
  for (ptrdiff_t y = 0; y < size_y; y++) fft_forward(tile + y * size_x * FFT_STEP, size_x, FFT_STEP, twiddles_x);
  for (ptrdiff_t x = 0; x < size_x; x++) fft_forward(tile + x * FFT_STEP, size_y, size_x * FFT_STEP, twiddles_y);
}

static void fft_plane_inverse(real *tile, ptrdiff_t size_y, ptrdiff_t size_x, const real *twiddles_y,
                              const real *twiddles_x) {
  for (ptrdiff_t x = 0; x < size_x; x++) fft_inverse(tile + x * FFT_STEP, size_y, size_x * FFT_STEP, twiddles_y);
  for (ptrdiff_t y = 0; y < size_y; y++) fft_inverse(tile + y * size_x * FFT_STEP, size_x, FFT_STEP, twiddles_x);
}

/* --- weights ----------------------------------------------------------------------------------------------------- */

typedef struct {
  const real *weight;
  real *packed;
  int flip;
  ptrdiff_t columns, depth, panels, column_step, depth_step, group_step, taps_y, taps_x, size_y, size_x, halves;
  const real *twiddles_y, *twiddles_x;
  const int32_t *mirror;
  void *scratch;
} fc_fft_pack;

static void fft_pack_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_fft_pack *p = context;
  const ptrdiff_t group = piece / p->panels, column = piece % p->panels * FC_PANEL, planes = p->size_y * p->size_x;
  const ptrdiff_t width = panel_width(p->columns, column), taps = p->taps_y * p->taps_x;
  const real scale = (real)(0.5 / (double)planes); /* half, for the sums of two frequencies */
  real *tile = fc_scratch_part(p->scratch, worker);
  real *to = p->packed + group * packed_group(p->columns, p->halves * 2 * p->depth) + column * p->halves * 2 * p->depth;
  for (ptrdiff_t k = 0; k < p->depth && !fc_stopping(); k += 2)
    for (ptrdiff_t v = 0; v < width; v += VL) {
      const int two = k + 1 < p->depth;
      memset(tile, 0, (size_t)(planes * FFT_STEP) * sizeof(real));
      for (ptrdiff_t tap = 0; tap < taps; tap++) {
        const ptrdiff_t y = (p->size_y - tap / p->taps_x) % p->size_y, x = (p->size_x - tap % p->taps_x) % p->size_x;
        const real *from = p->weight + group * p->group_step + k * p->depth_step + (p->flip ? taps - 1 - tap : tap);
        real *at = tile + (y * p->size_x + x) * FFT_STEP;
        for (ptrdiff_t lane = 0; lane < min_size(VL, p->columns - column - v); lane++) {
          const real *weight = from + (column + v + lane) * p->column_step;
          at[lane] = weight[0] * scale;
          if (two) at[VL + lane] = weight[p->depth_step] * scale;
        }
      }
      fft_plane_forward(tile, p->size_y, p->size_x, p->twiddles_y, p->twiddles_x);
      real *panel = to + k * width + v;
      for (ptrdiff_t f = 0; f < planes; f++)
        if (p->mirror[f] >= f) { /* the parts that are even belong to the first, those that are odd to the second */
          const fc_complex a = c_load(tile + f * FFT_STEP), b = c_load(tile + p->mirror[f] * FFT_STEP);
          v_store(panel, v_add(a.re, b.re));
          v_store(panel + p->depth * width, v_sub(b.im, a.im));
          if (two) {
            v_store(panel + width, v_add(a.im, b.im));
            v_store(panel + (p->depth + 1) * width, v_sub(a.re, b.re));
          }
          panel += 2 * p->depth * width;
        }
    }
}

/* The tile too; a size of 0: FFT cannot serve. */
static int kernel_fft_conv2d_packed_size(const fc_conv2d *c, int backward, ptrdiff_t *size, ptrdiff_t *tile_y,
                                         ptrdiff_t *tile_x) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups;
  fft_conv_tile(c, backward, tile_y, tile_x);
  const ptrdiff_t products = fft_conv_halves(*tile_y, *tile_x) * 2 * (backward ? out : in);
  *size = *tile_y == 0 ? 0 : c->groups * packed_group(backward ? in : out, products);
  return FC_OK;
}

static int kernel_fft_conv2d_pack(const fc_conv2d *c, int backward, const void *weight, void *packed) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups,
                  taps = c->window.kh * c->window.kw;
  fc_fft_pack p = {.weight = weight,
                   .packed = packed,
                   .flip = backward,
                   .columns = backward ? in : out,
                   .depth = backward ? out : in,
                   .column_step = backward ? taps : in * taps,
                   .depth_step = backward ? in * taps : taps,
                   .group_step = out * in * taps,
                   .taps_y = c->window.kh,
                   .taps_x = c->window.kw};
  fft_conv_tile(c, backward, &p.size_y, &p.size_x);
  p.panels = ceil_div(p.columns, FC_PANEL);
  p.halves = fft_conv_halves(p.size_y, p.size_x);
  const double work = (double)(c->groups * in * out) * (double)(p.size_y * p.size_x) * 20;
  int status = FC_NO_MEMORY;
  void *tables = fc_scratch_acquire(1, fft_conv_table_bytes(p.size_y, p.size_x));
  p.scratch = tables ? fc_scratch_acquire(fc_workers(), (size_t)(p.size_y * p.size_x * FFT_STEP) * sizeof(real)) : NULL;
  if (p.scratch) {
    fft_conv_tables(tables, p.size_y, p.size_x, &p.twiddles_y, &p.twiddles_x, &p.mirror);
    status = fc_parallel(c->groups * p.panels, work, fft_pack_piece, &p);
  }
  fc_scratch_release(p.scratch);
  fc_scratch_release(tables);
  return status;
}
