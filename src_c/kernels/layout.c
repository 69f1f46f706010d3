/* Any strided image batch to channels last. */

typedef struct {
  const real *x;
  ptrdiff_t stride[4];            /* of n, c, y, x, in elements */
  ptrdiff_t channels, h, w, rows; /* rows of a piece */
  real *out;
} fc_layout;

enum { LAYOUT_PIECE = 1 << 15, LAYOUT_CHANNELS = 16 };

static void layout_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_layout *p = context;
  const ptrdiff_t bands = ceil_div(p->h, p->rows), n = piece / bands, first = piece % bands * p->rows;
  const ptrdiff_t last = min_size(p->h, first + p->rows), cs = p->stride[1], xs = p->stride[3];
  for (ptrdiff_t y = first; y < last; y++) {
    const real *row = p->x + n * p->stride[0] + y * p->stride[2];
    real *out = p->out + (n * p->h + y) * p->w * p->channels;
    for (ptrdiff_t c = 0; c < p->channels; c += LAYOUT_CHANNELS) { /* so many streams are read side by side */
      const ptrdiff_t here = min_size(LAYOUT_CHANNELS, p->channels - c);
      for (ptrdiff_t x = 0; x < p->w; x++) {
        const real *from = row + c * cs + x * xs;
        real *to = out + x * p->channels + c;
        for (ptrdiff_t i = 0; i < here; i++) to[i] = from[i * cs];
      }
    }
  }
}

static int kernel_to_channels_last(const void *x, const ptrdiff_t *stride, const ptrdiff_t *shape, void *out) {
  fc_layout p = {.x = x,
                 .stride = {stride[0], stride[1], stride[2], stride[3]},
                 .channels = shape[1],
                 .h = shape[2],
                 .w = shape[3],
                 .out = out};
  const double elements = (double)shape[0] * shape[1] * shape[2] * shape[3];
  if (elements == 0) return FC_OK;
  p.rows = max_size(1, min_size(p.h, LAYOUT_PIECE / (p.w * p.channels)));
  return fc_parallel(shape[0] * ceil_div(p.h, p.rows), elements, layout_piece, &p);
}
