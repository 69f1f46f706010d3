/* Affine resampling of images.
 *
 * The images are copied into a frame of `fill`, two pixels wide, so that sampling needs no test for what lies outside.
 * Coordinates are doubles for both element types: a float's 24 bits are too few for large images. */

enum {
  WARP_FRAME = 2,
  WARP_PIECE = 1 << 12, /* elements a piece, some 10 us */
  WARP_BLOCK = 64,      /* pixels of a row whose sources are found at once */
  WARP_LANES = 16       /* found in multiples of this, so that the vector loop has no remainder */
};

typedef struct {
  fc_image in, out;
  const double *matrices;
  real fill;
  ptrdiff_t n, h, w, channels;
  real *framed; /* (n, h + 2 frames, w + 2 frames, channels) */
  ptrdiff_t framed_h, framed_row;
} warp_job;

static ptrdiff_t warp_rows_a_piece(ptrdiff_t row) { return row < WARP_PIECE ? WARP_PIECE / row : 1; }

static ptrdiff_t warp_pieces(ptrdiff_t rows, ptrdiff_t row) {
  const ptrdiff_t step = warp_rows_a_piece(row);
  return (rows + step - 1) / step;
}

static void warp_frame_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const warp_job *job = context;
  const ptrdiff_t rows = job->n * job->framed_h, step = warp_rows_a_piece(job->framed_row);
  const ptrdiff_t end = (piece + 1) * step < rows ? (piece + 1) * step : rows;
  for (ptrdiff_t row = piece * step; row < end; row++) {
    const ptrdiff_t number = row / job->framed_h, y = row % job->framed_h - WARP_FRAME;
    real *to = job->framed + row * job->framed_row;
    if (y < 0 || y >= job->h) {
      for (ptrdiff_t i = 0; i < job->framed_row; i++) to[i] = job->fill;
      continue;
    }
    const ptrdiff_t frame = WARP_FRAME * job->channels, inside = job->w * job->channels;
    const real *from = (const real *)job->in.data + number * job->in.image + y * job->in.row;
    const ptrdiff_t run = job->in.pixel == job->channels ? inside : job->channels;
    for (ptrdiff_t i = 0; i < frame; i++) to[i] = to[frame + inside + i] = job->fill;
    for (ptrdiff_t i = 0; i < inside; i += run, from += job->in.pixel)
      memcpy(to + frame + i, from, (size_t)run * sizeof(real));
  }
}

/* The last framed pixel not past a coordinate, and in `part` the way from there to the next. Beyond the frame there
 * is nothing else to see, so coordinates are held there; NaN goes there too. */
FC_INLINE int32_t warp_place(double at, double size, real *part) {
  double framed = at + WARP_FRAME;
  framed = framed > 0 ? framed : 0;
  framed = framed < size + WARP_FRAME ? framed : size + WARP_FRAME;
  const int32_t before = (int32_t)framed;
  *part = (real)(framed - before);
  return before;
}

FC_INLINE real warp_between(real a, real b, real part) { return a + (b - a) * part; }

FC_INLINE void warp_row(const warp_job *job, ptrdiff_t number, ptrdiff_t y, ptrdiff_t channels) {
  const ptrdiff_t row = job->framed_row;
  const real *image = job->framed + number * job->framed_h * row;
  real *out = (real *)job->out.data + number * job->out.image + y * job->out.row;
  const double *m = job->matrices + 6 * number;
  const double u = m[1] * (double)y + m[2], v = m[4] * (double)y + m[5];
  const double w = (double)job->w, h = (double)job->h;
  int32_t left[WARP_BLOCK], top[WARP_BLOCK];
  real x_part[WARP_BLOCK], y_part[WARP_BLOCK];

  for (ptrdiff_t x = 0; x < job->w; x += WARP_BLOCK) {
    const int count = job->w - x < WARP_BLOCK ? (int)(job->w - x) : WARP_BLOCK;
    for (int i = 0; i < (count + WARP_LANES - 1) / WARP_LANES * WARP_LANES; i++) {
      left[i] = warp_place(m[0] * ((double)x + i) + u, w, &x_part[i]);
      top[i] = warp_place(m[3] * ((double)x + i) + v, h, &y_part[i]);
    }
    for (int i = 0; i < count; i++) {
      const real *restrict p = image + top[i] * row + left[i] * channels;
      real *restrict to = out + (x + i) * job->out.pixel;
      for (ptrdiff_t c = 0; c < channels; c++) {
        const real above = warp_between(p[c], p[channels + c], x_part[i]);
        const real below = warp_between(p[row + c], p[row + channels + c], x_part[i]);
        to[c] = warp_between(above, below, y_part[i]);
      }
    }
  }
}

static void warp_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const warp_job *job = context;
  const ptrdiff_t rows = job->n * job->h, step = warp_rows_a_piece(job->w * job->channels);
  const ptrdiff_t end = (piece + 1) * step < rows ? (piece + 1) * step : rows;
  for (ptrdiff_t row = piece * step; row < end; row++) {
    if (job->channels == 1)
      warp_row(job, row / job->h, row % job->h, 1); /* compiled without the loop over channels */
    else
      warp_row(job, row / job->h, row % job->h, job->channels);
  }
}

static int kernel_affine_warp(fc_image images, const double *matrices, double fill, fc_image out, ptrdiff_t n,
                              ptrdiff_t h, ptrdiff_t w, ptrdiff_t channels) {
  warp_job job = {.in = images, .out = out, .matrices = matrices, .fill = (real)fill, .n = n, .h = h, .w = w};
  job.channels = channels;
  job.framed_h = h + 2 * WARP_FRAME;
  job.framed_row = (w + 2 * WARP_FRAME) * channels;
  job.framed = fc_scratch_acquire(1, (size_t)(n * job.framed_h * job.framed_row) * sizeof(real));
  if (job.framed == NULL) return FC_NO_MEMORY;

  /* Work in elements makes a batch of small images one thread's business: a loader warps it in the background, where
   * it must not take the pool from the network. */
  const double work = (double)(n * h * w * channels);
  int status = fc_parallel(warp_pieces(n * job.framed_h, job.framed_row), work, warp_frame_piece, &job);
  if (status == FC_OK) status = fc_parallel(warp_pieces(n * h, w * channels), work, warp_piece, &job);
  fc_scratch_release(job.framed);
  return status;
}
