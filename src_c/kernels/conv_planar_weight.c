/* The weights' gradient of a convolution to few output channels: pixels of a row lie along the lanes of both arrays.
 *
 * A weight's gradient is a product over all pixels of a plane of the output's gradient with a plane of the input. A
 * tile is some output channels by some taps, a vector of sums each, which stay in registers over a band of rows; the
 * lanes are added at the end. Lanes beyond a row hold zeros in both, so that no Inf of a pixel beyond is multiplied. */

enum {
  PLANAR_TILE_OUTPUTS = 3,
  PLANAR_TILE_TAPS = 6,
  PLANAR_NEAR = 96 << 10 /* bytes of a band's planes of both */
};

typedef struct {
  fc_planes planes;
  const ptrdiff_t *offset;
  ptrdiff_t taps, outputs, rows, bands, chunks; /* taps of a range, output rows of a band, bands of an image */
  ptrdiff_t grad_row;                           /* elements of a row of the planes of the output's gradient */
  fc_image grad;
  fc_shuffles shuffles;
  real *sums; /* [chunk][output][tap of all ranges] */
  void *scratch;
} fc_planar_weight;

/* Lays out a row of the output's gradient: [output channel][vectors], zeros beyond its pixels. */
FC_INLINE void planar_gradient(const int outputs, const fc_planar_weight *job, real *to, const real *from) {
  const fc_planes *p = &job->planes;
  const ptrdiff_t each = VL / woven(outputs) * outputs, pitch = p->vectors * VL;
  for (ptrdiff_t x = 0; x < p->source.out_w; x += VL) {
    const ptrdiff_t pixels = min_size(VL, p->source.out_w - x), n = pixels * outputs;
    const real *pixel = from + x * job->grad.pixel;
    real together[(PLANAR_WOVEN + 1) * VL];
    if (job->grad.pixel != outputs) {
      for (ptrdiff_t i = 0; i < pixels; i++)
        v_store(together + i * outputs, v_load_n(pixel + i * job->grad.pixel, outputs));
      pixel = together;
    }
    vec row[PLANAR_WOVEN];
    FC_UNROLL(8)
    for (int i = 0; i < woven(outputs); i++)
      row[i] = v_load_n(pixel + i * each, max_size(0, min_size(each, n - i * each)));
    unweave_pixels(&job->shuffles, outputs, row);
    FC_UNROLL(8)
    for (int o = 0; o < outputs; o++) v_store(to + o * pitch + x, row[o]);
  }
}

FC_INLINE void planar_step(const int outputs, const int taps, const real *const *x, const real *grad, ptrdiff_t pitch,
                           ptrdiff_t at, ptrdiff_t n, vec sum[][PLANAR_TILE_OUTPUTS]) {
  vec g[PLANAR_TILE_OUTPUTS], value[PLANAR_TILE_TAPS];
  FC_UNROLL(4)
  for (int o = 0; o < outputs; o++) g[o] = v_load(grad + o * pitch);
  FC_UNROLL(8)
  for (int t = 0; t < taps; t++) value[t] = v_held(v_load_n(x[t] + at, n));
  FC_UNROLL(8)
  for (int t = 0; t < taps; t++) FC_UNROLL(4)
  for (int o = 0; o < outputs; o++) sum[t][o] = v_fma(value[t], g[o], sum[t][o]);
}

/* The products of a tile over a band, added to `sum`: [tap][output] of vectors. */
FC_INLINE void planar_tile(const int outputs, const int taps, const fc_planar_weight *job, const real *grad,
                           const real *in, const ptrdiff_t *offset, ptrdiff_t rows, real *sums) {
  const fc_planes *p = &job->planes;
  const ptrdiff_t pitch = p->vectors * VL, whole = p->source.out_w / VL * VL, tail = p->source.out_w - whole;
  const ptrdiff_t next_row = p->source.stride_y * p->row, next_sums = job->outputs * VL;
  const real *x[PLANAR_TILE_TAPS];
  vec sum[PLANAR_TILE_TAPS][PLANAR_TILE_OUTPUTS];
  FC_UNROLL(8)
  for (int t = 0; t < taps; t++) {
    x[t] = in + offset[t];
    FC_UNROLL(4)
    for (int o = 0; o < outputs; o++) sum[t][o] = v_load(sums + t * next_sums + o * VL);
  }
  for (ptrdiff_t y = 0; y < rows; y++, grad += job->grad_row) {
    for (ptrdiff_t at = 0; at < whole; at += VL) planar_step(outputs, taps, x, grad + at, pitch, at, VL, sum);
    if (tail) planar_step(outputs, taps, x, grad + whole, pitch, whole, tail, sum);
    FC_UNROLL(8)
    for (int t = 0; t < taps; t++) x[t] += next_row;
  }
  FC_UNROLL(8)
  for (int t = 0; t < taps; t++) FC_UNROLL(4)
  for (int o = 0; o < outputs; o++) v_store(sums + t * next_sums + o * VL, sum[t][o]);
}

typedef void (*fc_planar_tile)(const fc_planar_weight *, const real *grad, const real *in, const ptrdiff_t *offset,
                               ptrdiff_t rows, real *sums);
#define FC_PLANAR_TILE(taps, outputs)                                                                                 \
  static __attribute__((noinline)) void planar_tile_##taps##x##outputs(const fc_planar_weight *job, const real *grad, \
                                                                       const real *in, const ptrdiff_t *offset,       \
                                                                       ptrdiff_t rows, real *sums) {                  \
    if (PLANAR_MOST > 0) /* else never called */                                                                      \
      planar_tile(outputs, taps, job, grad, in, offset, rows, sums);                                                  \
  }
#define FC_PLANAR_TILE_NAME(taps, outputs) [outputs][taps] = planar_tile_##taps##x##outputs,
#define FC_PLANAR_TILES(X) FC_ROWS_6(X, 1) FC_ROWS_6(X, 2) FC_ROWS_6(X, 3)
FC_PLANAR_TILES(FC_PLANAR_TILE)
static const fc_planar_tile planar_tiles[PLANAR_TILE_OUTPUTS + 1][PLANAR_TILE_TAPS + 1] = {
    FC_PLANAR_TILES(FC_PLANAR_TILE_NAME)};

typedef void (*fc_planar_row)(const fc_planar_weight *, real *to, const real *from);
#define FC_PLANAR_ROW(outputs, unused)                                                             \
  static void planar_gradient_##outputs(const fc_planar_weight *job, real *to, const real *from) { \
    if (outputs <= PLANAR_MOST) planar_gradient(outputs, job, to, from); /* else unused */         \
  }
#define FC_PLANAR_ROW_NAME(outputs, unused) [outputs] = planar_gradient_##outputs,
FC_ROWS_6(FC_PLANAR_ROW, 0)
static const fc_planar_row planar_gradients[PLANAR_WOVEN + 1] = {FC_ROWS_6(FC_PLANAR_ROW_NAME, 0)};

/* Output rows y .. y + rows of an image, `taps` taps of a range. */
static void planar_weight_band(const fc_planar_weight *job, const fc_planes *p, ptrdiff_t image, ptrdiff_t y,
                               ptrdiff_t rows, ptrdiff_t taps, real *sums) {
  real *line = sums + job->taps * job->outputs * VL, *planes = line + planes_line(p);
  real *grads = planes + planes_size(p, job->rows);
  const real *grad = (const real *)job->grad.data + image * job->grad.image + y * job->grad.row;
  lay_planes(p, planes, image, y, rows, line);
  for (ptrdiff_t i = 0; i < rows; i++)
    planar_gradients[job->outputs](job, grads + i * job->grad_row, grad + i * job->grad.row);
  const ptrdiff_t tiles = ceil_div(taps, PLANAR_TILE_TAPS), blocks = ceil_div(job->outputs, PLANAR_TILE_OUTPUTS);
  for (ptrdiff_t tile = 0; tile < tiles; tile++)
    for (ptrdiff_t block = 0; block < blocks; block++) {
      const ptrdiff_t tap = taps * tile / tiles, here = taps * (tile + 1) / tiles - tap;
      const ptrdiff_t o = job->outputs * block / blocks, outputs = job->outputs * (block + 1) / blocks - o;
      planar_tiles[outputs][here](job, grads + o * p->vectors * VL, planes, job->offset + tap, rows,
                                  sums + (tap * job->outputs + o) * VL);
    }
}

/* A range of channels over a chunk of the bands. */
static void planar_weight_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_planar_weight *job = context;
  const ptrdiff_t range = piece % job->planes.ranges, chunk = piece / job->planes.ranges;
  const fc_planes p = planes_range(&job->planes, range);
  const ptrdiff_t all = p.source.batch * job->bands, first = all * chunk / job->chunks;
  const ptrdiff_t kernel = p.source.taps_y * p.source.taps_x, taps = kernel * p.source.in_channels;
  real *sums = fc_scratch_part(job->scratch, worker);
  memset(sums, 0, (size_t)(taps * job->outputs * VL) * sizeof(real));
  for (ptrdiff_t i = first; i < all * (chunk + 1) / job->chunks && !fc_stopping(); i++) {
    const ptrdiff_t y = i % job->bands * job->rows, rows = min_size(job->rows, p.source.out_h - y);
    if (rows > 0) planar_weight_band(job, &p, i / job->bands, y, rows, taps, sums);
  }
  const ptrdiff_t every = kernel * job->planes.source.in_channels;
  real *to = job->sums + chunk * job->outputs * every + range * p.channels * kernel;
  for (ptrdiff_t o = 0; o < job->outputs; o++, to += every)
    for (ptrdiff_t tap = 0; tap < taps; tap++) to[tap] = v_sum(v_load(sums + (tap * job->outputs + o) * VL));
}

static int planar_grad_weight(const fc_conv2d *c, fc_image x, fc_image grad, real *grad_weight) {
  const fc_window *w = &c->window;
  ptrdiff_t offset[PLANAR_CHANNELS * PLANAR_TAPS];
  fc_planar_weight job = {.planes = planes_of(c, x), .offset = offset, .outputs = c->out_channels, .grad = grad};
  fc_planes *p = &job.planes;
  const ptrdiff_t n = c->out_channels * w->channels * w->kh * w->kw;
  job.shuffles = shuffles_for((int)c->out_channels);
  p->source.padding = FC_ZEROS; /* x comes with any other padding around it */
  planes_offsets(p, offset);
  job.taps = p->channels * w->kh * w->kw;
  job.grad_row = job.outputs * p->vectors * VL;
  job.rows = planes_band(p, 1, job.grad_row, PLANAR_NEAR);
  job.bands = ceil_div(w->out_h, job.rows);
  const double work = (double)w->batch * w->out_h * w->out_w * (double)n;
  job.chunks = min_size(ceil_div(pieces_for(work), p->ranges), w->batch * job.bands);
  job.sums = fc_scratch_acquire(1, (size_t)(job.chunks * n) * sizeof(real));
  if (!job.sums) return FC_NO_MEMORY;
  const ptrdiff_t size =
      job.taps * job.outputs * VL + planes_line(p) + planes_size(p, job.rows) + job.rows * job.grad_row;
  job.scratch = fc_scratch_acquire(fc_workers(), (size_t)size * sizeof(real));
  int status = FC_NO_MEMORY;
  if (job.scratch) {
    status = fc_parallel(job.chunks * p->ranges, work, planar_weight_piece, &job);
    fc_scratch_release(job.scratch);
    for (ptrdiff_t i = 0; i < n; i++) {
      grad_weight[i] = job.sums[i];
      for (ptrdiff_t chunk = 1; chunk < job.chunks; chunk++) grad_weight[i] += job.sums[chunk * n + i];
    }
  }
  fc_scratch_release(job.sums);
  return status;
}
