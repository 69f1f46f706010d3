/* Channels copied from one image batch to another: side by side into a slice of wider pixels, in another order, or
 * those of two batches in turn; and the sum or product of two batches, maybe slices as well. */

typedef struct {
  fc_image x, y, out;
  ptrdiff_t h, w, channels, total, rows; /* rows of all images, of a piece */
  const int64_t *order;                  /* NULL: as they are */
} channels_job;

enum { CHANNELS_PIECE = 1 << 15 }; /* elements of a piece, about */

static void channels_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const channels_job *job = context;
  const ptrdiff_t channels = job->channels, last = min_size(job->total, (piece + 1) * job->rows);
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t n = row / job->h, y = row % job->h;
    const real *x = (const real *)job->x.data + n * job->x.image + y * job->x.row;
    real *out = (real *)job->out.data + n * job->out.image + y * job->out.row;
    for (ptrdiff_t i = 0; i < job->w; i++, x += job->x.pixel, out += job->out.pixel) {
      if (job->order) {
        for (ptrdiff_t c = 0; c < channels; c++) out[c] = x[job->order[c]];
        continue;
      }
      ptrdiff_t c = 0; /* whole vectors: a call of memcpy for every pixel takes longer than most pixels */
      for (; c + VL <= channels; c += VL) v_store(out + c, v_load(x + c));
      if (c < channels) v_store_n(out + c, v_load_n(x + c, channels - c), channels - c);
    }
  }
}

static int run_channels(channels_job *job, fc_piece run) {
  const double work = (double)job->w * (double)job->channels; /* of a row */
  if (work == 0 || job->total == 0) return FC_OK;
  job->rows = work < CHANNELS_PIECE ? (ptrdiff_t)(CHANNELS_PIECE / work) : 1;
  return fc_parallel(ceil_div(job->total, job->rows), work * (double)job->total, run, job);
}

static int kernel_copy_channels(fc_image x, fc_image out, const int64_t *order, ptrdiff_t batch, ptrdiff_t h,
                                ptrdiff_t w, ptrdiff_t channels) {
  channels_job job = {.x = x, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h, .order = order};
  return run_channels(&job, channels_piece);
}

/* The channels of x and y in turn. */
static void interleave_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const channels_job *job = context;
  const ptrdiff_t channels = job->channels, last = min_size(job->total, (piece + 1) * job->rows);
  uint8_t index[2][VL];
  for (int lane = 0; lane < 2 * VL; lane++) index[lane / VL][lane % VL] = (uint8_t)(lane / 2 + lane % 2 * VL);
  const permutation low = v_permutation(index[0]), high = v_permutation(index[1]);
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t n = row / job->h, line = row % job->h;
    const real *x = (const real *)job->x.data + n * job->x.image + line * job->x.row;
    const real *y = (const real *)job->y.data + n * job->y.image + line * job->y.row;
    real *out = (real *)job->out.data + n * job->out.image + line * job->out.row;
    for (ptrdiff_t i = 0; i < job->w; i++, x += job->x.pixel, y += job->y.pixel, out += job->out.pixel)
      for (ptrdiff_t c = 0; c < channels; c += VL) {
        const ptrdiff_t lanes = min_size(VL, channels - c);
        const vec a = v_load_n(x + c, lanes), b = v_load_n(y + c, lanes);
        v_store_n(out + 2 * c, v_permute(a, b, low), min_size(VL, 2 * lanes));
        if (2 * lanes > VL) v_store_n(out + 2 * c + VL, v_permute(a, b, high), 2 * lanes - VL);
      }
  }
}

static int kernel_interleave(fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,
                             ptrdiff_t channels) {
  channels_job job = {.x = x, .y = y, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h};
  return run_channels(&job, interleave_piece);
}

FC_INLINE void combine_piece(const int product, const channels_job *job, ptrdiff_t piece) {
  const ptrdiff_t channels = job->channels, last = min_size(job->total, (piece + 1) * job->rows);
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t n = row / job->h, line = row % job->h;
    const real *x = (const real *)job->x.data + n * job->x.image + line * job->x.row;
    const real *y = (const real *)job->y.data + n * job->y.image + line * job->y.row;
    real *out = (real *)job->out.data + n * job->out.image + line * job->out.row;
    for (ptrdiff_t i = 0; i < job->w; i++, x += job->x.pixel, y += job->y.pixel, out += job->out.pixel)
      for (ptrdiff_t c = 0; c < channels; c += VL) {
        const ptrdiff_t lanes = min_size(VL, channels - c);
        v_ahead(x + c);
        v_ahead(y + c);
        v_ahead_store(out + c);
        const vec a = v_load_n(x + c, lanes), b = v_load_n(y + c, lanes);
        v_store_n(out + c, product ? v_mul(a, b) : v_add(a, b), lanes);
      }
  }
}

static void images_sum_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  combine_piece(0, context, piece);
}

static void images_product_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  combine_piece(1, context, piece);
}

static int kernel_combine(int product, fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,
                          ptrdiff_t channels) {
  channels_job job = {.x = x, .y = y, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h};
  return run_channels(&job, product ? images_product_piece : images_sum_piece);
}
