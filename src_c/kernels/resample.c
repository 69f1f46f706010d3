/* A sparse matrix times one axis of an array: adaptive average pooling, interpolation, padding by mirror images, all
 * along one axis after the other, and their gradients, which are the transposed matrices. */

typedef struct {
  const real *x;
  real *out;
  ptrdiff_t n, m, inner, rows, total; /* rows of a piece, of the whole result */
  const int64_t *start, *index;
  const double *weight;
} resample_job;

enum { RESAMPLE_PIECE = 1 << 14, RESAMPLE_VECTORS = 4 }; /* elements of a piece, about; vectors made side by side */

/* `vectors` whole vectors of a row, or the first `last` elements of one. A weight of 1 alone copies every bit. */
FC_INLINE void resample_vectors(const real *x, real *out, ptrdiff_t inner, const int64_t *index, const double *weight,
                                ptrdiff_t taps, int vectors, ptrdiff_t last) {
  vec sum[RESAMPLE_VECTORS];
  FC_UNROLL(RESAMPLE_VECTORS)
  for (int v = 0; v < vectors; v++) sum[v] = v_zero();
  for (ptrdiff_t k = 0; k < taps; k++) {
    const real *from = x + index[k] * inner;
    const vec factor = v_set1((real)weight[k]);
    FC_UNROLL(RESAMPLE_VECTORS)
    for (int v = 0; v < vectors; v++) {
      const vec here = v_load_n(from + v * VL, last);
      sum[v] = k == 0 ? v_mul(factor, here) : v_fma(factor, here, sum[v]);
    }
  }
  FC_UNROLL(RESAMPLE_VECTORS)
  for (int v = 0; v < vectors; v++) v_store_n(out + v * VL, sum[v], last);
}

static void resample_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const resample_job *job = context;
  const ptrdiff_t inner = job->inner, end = min_size(job->total, (piece + 1) * job->rows);
  for (ptrdiff_t row = piece * job->rows; row < end; row++) {
    const ptrdiff_t at = row % job->m, first = job->start[at], taps = job->start[at + 1] - first;
    const real *x = job->x + row / job->m * job->n * inner;
    real *out = job->out + row * inner;
    ptrdiff_t i = 0;
    for (; i + RESAMPLE_VECTORS * VL <= inner; i += RESAMPLE_VECTORS * VL)
      resample_vectors(x + i, out + i, inner, job->index + first, job->weight + first, taps, RESAMPLE_VECTORS, VL);
    for (; i < inner; i += VL)
      resample_vectors(x + i, out + i, inner, job->index + first, job->weight + first, taps, 1,
                       min_size(VL, inner - i));
  }
}

static int kernel_resample(const void *x, void *out, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t m, ptrdiff_t inner,
                           const int64_t *start, const int64_t *index, const double *weight) {
  resample_job job = {.x = x,
                      .out = out,
                      .n = n,
                      .m = m,
                      .inner = inner,
                      .total = outer * m,
                      .start = start,
                      .index = index,
                      .weight = weight};
  if (job.total == 0 || inner == 0) return FC_OK;
  const double work = (double)inner * (1 + (double)start[m] / (double)m); /* of a row */
  job.rows = work < RESAMPLE_PIECE ? (ptrdiff_t)(RESAMPLE_PIECE / work) : 1;
  return fc_parallel(ceil_div(job.total, job.rows), work * (double)job.total, resample_piece, &job);
}
