/* Channels copied from one image batch to another: side by side into a slice of wider pixels, in another order, or
 * those of two batches in turn; the sum or product of two batches, maybe slices as well; and the sums of channels. */

typedef enum { CHANNELS_COPY, CHANNELS_ORDER, CHANNELS_INTERLEAVE, CHANNELS_ADD, CHANNELS_MULTIPLY } channels_kind;

typedef struct {
  fc_image x, y, out;                    /* y is not read where one batch is copied */
  ptrdiff_t h, w, channels, total, rows; /* rows of all images, of a piece */
  const int64_t *order;
} channels_job;

enum { CHANNELS_PIECE = 1 << 15 }; /* elements of a piece, about */

/* How the channels of two pixels take turns in two vectors. */
typedef struct {
  permutation low, high;
} channels_turns;

static channels_turns channels_take_turns(void) {
  uint8_t index[2][VL];
  for (int lane = 0; lane < 2 * VL; lane++) index[lane / VL][lane % VL] = (uint8_t)(lane / 2 + lane % 2 * VL);
  return (channels_turns){v_permutation(index[0]), v_permutation(index[1])};
}

/* n channels from c on of a pixel. */
FC_INLINE void channels_vector(const channels_kind kind, const channels_turns *turns, const real *x, const real *y,
                               real *out, ptrdiff_t c, ptrdiff_t n) {
  if (kind == CHANNELS_COPY) {
    v_store_n(out + c, v_load_n(x + c, n), n);
    return;
  }
  if (kind != CHANNELS_INTERLEAVE) {
    v_ahead(x + c);
    v_ahead(y + c);
    v_ahead_store(out + c);
  }
  const vec a = v_load_n(x + c, n), b = v_load_n(y + c, n);
  if (kind != CHANNELS_INTERLEAVE) {
    v_store_n(out + c, kind == CHANNELS_ADD ? v_add(a, b) : v_mul(a, b), n);
    return;
  }
  v_store_n(out + 2 * c, v_permute(a, b, turns->low), min_size(VL, 2 * n));
  if (2 * n > VL) v_store_n(out + 2 * c + VL, v_permute(a, b, turns->high), 2 * n - VL);
}

/* Whole vectors first: a call of memcpy for every pixel takes longer than most pixels. */
FC_INLINE void channels_pixel(const channels_kind kind, const channels_job *job, const channels_turns *turns,
                              const real *x, const real *y, real *out) {
  const ptrdiff_t channels = job->channels;
  ptrdiff_t c = 0;
  if (kind == CHANNELS_ORDER) {
    for (; c < channels; c++) out[c] = x[job->order[c]];
    return;
  }
  for (; c + VL <= channels; c += VL) channels_vector(kind, turns, x, y, out, c, VL);
  if (c < channels) channels_vector(kind, turns, x, y, out, c, channels - c);
}

FC_INLINE void channels_piece(const channels_kind kind, const channels_job *job, ptrdiff_t piece) {
  const ptrdiff_t last = min_size(job->total, (piece + 1) * job->rows);
  const channels_turns turns = channels_take_turns();
  for (ptrdiff_t row = piece * job->rows; row < last; row++) {
    const ptrdiff_t n = row / job->h, line = row % job->h;
    const real *x = (const real *)job->x.data + n * job->x.image + line * job->x.row;
    const real *y = (const real *)job->y.data + n * job->y.image + line * job->y.row;
    real *out = (real *)job->out.data + n * job->out.image + line * job->out.row;
    for (ptrdiff_t i = 0; i < job->w; i++, x += job->x.pixel, y += job->y.pixel, out += job->out.pixel)
      channels_pixel(kind, job, &turns, x, y, out);
  }
}

static void channels_copy_piece(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  channels_piece(CHANNELS_COPY, job, piece);
}

static void channels_order_piece(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  channels_piece(CHANNELS_ORDER, job, piece);
}

static void channels_interleave_piece(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  channels_piece(CHANNELS_INTERLEAVE, job, piece);
}

static void channels_add_piece(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  channels_piece(CHANNELS_ADD, job, piece);
}

static void channels_multiply_piece(void *job, ptrdiff_t piece, int worker) {
  (void)worker;
  channels_piece(CHANNELS_MULTIPLY, job, piece);
}

static int run_channels(channels_job *job, fc_piece run) {
  const double work = (double)job->w * (double)job->channels; /* of a row */
  if (work == 0 || job->total == 0) return FC_OK;
  job->rows = work < CHANNELS_PIECE ? (ptrdiff_t)(CHANNELS_PIECE / work) : 1;
  return fc_parallel(ceil_div(job->total, job->rows), work * (double)job->total, run, job);
}

static int kernel_copy_channels(fc_image x, fc_image out, const int64_t *order, ptrdiff_t batch, ptrdiff_t h,
                                ptrdiff_t w, ptrdiff_t channels) {
  channels_job job = {.x = x, .y = x, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h};
  job.order = order;
  return run_channels(&job, order ? channels_order_piece : channels_copy_piece);
}

/* The channels of x and y in turn. */
static int kernel_interleave(fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,
                             ptrdiff_t channels) {
  channels_job job = {.x = x, .y = y, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h};
  return run_channels(&job, channels_interleave_piece);
}

static int kernel_combine(int product, fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,
                          ptrdiff_t channels) {
  channels_job job = {.x = x, .y = y, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h};
  return run_channels(&job, product ? channels_multiply_piece : channels_add_piece);
}

/* --- sums over images and pixels: the gradient of a bias ---------------------------------------------------------- */

enum { BIAS_CHUNKS = 16 };

typedef struct {
  fc_image grad;
  ptrdiff_t batch, h, w, channels, rows, chunks;
  real *sums; /* [chunk][channel] */
} fc_bias_job;

static void bias_piece(void *context, ptrdiff_t chunk, int worker) {
  (void)worker;
  const fc_bias_job *job = context;
  const ptrdiff_t first = job->rows * chunk / job->chunks, last = job->rows * (chunk + 1) / job->chunks;
  for (ptrdiff_t c = 0; c < job->channels; c += VL) {
    const ptrdiff_t n = min_size(VL, job->channels - c);
    vec sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    for (ptrdiff_t row = first; row < last; row++) {
      const real *pixel =
          (const real *)job->grad.data + row / job->h * job->grad.image + row % job->h * job->grad.row + c;
      ptrdiff_t x = 0;
      for (; x + 4 <= job->w; x += 4, pixel += 4 * job->grad.pixel)
        for (int i = 0; i < 4; i++) sum[i] = v_add(sum[i], v_load_n(pixel + i * job->grad.pixel, n));
      for (; x < job->w; x++, pixel += job->grad.pixel) sum[0] = v_add(sum[0], v_load_n(pixel, n));
    }
    v_store_n(job->sums + chunk * job->channels + c, v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])), n);
  }
}

/* Sums over images and pixels, in a fixed number of chunks that are added in order. */
static int kernel_channel_sum(const fc_window *w, fc_image grad, void *sums) {
  fc_bias_job job = {.grad = grad,
                     .batch = w->batch,
                     .h = w->out_h,
                     .w = w->out_w,
                     .channels = w->channels,
                     .rows = w->batch * w->out_h,
                     .chunks = BIAS_CHUNKS};
  real *total = sums;
  job.sums = fc_scratch_acquire(1, (size_t)(BIAS_CHUNKS * job.channels) * sizeof(real));
  if (!job.sums) return FC_NO_MEMORY;
  const int status = fc_parallel(job.chunks, (double)job.rows * job.w * job.channels, bias_piece, &job);
  for (ptrdiff_t c = 0; status == FC_OK && c < job.channels; c++) {
    real sum = 0;
    for (ptrdiff_t chunk = 0; chunk < job.chunks; chunk++) sum += job.sums[chunk * job.channels + c];
    total[c] = sum;
  }
  fc_scratch_release(job.sums);
  return status;
}
