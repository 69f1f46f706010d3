/* The weight gradient of depthwise convolution and of groups of few channels. */

/* One vector of output channels and a chunk of the rows: tap by tap, the sums of products of the output gradient with
 * some of the group's input channels at a time. */
typedef struct {
  fc_product product;
  fc_image grad;
  ptrdiff_t chunks, blocks;
  real *sums; /* [chunk][tap][input channel of the group][output channel] */
  real *grad_weight;
} fc_depthwise_weight;

/* Adds a pixel's products with its gradient. */
FC_INLINE void add_pixel(const int sources, const fc_lanes *lanes, const real *from, ptrdiff_t inputs, vec grad,
                         ptrdiff_t k, vec *sum) {
  const vec first = v_load_n(from, min_size(VL, inputs));
  const vec second = sources == 2 ? v_load_n(from + VL, max_size(0, inputs - VL)) : first;
  FC_UNROLL(4)
  for (int i = 0; i < LANE_SUMS; i++) sum[i] = v_fma(lane_spread(sources, lanes, first, second, k + i), grad, sum[i]);
}

/* The sums for input channels k .. k + LANE_SUMS of the groups in output channels c .. c + n, under one tap; where
 * there are no sources, those of every LANE_SUMS-th pixel. */
FC_INLINE void depthwise_weight_sums(const int sources, const fc_lanes *lanes, const fc_depthwise_weight *job,
                                     ptrdiff_t begin, ptrdiff_t end, ptrdiff_t offset_y, ptrdiff_t offset_x,
                                     ptrdiff_t c, ptrdiff_t n, ptrdiff_t k, vec *total) {
  const fc_product *p = &job->product;
  const ptrdiff_t inputs = lane_inputs(lanes, n), in_step = p->stride_x * p->in.pixel, grad_step = job->grad.pixel;
  ptrdiff_t first = 0, last = p->out_w;
  inside(&first, &last, offset_x, p->stride_x, p->in_w);
  vec sum[LANE_SUMS], odd[LANE_SUMS];
  FC_UNROLL(4)
  for (int i = 0; i < LANE_SUMS; i++) sum[i] = odd[i] = v_zero();
  for (ptrdiff_t row = begin; row < end; row++) {
    const ptrdiff_t image = row / p->out_h, y = row % p->out_h, from_y = y * p->stride_y + offset_y;
    if (from_y < 0 || from_y >= p->in_h) continue;
    const real *in = (const real *)p->in.data + image * p->in.image + from_y * p->in.row + offset_x * p->in.pixel +
                     lane_inputs(lanes, c);
    const real *grad = (const real *)job->grad.data + image * job->grad.image + y * job->grad.row + c;
    ptrdiff_t x = first;
    if (sources == 0) {
      for (; x + LANE_SUMS <= last; x += LANE_SUMS) FC_UNROLL(4)
      for (int i = 0; i < LANE_SUMS; i++)
        sum[i] = v_fma(v_load_n(in + (x + i) * in_step, n), v_load_n(grad + (x + i) * grad_step, n), sum[i]);
      for (; x < last; x++) sum[0] = v_fma(v_load_n(in + x * in_step, n), v_load_n(grad + x * grad_step, n), sum[0]);
      continue;
    }
    for (; x + 2 <= last; x += 2) {
      add_pixel(sources, lanes, in + x * in_step, inputs, v_load_n(grad + x * grad_step, n), k, sum);
      add_pixel(sources, lanes, in + (x + 1) * in_step, inputs, v_load_n(grad + (x + 1) * grad_step, n), k, odd);
    }
    if (x < last) add_pixel(sources, lanes, in + x * in_step, inputs, v_load_n(grad + x * grad_step, n), k, sum);
  }
  FC_UNROLL(4)
  for (int i = 0; i < LANE_SUMS; i++) total[i] = v_add(sum[i], odd[i]);
}

static void depthwise_weight_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_depthwise_weight *job = context;
  const fc_product *p = &job->product;
  const ptrdiff_t channels = p->groups * p->out_channels;
  const ptrdiff_t c = piece % job->blocks * VL, chunk = piece / job->blocks, n = min_size(VL, channels - c);
  const ptrdiff_t rows = p->batch * p->out_h, begin = rows * chunk / job->chunks,
                  end = rows * (chunk + 1) / job->chunks;
  const fc_lanes lanes = lanes_of(p->in_channels, p->out_channels);
  for (ptrdiff_t tap = 0; tap < p->taps_y * p->taps_x && !fc_stopping(); tap++) {
    const ptrdiff_t offset_y = p->first_y + tap / p->taps_x * p->step_y,
                    offset_x = p->first_x + tap % p->taps_x * p->step_x;
    real *to = job->sums + (chunk * p->taps_y * p->taps_x + tap) * lanes.depth * channels + c;
    for (ptrdiff_t k = 0; k < lanes.depth; k += LANE_SUMS) {
      vec sum[LANE_SUMS];
      if (lanes.sources == 0) {
        depthwise_weight_sums(0, &lanes, job, begin, end, offset_y, offset_x, c, n, k, sum);
        sum[0] = v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3]));
      } else if (lanes.sources == 1) {
        depthwise_weight_sums(1, &lanes, job, begin, end, offset_y, offset_x, c, n, k, sum);
      } else {
        depthwise_weight_sums(2, &lanes, job, begin, end, offset_y, offset_x, c, n, k, sum);
      }
      for (ptrdiff_t i = 0; i < min_size(LANE_SUMS, lanes.depth - k); i++)
        v_store_n(to + (k + i) * channels, sum[i], n);
    }
  }
}

/* The same under all taps at once, one input channel a group, column by column of the input: each is loaded once, and
 * multiplied with the gradients of the outputs that see it, which wait in registers.
 *
 * These are the input columns that begin with output column x, in rows `row`, NULL outside; `given` is that of the
 * columns x - first .. x - last, the others are not there. */
FC_INLINE void sweep_weight_column(const int taps, const int stride, const int rows, const fc_product *p,
                                   const real *const *row, ptrdiff_t x, ptrdiff_t n, int first, int last,
                                   vec given[][SWEEP_TAPS], vec *sum) {
  const int inputs = (rows - 1) * stride + taps, open = (taps + stride - 1) / stride;
  FC_UNROLL(2)
  for (int t = 0; t < stride; t++) {
    const ptrdiff_t column = x * stride + p->first_x + t;
    if (column < 0 || column >= p->in_w) continue;
    FC_UNROLL(16)
    for (int i = 0; i < inputs; i++) {
      if (!row[i]) continue;
      const real *from = row[i] + column * p->in.pixel;
      const vec value = v_load_n(from, n);
      __builtin_prefetch(from + VL);
      FC_UNROLL(4)
      for (int r = 0; r < rows; r++) {
        const int tap = i - r * stride;
        if (tap < 0 || tap >= taps) continue;
        FC_UNROLL(5)
        for (int k = 0; k < open; k++) {
          const int tap_x = t + k * stride;
          if (tap_x < taps && k >= first && k <= last)
            sum[tap * taps + tap_x] = v_fma(value, given[r][k], sum[tap * taps + tap_x]);
        }
      }
    }
  }
}

FC_INLINE void sweep_weight_rows(const int taps, const int stride, const int rows, const fc_depthwise_weight *job,
                                 ptrdiff_t image, ptrdiff_t y, ptrdiff_t c, ptrdiff_t n, vec *sum) {
  const fc_product *p = &job->product;
  const int inputs = (rows - 1) * stride + taps, open = (taps + stride - 1) / stride;
  const real *grad = (const real *)job->grad.data + image * job->grad.image + y * job->grad.row + c;
  const real *row[SWEEP_INPUTS];
  vec given[4][SWEEP_TAPS];
  FC_UNROLL(16)
  for (int i = 0; i < inputs; i++) row[i] = sweep_row(&p->in, image, y * stride + p->first_y + i, p->in_h, c);
  FC_UNROLL(4)
  for (int r = 0; r < rows; r++) FC_UNROLL(5)
  for (int k = 0; k < open; k++) given[r][k] = v_zero();
  for (ptrdiff_t x = 0; x < p->out_w + open - 1; x++, grad += job->grad.pixel) {
    FC_UNROLL(4)
    for (int r = 0; r < rows; r++) {
      FC_UNROLL(5)
      for (int k = open - 1; k > 0; k--) given[r][k] = given[r][k - 1];
      if (x >= p->out_w) continue;
      given[r][0] = v_load_n(grad + r * job->grad.row, n);
      __builtin_prefetch(grad + r * job->grad.row + VL);
    }
    if (x >= open - 1 && x < p->out_w)
      sweep_weight_column(taps, stride, rows, p, row, x, n, 0, open - 1, given, sum);
    else
      sweep_weight_column(taps, stride, rows, p, row, x, n, (int)max_size(0, x - p->out_w + 1),
                          (int)min_size(open - 1, x), given, sum);
  }
}

/* `most` rows at a time, then fewer. */
FC_INLINE void sweep_weight(const int taps, const int stride, const int most, const fc_depthwise_weight *job,
                            ptrdiff_t begin, ptrdiff_t end, ptrdiff_t c, ptrdiff_t n, real *to) {
  const fc_product *p = &job->product;
  vec sum[SWEEP_TAPS * SWEEP_TAPS];
  FC_UNROLL(25)
  for (int i = 0; i < taps * taps; i++) sum[i] = v_zero();
  for (ptrdiff_t row = begin; row < end;) {
    const ptrdiff_t image = row / p->out_h, y = row % p->out_h, left = min_size(end - row, p->out_h - y);
    if (most >= 4 && left >= 4) {
      sweep_weight_rows(taps, stride, 4, job, image, y, c, n, sum);
      row += 4;
    } else if (most >= 2 && left >= 2) {
      sweep_weight_rows(taps, stride, 2, job, image, y, c, n, sum);
      row += 2;
    } else {
      sweep_weight_rows(taps, stride, 1, job, image, y, c, n, sum);
      row++;
    }
  }
  FC_UNROLL(25)
  for (int i = 0; i < taps * taps; i++) v_store_n(to + i * p->groups, sum[i], n);
}

/* A vector that is not whole goes row by row. */
#define FC_SWEEP_WEIGHT(taps, stride, most)                                                                 \
  static __attribute__((noinline)) void sweep_weight_##taps##_##stride(                                     \
      const fc_depthwise_weight *job, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t c, ptrdiff_t n, real *to) { \
    if (VL == 1 || n == VL)                                                                                 \
      sweep_weight(taps, stride, most, job, begin, end, c, VL, to);                                         \
    else                                                                                                    \
      sweep_weight(taps, stride, 1, job, begin, end, c, n, to);                                             \
  }
FC_SWEEP_WEIGHT(3, 1, SWEEP_ROWS)
FC_SWEEP_WEIGHT(3, 2, 2)
FC_SWEEP_WEIGHT(5, 1, 1)
FC_SWEEP_WEIGHT(5, 2, 1)

static void sweep_weight_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_depthwise_weight *job = context;
  const fc_product *p = &job->product;
  const ptrdiff_t block = piece % job->blocks, chunk = piece / job->blocks, vectors = ceil_div(p->groups, VL);
  const ptrdiff_t rows = p->batch * p->out_h, begin = rows * chunk / job->chunks,
                  end = rows * (chunk + 1) / job->chunks;
  const ptrdiff_t last = min_size(p->groups, vectors * (block + 1) / job->blocks * VL);
  for (ptrdiff_t c = vectors * block / job->blocks * VL; c < last && !fc_stopping(); c += VL) {
    real *to = job->sums + chunk * p->taps_y * p->taps_x * p->groups + c;
    const ptrdiff_t n = min_size(VL, p->groups - c);
    if (p->taps_y == 3)
      (p->stride_y == 1 ? sweep_weight_3_1 : sweep_weight_3_2)(job, begin, end, c, n, to);
    else
      (p->stride_y == 1 ? sweep_weight_5_1 : sweep_weight_5_2)(job, begin, end, c, n, to);
  }
}

/* Adds the chunks' sums of a vector of channels in order, and turns them to [output channel][input channel of the
 * group][tap]. */
static void add_chunks(void *context, ptrdiff_t block, int worker) {
  (void)worker;
  const fc_depthwise_weight *job = context;
  const fc_product *p = &job->product;
  const fc_transposition lanes = transposition();
  const ptrdiff_t taps = p->taps_y * p->taps_x, depth = p->in_channels, rows = taps * depth;
  const ptrdiff_t channels = p->groups * p->out_channels, c = block * VL, n = min_size(VL, channels - c);
  ptrdiff_t source[VL], target[VL];
  for (ptrdiff_t i = 0; i < VL; i++) target[i] = (c + i) * rows;
  for (ptrdiff_t first = 0; first < rows; first += VL) {
    const ptrdiff_t here = min_size(VL, rows - first);
    for (ptrdiff_t i = 0; i < here; i++) {
      const ptrdiff_t k = (first + i) / taps, tap = (first + i) % taps;
      source[i] = (tap * depth + k) * channels + c;
      const real *sum = job->sums + source[i];
      vec total = v_load_n(sum, n);
      for (ptrdiff_t chunk = 1; chunk < job->chunks; chunk++)
        total = v_add(total, v_load_n(sum + chunk * rows * channels, n));
      v_store_n(job->sums + source[i], total, n);
    }
    transpose(&lanes, job->sums, source, here, n, job->grad_weight + first, target, 0);
  }
}

static int depthwise_grad_weight(const fc_product *product, fc_image grad, real *grad_weight) {
  fc_depthwise_weight job = {.product = *product, .grad = grad, .grad_weight = grad_weight};
  const fc_product *p = &job.product;
  const ptrdiff_t taps = p->taps_y * p->taps_x, channels = p->groups * p->out_channels, depth = p->in_channels;
  const double work = (double)p->batch * p->out_h * p->out_w * channels * (double)(taps * depth);
  const int swept = can_sweep(p) && (taps == 9 || FC_MR >= 8); /* the sums fit the registers */
  job.blocks = ceil_div(channels, swept ? SWEEP_VECTORS * VL : VL);
  job.chunks = max_size(1, min_size(PIECES * 2, p->batch * p->out_h / 8));
  job.sums = fc_scratch_acquire(1, (size_t)(job.chunks * taps * depth * channels) * sizeof(real));
  if (!job.sums) return FC_NO_MEMORY;
  int status = fc_parallel(job.chunks * job.blocks, work, swept ? sweep_weight_piece : depthwise_weight_piece, &job);
  if (status == FC_OK)
    status = fc_parallel(ceil_div(channels, VL), (double)(job.chunks * taps * depth * channels), add_chunks, &job);
  fc_scratch_release(job.sums);
  return status;
}
