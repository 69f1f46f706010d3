/* Convolution to few output channels: pixels of a row lie along the lanes, and each weight is multiplied with vectors
 * of them. The sums of all channels are woven into pixels when they are done. */

enum {
  PLANAR_VECTORS = 4,                       /* at a time */
  PLANAR_REGISTERS = FC_MR * FC_NV + FC_NV, /* for sums and inputs */
  PLANAR_BAND = 64 << 10                    /* bytes of a band's planes */
};

typedef struct {
  fc_planes planes;
  const real *packed;      /* [tap][output channel] */
  const ptrdiff_t *offset; /* of a range's taps */
  ptrdiff_t rows, bands;   /* output rows of a band, bands of an image */
  const real *bias;
  fc_tile end; /* what is done to finished sums */
  fc_image out;
  fc_shuffles shuffles;
  void *scratch;
} fc_planar;

/* Stores `pixels` dense pixels' sums, a vector for each channel. */
FC_INLINE void planar_store(const int outputs, const fc_planar *job, vec row[PLANAR_WOVEN], real *to,
                            ptrdiff_t pixels) {
  const ptrdiff_t each = VL / woven(outputs) * outputs;
  weave_pixels(&job->shuffles, outputs, row);
  FC_UNROLL(8)
  for (int i = 0; i < woven(outputs); i++, to += each) {
    const ptrdiff_t here = min_size(each, pixels * outputs - i * each);
    if (here > 0) v_store_n(to, finish(row[i], &job->end, to, here), here);
  }
}

/* Some vectors of outputs. */
typedef struct {
  const real *from[PLANAR_VECTORS]; /* where their inputs begin in the planes, */
  real *to[PLANAR_VECTORS];         /* and where they go, */
  ptrdiff_t pixels[PLANAR_VECTORS]; /* so many pixels */
  real *sums;                       /* between two ranges of channels: [vector][output channel] of vectors */
} fc_planar_outputs;

/* Their products with the weights of a range of channels; `resume`: added to the sums; `last`: there is no other. */
FC_INLINE void planar_body(const int outputs, const int vectors, const fc_planar *job, const fc_planar_outputs *at,
                           const real *weight, ptrdiff_t taps, int resume, int last) {
  vec sum[PLANAR_VECTORS][PLANAR_WOVEN];
  const real *bias = job->bias;
  FC_UNROLL(8)
  for (int o = 0; o < PLANAR_WOVEN; o++) FC_UNROLL(4)
  for (int v = 0; v < vectors; v++) sum[v][o] = bias && o < outputs ? v_set1(bias[o]) : v_zero();
  if (resume) FC_UNROLL(8)
  for (int o = 0; o < outputs; o++) FC_UNROLL(4)
  for (int v = 0; v < vectors; v++) sum[v][o] = v_load(at->sums + (v * outputs + o) * VL);
  for (ptrdiff_t tap = 0; tap < taps; tap++, weight += outputs) {
    const ptrdiff_t offset = job->offset[tap];
    vec x[PLANAR_VECTORS];
    FC_UNROLL(4)
    for (int v = 0; v < vectors; v++) x[v] = v_load(at->from[v] + offset);
    FC_UNROLL(8)
    for (int o = 0; o < outputs; o++) {
      const vec value = v_set1(weight[o]);
      FC_UNROLL(4)
      for (int v = 0; v < vectors; v++) sum[v][o] = v_fma(value, x[v], sum[v][o]);
    }
  }
  if (last) {
    FC_UNROLL(4)
    for (int v = 0; v < vectors; v++) planar_store(outputs, job, sum[v], at->to[v], at->pixels[v]);
    return;
  }
  FC_UNROLL(8)
  for (int o = 0; o < outputs; o++) FC_UNROLL(4)
  for (int v = 0; v < vectors; v++) v_store(at->sums + (v * outputs + o) * VL, sum[v][o]);
}

typedef void (*fc_planar_function)(const fc_planar *, const fc_planar_outputs *, const real *weight, ptrdiff_t taps,
                                   int resume, int last);

/* Whether so many vectors' sums stay in registers. */
#define FC_PLANAR_FITS(outputs, vectors) \
  (outputs <= PLANAR_MOST && (vectors == 1 || (outputs + 1) * vectors <= PLANAR_REGISTERS))
#define FC_PLANAR(outputs, vectors)                                                                                  \
  static __attribute__((noinline)) void planar_##outputs##x##vectors(                                                \
      const fc_planar *job, const fc_planar_outputs *at, const real *weight, ptrdiff_t taps, int resume, int last) { \
    if (FC_PLANAR_FITS(outputs, vectors)) /* else never called */                                                    \
      planar_body(outputs, vectors, job, at, weight, taps, resume, last);                                            \
  }
#define FC_PLANAR_NAME(outputs, vectors) [vectors][outputs] = planar_##outputs##x##vectors,
#define FC_PLANARS(X) FC_ROWS_6(X, 1) FC_ROWS_6(X, 2) FC_ROWS_6(X, 4)
FC_PLANARS(FC_PLANAR)
static const fc_planar_function planar_functions[PLANAR_VECTORS + 1][PLANAR_WOVEN + 1] = {FC_PLANARS(FC_PLANAR_NAME)};

/* A band of output rows of an image. */
static void planar_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_planar *job = context;
  const fc_planes *p = &job->planes;
  const fc_product *s = &p->source;
  const ptrdiff_t image = piece / job->bands, y = piece % job->bands * job->rows;
  const ptrdiff_t rows = min_size(job->rows, s->out_h - y), count = rows * p->vectors, outputs = s->out_channels;
  real *line = fc_scratch_part(job->scratch, worker), *planes = line + planes_line(p);
  real *sums = planes + planes_size(p, job->rows), *out = (real *)job->out.data + image * job->out.image;
  for (ptrdiff_t range = 0; range < p->ranges && rows > 0 && !fc_stopping(); range++) {
    const fc_planes one = planes_range(p, range);
    const ptrdiff_t taps = s->taps_y * s->taps_x, first = range * p->channels * taps;
    lay_planes(&one, planes, image, y, rows, line);
    for (ptrdiff_t n = 0, here; n < count; n += here) {
      for (here = PLANAR_VECTORS; here > 1; here /= 2)
        if (n + here <= count && FC_PLANAR_FITS(outputs, here)) break;
      fc_planar_outputs at = {.sums = sums + n * outputs * VL};
      for (ptrdiff_t v = 0; v < here; v++) {
        const ptrdiff_t row = (n + v) / p->vectors, x = (n + v) % p->vectors * VL;
        at.from[v] = planes + row * s->stride_y * p->row + x;
        at.to[v] = out + (y + row) * job->out.row + x * job->out.pixel;
        at.pixels[v] = min_size(VL, s->out_w - x);
      }
      planar_functions[here][outputs](job, &at, job->packed + first * outputs, taps * one.source.in_channels, range > 0,
                                      range + 1 == p->ranges);
    }
  }
}

static void planar_pack(const fc_conv2d *c, const real *weight, real *packed) {
  const ptrdiff_t taps = c->window.kh * c->window.kw * c->window.channels;
  for (ptrdiff_t tap = 0; tap < taps; tap++)
    for (ptrdiff_t o = 0; o < c->out_channels; o++) *packed++ = weight[o * taps + tap];
}

static int planar_conv2d(const fc_conv2d *c, fc_image x, const real *packed, const fc_epilogue *epilogue,
                         fc_image out) {
  const fc_window *w = &c->window;
  ptrdiff_t offset[PLANAR_CHANNELS * PLANAR_TAPS];
  fc_planar job = {.planes = planes_of(c, x),
                   .packed = packed,
                   .offset = offset,
                   .bias = epilogue->bias,
                   .end = {.c = out.data,
                           .add = epilogue->add,
                           .clamp = epilogue->clamp,
                           .low = (real)epilogue->low,
                           .high = (real)epilogue->high},
                   .out = out};
  const fc_planes *p = &job.planes;
  if (w->batch == 0 || w->out_h <= 0 || w->out_w <= 0) return FC_OK;
  job.shuffles = shuffles_for((int)c->out_channels);
  planes_offsets(p, offset);
  const double work = (double)w->batch * w->out_h * w->out_w * (double)(c->out_channels * w->channels * w->kh * w->kw);
  const ptrdiff_t sums = p->ranges > 1 ? c->out_channels * p->vectors * VL : 0; /* of a row */
  job.rows = planes_band(p, ceil_div(pieces_for(work), w->batch), sums, PLANAR_BAND);
  job.bands = ceil_div(w->out_h, job.rows);
  const ptrdiff_t size = planes_line(p) + planes_size(p, job.rows) + job.rows * sums;
  job.scratch = fc_scratch_acquire(fc_workers(), (size_t)size * sizeof(real));
  if (!job.scratch) return FC_NO_MEMORY;
  const int status = fc_parallel(w->batch * job.bands, work, planar_piece, &job);
  fc_scratch_release(job.scratch);
  return status;
}
