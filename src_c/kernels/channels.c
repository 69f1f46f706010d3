/* Channels copied from one image batch to another: side by side into a slice of wider pixels, or in another order. */

typedef struct {
  fc_image x, out;
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

static int kernel_copy_channels(fc_image x, fc_image out, const int64_t *order, ptrdiff_t batch, ptrdiff_t h,
                                ptrdiff_t w, ptrdiff_t channels) {
  channels_job job = {.x = x, .out = out, .h = h, .w = w, .channels = channels, .total = batch * h, .order = order};
  const double work = (double)w * (double)channels; /* of a row */
  if (work == 0 || job.total == 0) return FC_OK;
  job.rows = work < CHANNELS_PIECE ? (ptrdiff_t)(CHANNELS_PIECE / work) : 1;
  return fc_parallel(ceil_div(job.total, job.rows), work * (double)job.total, channels_piece, &job);
}
