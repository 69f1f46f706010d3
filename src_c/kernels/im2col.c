/* Explicit im2col and col2im: a convolution's taps as the rows of a matrix, whose product with the packed weights is
 * the 1x1 convolution. It costs kh * kw times the input's memory; the direct product needs none of it. */

typedef struct {
  const fc_window *window;
  fc_image x;
  const real *from;
  real *columns;
} fc_columns;

/* One row of output pixels. */
static void im2col_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_columns *p = context;
  const fc_window *w = p->window;
  const ptrdiff_t image = piece / w->out_h, y = piece % w->out_h;
  const size_t pixel_bytes = (size_t)w->channels * sizeof(real);
  real *to = p->columns + piece * w->out_w * w->kh * w->kw * w->channels;
  for (ptrdiff_t x = 0; x < w->out_w; x++)
    for (ptrdiff_t ky = 0; ky < w->kh; ky++) {
      const ptrdiff_t row = y * w->stride_y - w->pad_y + ky * w->dilation_y;
      for (ptrdiff_t kx = 0; kx < w->kw; kx++, to += w->channels) {
        const ptrdiff_t column = x * w->stride_x - w->pad_x + kx * w->dilation_x;
        if (row < 0 || row >= w->h || column < 0 || column >= w->w)
          memset(to, 0, pixel_bytes);
        else
          memcpy(to, (const real *)p->x.data + image * p->x.image + row * p->x.row + column * p->x.pixel, pixel_bytes);
      }
    }
}

static int kernel_im2col(const fc_window *w, fc_image x, void *columns) {
  fc_columns p = {.window = w, .x = x, .columns = columns};
  return fc_parallel(w->batch * w->out_h, (double)w->batch * w->out_h * w->out_w * w->kh * w->kw * w->channels,
                     im2col_piece, &p);
}

FC_INLINE void add_run(real *to, const real *from, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t here = min_size(VL, n - i);
    v_store_n(to + i, v_add(v_load_n(to + i, here), v_load_n(from + i, here)), here);
  }
}

/* One image: the pixels of a column overlap their neighbours', so the order of the sum is the order of this loop. */
static void col2im_piece(void *context, ptrdiff_t image, int worker) {
  (void)worker;
  const fc_columns *p = context;
  const fc_window *w = p->window;
  real *x = (real *)p->x.data + image * p->x.image;
  for (ptrdiff_t y = 0; y < w->h; y++)
    for (ptrdiff_t column = 0; column < w->w; column++)
      memset(x + y * p->x.row + column * p->x.pixel, 0, (size_t)w->channels * sizeof(real));
  const real *from = p->from + image * w->out_h * w->out_w * w->kh * w->kw * w->channels;
  const int merged = w->dilation_x == 1 && p->x.pixel == w->channels;
  for (ptrdiff_t y = 0; y < w->out_h; y++)
    for (ptrdiff_t xo = 0; xo < w->out_w; xo++)
      for (ptrdiff_t ky = 0; ky < w->kh; ky++, from += w->kw * w->channels) {
        const ptrdiff_t row = y * w->stride_y - w->pad_y + ky * w->dilation_y, left = xo * w->stride_x - w->pad_x;
        if (row < 0 || row >= w->h) continue;
        if (merged) {
          const ptrdiff_t begin = max_size(0, -left), end = min_size(w->kw, w->w - left);
          if (end > begin)
            add_run(x + row * p->x.row + (left + begin) * p->x.pixel, from + begin * w->channels,
                    (end - begin) * w->channels);
          continue;
        }
        for (ptrdiff_t kx = 0; kx < w->kw; kx++) {
          const ptrdiff_t column = left + kx * w->dilation_x;
          if (column >= 0 && column < w->w)
            add_run(x + row * p->x.row + column * p->x.pixel, from + kx * w->channels, w->channels);
        }
      }
}

static int kernel_col2im(const fc_window *w, const void *columns, fc_image x) {
  fc_columns p = {.window = w, .x = x, .from = columns};
  return fc_parallel(w->batch, (double)w->batch * w->out_h * w->out_w * w->kh * w->kw * w->channels, col2im_piece, &p);
}
