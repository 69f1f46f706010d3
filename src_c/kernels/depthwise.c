/* Depthwise convolution: every channel with a filter of its own, vectors across channels.
 *
 * Forward and input gradient are the product over taps of conv.c without a sum over channels; the packed weights are
 * [tap y][tap x][channel]. Where all taps of neighbouring pixels lie inside the image, several pixels share each load
 * of a weight; at the edges, taps outside are left out. */

enum { DEPTHWISE_PIXELS = 8, DEPTHWISE_ROWS = 8 };

static int is_depthwise(const fc_conv2d *c) {
  return c->groups > 1 && c->groups == c->window.channels && c->groups == c->out_channels;
}

/* Outputs x .. x + pixels, of taps y0 .. y1 and x0 .. x1 that lie inside the image for all of them. */
FC_INLINE void depthwise_pixels(const int pixels, const fc_product *p, const real *row, real *out, ptrdiff_t x,
                                ptrdiff_t y0, ptrdiff_t y1, ptrdiff_t x0, ptrdiff_t x1) {
  const ptrdiff_t channels = p->groups, between = p->stride_x * p->in.pixel;
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t n = min_size(VL, channels - c);
    vec sum[DEPTHWISE_PIXELS];
    const vec start = p->bias ? v_load_n(p->bias + c, n) : v_zero();
    FC_UNROLL(8)
    for (int i = 0; i < pixels; i++) sum[i] = start;
    for (ptrdiff_t ty = y0; ty < y1; ty++)
      for (ptrdiff_t tx = x0; tx < x1; tx++) {
        const real *from =
            row + ty * p->step_y * p->in.row + (x * p->stride_x + p->first_x + tx * p->step_x) * p->in.pixel + c;
        const real *weight = p->packed + (ty * p->taps_x + tx) * channels + c;
        if (n == VL) {
          const vec w = v_load(weight);
          FC_UNROLL(8)
          for (int i = 0; i < pixels; i++) sum[i] = v_fma(v_load(from + i * between), w, sum[i]);
        } else {
          const vec w = v_load_n(weight, n);
          FC_UNROLL(8)
          for (int i = 0; i < pixels; i++) sum[i] = v_fma(v_load_n(from + i * between, n), w, sum[i]);
        }
      }
    FC_UNROLL(8)
    for (int i = 0; i < pixels; i++) {
      if (p->add) sum[i] = v_add(sum[i], v_load_n(added(p->add, &p->out, out + (x + i) * p->out.pixel + c), n));
      if (p->clamp) sum[i] = v_min(v_set1(p->high), v_max(v_set1(p->low), sum[i]));
      v_store_n(out + (x + i) * p->out.pixel + c, sum[i], n);
    }
  }
}

/* The taps first <= t < last of an axis that lie inside the image when tap 0 is at `origin`. */
static void taps_inside(ptrdiff_t *first, ptrdiff_t *last, ptrdiff_t origin, ptrdiff_t step, ptrdiff_t taps,
                        ptrdiff_t size) {
  *first = origin < 0 ? min_size(taps, ceil_div(-origin, step)) : 0;
  *last = origin >= size ? *first : max_size(*first, min_size(taps, (size - 1 - origin) / step + 1));
}

/* Output (y, x) where taps are padding that is not zero: every tap reads the pixel that stands for it. */
static void depthwise_padded(const fc_product *p, const real *image, real *out, ptrdiff_t y, ptrdiff_t x) {
  for (ptrdiff_t c = 0; c < p->groups; c += VL) {
    const ptrdiff_t n = min_size(VL, p->groups - c);
    vec sum = p->bias ? v_load_n(p->bias + c, n) : v_zero();
    for (ptrdiff_t ty = 0; ty < p->taps_y; ty++)
      for (ptrdiff_t tx = 0; tx < p->taps_x; tx++) {
        const ptrdiff_t from_y = pixel_at(y * p->stride_y + p->first_y + ty * p->step_y, p->in_h, p->padding);
        const ptrdiff_t from_x = pixel_at(x * p->stride_x + p->first_x + tx * p->step_x, p->in_w, p->padding);
        const real *from = image + from_y * p->in.row + from_x * p->in.pixel + c;
        sum = v_fma(v_load_n(from, n), v_load_n(p->packed + (ty * p->taps_x + tx) * p->groups + c, n), sum);
      }
    if (p->add) sum = v_add(sum, v_load_n(added(p->add, &p->out, out + c), n));
    if (p->clamp) sum = v_min(v_set1(p->high), v_max(v_set1(p->low), sum));
    v_store_n(out + c, sum, n);
  }
}

static void depthwise_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_product *p = context;
  const ptrdiff_t bands = ceil_div(p->out_h, p->rows), image = piece / bands, begin = piece % bands * p->rows;
  const ptrdiff_t end = min_size(p->out_h, begin + p->rows), reach = (p->taps_x - 1) * p->step_x;
  /* the outputs whose taps all lie inside the row */
  const ptrdiff_t inner = p->first_x < 0 ? min_size(p->out_w, ceil_div(-p->first_x, p->stride_x)) : 0;
  const ptrdiff_t space = p->in_w - 1 - reach - p->first_x;
  const ptrdiff_t outer = space < 0 ? inner : max_size(inner, min_size(p->out_w, space / p->stride_x + 1));
  for (ptrdiff_t y = begin; y < end && !fc_stopping(); y++) {
    const ptrdiff_t origin = y * p->stride_y + p->first_y;
    ptrdiff_t y0, y1, x0, x1;
    taps_inside(&y0, &y1, origin, p->step_y, p->taps_y, p->in_h);
    const real *first = (const real *)p->in.data + image * p->in.image, *row = first + origin * p->in.row;
    const int whole = y1 - y0 == p->taps_y;
    real *out = (real *)p->out.data + image * p->out.image + y * p->out.row;
    ptrdiff_t x = 0;
    while (x < p->out_w)
      if (p->padding != FC_ZEROS && (!whole || x < inner || x >= outer)) {
        depthwise_padded(p, first, out + x * p->out.pixel, y, x);
        x++;
      } else if (x >= inner && x + DEPTHWISE_PIXELS <= outer) {
        depthwise_pixels(DEPTHWISE_PIXELS, p, row, out, x, y0, y1, 0, p->taps_x);
        x += DEPTHWISE_PIXELS;
      } else {
        taps_inside(&x0, &x1, x * p->stride_x + p->first_x, p->step_x, p->taps_x, p->in_w);
        depthwise_pixels(1, p, row, out, x, y0, y1, x0, x1);
        x++;
      }
  }
}

static int run_depthwise(fc_product *p) {
  if (p->batch == 0 || p->out_h <= 0 || p->out_w <= 0) return FC_OK;
  const double work = (double)p->batch * p->out_h * p->out_w * p->groups * (double)(p->taps_y * p->taps_x);
  p->rows = min_size(p->out_h, DEPTHWISE_ROWS);
  return fc_parallel(p->batch * ceil_div(p->out_h, p->rows), work, depthwise_piece, p);
}

/* One vector of channels and a chunk of the rows: tap by tap, the sum of products with the output gradient. */
typedef struct {
  fc_product product;
  fc_image grad;
  ptrdiff_t chunks, blocks;
  real *sums; /* [chunk][tap][channel] */
} fc_depthwise_weight;

static void depthwise_weight_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_depthwise_weight *job = context;
  const fc_product *p = &job->product;
  const ptrdiff_t c = piece % job->blocks * VL, chunk = piece / job->blocks, n = min_size(VL, p->groups - c);
  const ptrdiff_t rows = p->batch * p->out_h, begin = rows * chunk / job->chunks,
                  end = rows * (chunk + 1) / job->chunks;
  for (ptrdiff_t tap = 0; tap < p->taps_y * p->taps_x && !fc_stopping(); tap++) {
    const ptrdiff_t offset_y = p->first_y + tap / p->taps_x * p->step_y,
                    offset_x = p->first_x + tap % p->taps_x * p->step_x;
    ptrdiff_t first = 0, last = p->out_w;
    inside(&first, &last, offset_x, p->stride_x, p->in_w);
    vec sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    for (ptrdiff_t row = begin; row < end; row++) {
      const ptrdiff_t image = row / p->out_h, y = row % p->out_h, from_y = y * p->stride_y + offset_y;
      if (from_y < 0 || from_y >= p->in_h) continue;
      const real *in = (const real *)p->in.data + image * p->in.image + from_y * p->in.row + offset_x * p->in.pixel + c;
      const real *grad = (const real *)job->grad.data + image * job->grad.image + y * job->grad.row + c;
      const ptrdiff_t in_step = p->stride_x * p->in.pixel, grad_step = job->grad.pixel;
      ptrdiff_t x = first;
      for (; x + 4 <= last; x += 4) FC_UNROLL(4)
      for (int i = 0; i < 4; i++)
        sum[i] = v_fma(v_load_n(in + (x + i) * in_step, n), v_load_n(grad + (x + i) * grad_step, n), sum[i]);
      for (; x < last; x++) sum[0] = v_fma(v_load_n(in + x * in_step, n), v_load_n(grad + x * grad_step, n), sum[0]);
    }
    real *to = job->sums + (chunk * p->taps_y * p->taps_x + tap) * p->groups + c;
    v_store_n(to, v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])), n);
  }
}

static int depthwise_grad_weight(const fc_product *product, fc_image grad, real *grad_weight) {
  fc_depthwise_weight job = {.product = *product, .grad = grad, .blocks = ceil_div(product->groups, VL)};
  const fc_product *p = &job.product;
  const ptrdiff_t taps = p->taps_y * p->taps_x;
  const double work = (double)p->batch * p->out_h * p->out_w * p->groups * (double)taps;
  job.chunks = max_size(1, min_size(PIECES * 2, p->batch * p->out_h / 8));
  job.sums = fc_scratch_acquire(1, (size_t)(job.chunks * taps * p->groups) * sizeof(real));
  if (!job.sums) return FC_NO_MEMORY;
  const int status = fc_parallel(job.chunks * job.blocks, work, depthwise_weight_piece, &job);
  for (ptrdiff_t c = 0; status == FC_OK && c < p->groups; c++)
    for (ptrdiff_t tap = 0; tap < taps; tap++) {
      real total = 0;
      for (ptrdiff_t chunk = 0; chunk < job.chunks; chunk++) total += job.sums[(chunk * taps + tap) * p->groups + c];
      grad_weight[c * taps + tap] = total;
    }
  fc_scratch_release(job.sums);
  return status;
}
