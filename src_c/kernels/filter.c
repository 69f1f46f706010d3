/* Direct filtering of single planes: vectors along a row, a block of rows at a time, taps broadcast.
 *
 * An input vector serves all rows of a block, each with the tap that falls on it there, so that most loads are shared.
 * Rows outside the plane are pointers to the row that the boundary puts there. Where taps leave a row, and where
 * the outputs of a row are not neighbours in the input (stride_x), a stretch of the rows is first copied; a copy
 * has the columns in stride_x runs, one for each residue, so that neighbours are neighbours there. */

enum {
  FILTER_ROWS = 4,
  FILTER_VECTORS = FC_MR >= 8 ? 4 : 2, /* with FILTER_ROWS as many accumulators as leave registers for the rest */
  FILTER_COPY = 256,                   /* outputs of a row that share a copy, */
  FILTER_BAND = 64,                    /* rows of outputs worked on at a time, */
  FILTER_BYTES = 4 << 20               /* less of both where their copies would exceed this */
};

typedef struct {
  fc_window window;
  fc_boundary boundary;
  fc_image in, out;
  const real *weight;
  ptrdiff_t left, right; /* outputs left <= x < right have all their taps inside the row */
  ptrdiff_t rows, bands; /* of outputs a piece; pieces of a plane */
  ptrdiff_t band, copy;
  int gather_y, gather_x;  /* the rows, or columns, of every tap are copied, not all from the first to the last */
  ptrdiff_t copies;        /* rows that a band has at most */
  ptrdiff_t run, copy_row; /* elements from one residue or tap to the next, and from one row of a copy to the next */
  ptrdiff_t *offset;       /* of every tap of a row */
  real *outside;           /* a row of the boundary's value */
  size_t copy_at;          /* where the copy begins in a worker's scratch memory, after the row pointers */
  void *scratch;
} fc_filter;

/* Where element i of an axis of n comes from; -1: from outside. */
FC_INLINE ptrdiff_t boundary_index(int kind, ptrdiff_t i, ptrdiff_t n) {
  if (i >= 0 && i < n) return i;
  if (kind == FC_FILL) return -1;
  const ptrdiff_t period = kind == FC_WRAP ? n : 2 * n, at = (i % period + period) % period;
  return at < n ? at : 2 * n - 1 - at;
}

/* Copies elements first .. first + count of a row, of which n exist. */
static void boundary_copy(const fc_boundary *boundary, const real *row, ptrdiff_t n, ptrdiff_t first, ptrdiff_t count,
                          real *to) {
  const ptrdiff_t begin = min_size(count, max_size(0, -first)), end = max_size(begin, min_size(count, n - first));
  for (ptrdiff_t i = 0; i < count; i++) {
    if (i == begin && end > begin) {
      memcpy(to + begin, row + first + begin, (size_t)(end - begin) * sizeof(real));
      i = end - 1;
      continue;
    }
    const ptrdiff_t at = boundary_index(boundary->kind, first + i, n);
    to[i] = at < 0 ? (real)boundary->fill : row[at];
  }
}

/* Adds the taps of one input row to the sums of the rows first .. last - 1 of a block. `weight` is the row of taps that
 * falls on the block's row 0. */
FC_INLINE void filter_row(const int first, const int last, const int vectors, vec sum[FILTER_ROWS][FILTER_VECTORS],
                          const real *row, const real *weight, const fc_filter *f, ptrdiff_t n) {
  const ptrdiff_t kw = f->window.kw;
  const ptrdiff_t *offset = f->offset;
  for (ptrdiff_t tap = 0; tap < kw; tap++) {
    const real *from = row + offset[tap];
    vec x[FILTER_VECTORS];
    FC_UNROLL(4)
    for (int v = 0; v < vectors; v++) x[v] = vectors > 1 ? v_load(from + v * VL) : v_load_n(from, n);
    FC_UNROLL(4)
    for (int r = first; r < last; r++) {
      const vec w = v_set1(weight[tap - r * kw]);
      FC_UNROLL(4)
      for (int v = 0; v < vectors; v++) sum[r][v] = v_fma(w, x[v], sum[r][v]);
    }
  }
}

/* `rows` rows of outputs, each `step` input rows after the last, and `vectors` vectors or, where that is one, its first
 * n elements. row[0] is the input row of the first tap of the first. */
FC_INLINE void filter_block(const int rows, const int vectors, const fc_filter *f, const real *const *row,
                            ptrdiff_t step, ptrdiff_t x, ptrdiff_t n, real *out, ptrdiff_t out_step) {
  const ptrdiff_t kh = f->window.kh, kw = f->window.kw;
  vec sum[FILTER_ROWS][FILTER_VECTORS];
  FC_UNROLL(4)
  for (int r = 0; r < rows; r++) {
    FC_UNROLL(4)
    for (int v = 0; v < vectors; v++) sum[r][v] = v_zero();
  }
  FC_UNROLL(4)
  for (int i = 0; i < rows - 1; i++) filter_row(0, i + 1, vectors, sum, row[i * step] + x, f->weight + i * kw, f, n);
  for (ptrdiff_t i = rows - 1; i < kh; i++)
    filter_row(0, rows, vectors, sum, row[i * step] + x, f->weight + i * kw, f, n);
  FC_UNROLL(4)
  for (int i = 0; i < rows - 1; i++)
    filter_row(i + 1, rows, vectors, sum, row[(kh + i) * step] + x, f->weight + (kh + i) * kw, f, n);
  FC_UNROLL(4)
  for (int r = 0; r < rows; r++) {
    FC_UNROLL(4)
    for (int v = 0; v < vectors; v++)
      if (vectors > 1)
        v_store(out + r * out_step + v * VL, sum[r][v]);
      else
        v_store_n(out + r * out_step, sum[r][v], n);
  }
}

FC_INLINE void filter_rows(const int rows, const fc_filter *f, const real *const *row, ptrdiff_t step,
                           ptrdiff_t columns, real *out, ptrdiff_t out_step) {
  ptrdiff_t x = 0;
  for (; x + FILTER_VECTORS * VL <= columns; x += FILTER_VECTORS * VL)
    filter_block(rows, FILTER_VECTORS, f, row, step, x, VL, out + x, out_step);
  for (; x < columns; x += VL) filter_block(rows, 1, f, row, step, x, min_size(VL, columns - x), out + x, out_step);
}

/* Lays out a copy of one input row for `columns` outputs from the one whose first tap is at `from`. */
static void filter_copy(const fc_filter *f, const real *row, ptrdiff_t from, ptrdiff_t columns, real *to, real *line) {
  const fc_window *w = &f->window;
  const ptrdiff_t taps = f->gather_x ? w->kw : 1, residues = f->gather_x ? 1 : w->stride_x;
  const ptrdiff_t span = extent(columns, w->stride_x, f->gather_x ? 1 : w->kw, w->dilation_x);
  for (ptrdiff_t tap = 0; tap < taps; tap++, to += f->run) {
    boundary_copy(&f->boundary, row, w->w, from + tap * w->dilation_x, span, w->stride_x == 1 ? to : line);
    for (ptrdiff_t residue = 0; residue < residues && w->stride_x > 1; residue++)
      for (ptrdiff_t j = residue, at = residue * f->run; j < span; j += w->stride_x) to[at++] = line[j];
  }
}

/* Points row[i] at an input row, or at what the boundary has there, so that output x's first tap is row[i][0]. */
static void filter_open(const fc_filter *f, const real *plane, const real **row, real *copy, ptrdiff_t first,
                        ptrdiff_t rows, ptrdiff_t x, ptrdiff_t columns, int direct) {
  const fc_window *w = &f->window;
  const ptrdiff_t from = x * w->stride_x - w->pad_x;
  const ptrdiff_t count = f->gather_y ? w->kh * f->band : extent(rows, w->stride_y, w->kh, w->dilation_y);
  for (ptrdiff_t i = 0; i < count; i++) {
    if (f->gather_y && i % f->band >= rows) continue;
    const ptrdiff_t at = f->gather_y ? i % f->band * w->stride_y + i / f->band * w->dilation_y : i;
    const ptrdiff_t y = boundary_index(f->boundary.kind, first + at, w->h);
    row[i] = y < 0 ? f->outside : direct ? plane + y * f->in.row + from : copy + i * f->copy_row;
    if (!direct && y >= 0)
      filter_copy(f, plane + y * f->in.row, from, columns, copy + i * f->copy_row, copy + f->copies * f->copy_row);
  }
}

/* Outputs y0 .. y1, x0 .. x1 of a plane, at most f->band rows of them. */
static void filter_band(const fc_filter *f, ptrdiff_t plane, ptrdiff_t y0, ptrdiff_t y1, ptrdiff_t x0, ptrdiff_t x1,
                        char *scratch) {
  const fc_window *w = &f->window;
  const real *in = (const real *)f->in.data + plane * f->in.image;
  const real **row = (const real **)scratch;
  real *out = (real *)f->out.data + plane * f->out.image;
  const ptrdiff_t d = w->dilation_y, block = FILTER_ROWS * d, step = f->gather_y ? f->band : d;
  const int shared = w->stride_y == 1 && w->kh >= FILTER_ROWS - 1; /* rows d apart have input rows in common */
  for (ptrdiff_t x = x0, end; x < x1 && !fc_stopping(); x = end) {
    const int direct = x >= f->left && x < f->right;
    end = min_size(x1, direct ? f->right : x < f->left ? min_size(f->left, x + f->copy) : x + f->copy);
    filter_open(f, in, row, (real *)(scratch + f->copy_at), y0 * w->stride_y - w->pad_y, y1 - y0, x, end - x, direct);
    for (ptrdiff_t y = y0; y < y1 && !fc_stopping();) {
      const real *const *first = (const real *const *)row + (y - y0) * (f->gather_y ? 1 : w->stride_y);
      real *to = out + y * f->out.row + x;
      if (shared && y + block <= y1) { /* d blocks, interleaved */
        for (ptrdiff_t i = 0; i < d; i++)
          filter_rows(FILTER_ROWS, f, first + i, d, end - x, to + i * f->out.row, d * f->out.row);
        y += block;
      } else {
        filter_rows(1, f, first, step, end - x, to, 0);
        y++;
      }
    }
  }
}

static void filter_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_filter *f = context;
  const ptrdiff_t begin = piece % f->bands * f->rows, end = min_size(f->window.out_h, begin + f->rows);
  for (ptrdiff_t y = begin; y < end; y += f->band)
    filter_band(f, piece / f->bands, y, min_size(end, y + f->band), 0, f->window.out_w,
                fc_scratch_part(f->scratch, worker));
}

/* Cuts bands and copies; returns the bytes of scratch memory for a worker. */
static size_t filter_plan(fc_filter *f) {
  const fc_window *w = &f->window;
  size_t bytes;
  f->band = min_size(FILTER_BAND, w->out_h);
  f->copy = FILTER_COPY;
  for (;;) {
    const ptrdiff_t rows = extent(f->band, w->stride_y, w->kh, w->dilation_y);
    const ptrdiff_t columns = extent(f->copy, w->stride_x, w->kw, w->dilation_x);
    f->gather_y = f->band * w->kh < rows;
    f->gather_x = f->copy * w->kw < columns;
    f->copies = f->gather_y ? f->band * w->kh : rows;
    f->run = f->gather_x ? f->copy : ceil_div(columns, w->stride_x);
    const ptrdiff_t line = extent(f->copy, w->stride_x, 1, 1);
    f->copy_row = f->run * (f->gather_x ? w->kw : w->stride_x);
    f->copy_row = (ceil_div(max_size(f->copy_row, line) + VL, VL) | 1) * VL;
    f->copy_at = round64((size_t)f->copies * sizeof(real *));
    bytes = f->copy_at + (size_t)((f->copies + 1) * f->copy_row) * sizeof(real);
    if (bytes <= FILTER_BYTES || (f->band <= FILTER_ROWS && f->copy <= VL)) break;
    if (f->band > FILTER_ROWS)
      f->band = (f->band + 1) / 2;
    else
      f->copy = (f->copy + 1) / 2;
  }
  if (w->stride_x == 1 && !f->gather_x) {
    f->left = min_size(w->out_w, max_size(0, w->pad_x));
    f->right = max_size(f->left, min_size(w->out_w, w->w + w->pad_x - (w->kw - 1) * w->dilation_x));
  }
  return bytes;
}

/* What all workers read. */
static size_t filter_shared_bytes(const fc_filter *f) {
  return (size_t)f->window.kw * sizeof(ptrdiff_t) + (size_t)max_size(f->window.w, f->copy_row) * sizeof(real);
}

static void filter_share(fc_filter *f, void *memory) {
  const fc_window *w = &f->window;
  f->offset = memory;
  f->outside = (real *)(f->offset + w->kw);
  for (ptrdiff_t tap = 0; tap < w->kw; tap++) {
    const ptrdiff_t at = tap * w->dilation_x;
    f->offset[tap] = f->gather_x ? tap * f->run : at % w->stride_x * f->run + at / w->stride_x;
  }
  for (ptrdiff_t i = 0; i < max_size(w->w, f->copy_row); i++) f->outside[i] = (real)f->boundary.fill;
}

static int kernel_filter2d(const fc_window *window, const fc_boundary *boundary, fc_image x, const void *weight,
                           fc_image out) {
  fc_filter f = {.window = *window, .boundary = *boundary, .in = x, .out = out, .weight = weight};
  if (window->batch == 0) return FC_OK;
  const double work = (double)window->batch * window->out_h * window->out_w * window->kh * (double)window->kw;
  const ptrdiff_t unit = FILTER_ROWS * window->dilation_y;
  f.bands = min_size(ceil_div(pieces_for(work), window->batch), window->out_h);
  f.rows = min_size(window->out_h, ceil_div(ceil_div(window->out_h, f.bands), unit) * unit);
  f.bands = ceil_div(window->out_h, f.rows);
  const size_t bytes = filter_plan(&f);
  int status = FC_NO_MEMORY;
  void *shared = fc_scratch_acquire(1, filter_shared_bytes(&f));
  if (shared) {
    filter_share(&f, shared);
    f.scratch = fc_scratch_acquire(fc_workers(), bytes);
    if (f.scratch) status = fc_parallel(window->batch * f.bands, work, filter_piece, &f);
    fc_scratch_release(f.scratch);
  }
  fc_scratch_release(shared);
  return status;
}
