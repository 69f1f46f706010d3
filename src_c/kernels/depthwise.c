/* Depthwise convolution, every channel with a filter of its own, and groups of few channels: vectors across channels.
 *
 * Forward and input gradient are the product over taps of conv.c; the packed weights are [tap y][tap x][input channel
 * of the group][output channel]. A vector of output channels holds whole groups, and each of their input channels in
 * turn is spread over its group's lanes. Where all taps of neighbouring pixels lie inside the image, several pixels
 * share each load of a weight; at the edges, taps outside are left out. */

enum { DEPTHWISE_PIXELS = FC_MR < 8 ? 4 : 8, DEPTHWISE_ROWS = 8, LANE_SUMS = 4, LANE_INPUTS = 8 };

/* How the lanes of an output vector find their inputs: in `sources` vectors, or none where it is the same lane. */
typedef struct {
  int sources;
  ptrdiff_t depth, inputs, outputs; /* input channels of a group; inputs for so many outputs */
  permutation lane[VL + LANE_SUMS]; /* of the group's first, second, ... input channel */
} fc_lanes;

/* Whether vectors hold whole groups of `outputs` channels, their inputs being in at most two. More inputs a group take
 * longer this way than as a product of their own. */
static int in_lanes(const fc_conv2d *c, int backward) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups;
  const ptrdiff_t inputs = backward ? out : in, outputs = backward ? in : out;
  if (c->groups == 1) return 0;
  return (inputs == 1 && outputs == 1) ||
         (VL % outputs == 0 && inputs <= 2 * outputs && inputs <= min_size(VL, LANE_INPUTS));
}

static fc_lanes lanes_of(ptrdiff_t inputs, ptrdiff_t outputs) {
  fc_lanes lanes = {.depth = inputs, .inputs = inputs, .outputs = outputs};
  if (inputs == 1 && outputs == 1) return lanes;
  lanes.sources = inputs > outputs ? 2 : 1;
  for (ptrdiff_t i = 0; i < min_size(VL, inputs); i++) {
    uint8_t index[VL];
    for (ptrdiff_t n = 0; n < VL; n++) index[n] = (uint8_t)(n / outputs * inputs + i);
    lanes.lane[i] = v_permutation(index);
  }
  return lanes;
}

/* The inputs of outputs c .. c + n: at what offset, and how many. */
FC_INLINE ptrdiff_t lane_inputs(const fc_lanes *lanes, ptrdiff_t n) { return n / lanes->outputs * lanes->inputs; }

FC_INLINE vec lane_spread(const int sources, const fc_lanes *lanes, vec first, vec second, ptrdiff_t i) {
  return sources == 0 ? first : sources == 1 ? v_pick(first, lanes->lane[i]) : v_permute(first, second, lanes->lane[i]);
}

/* Outputs x .. x + pixels, of taps y0 .. y1 and x0 .. x1 that lie inside the image for all of them. */
FC_INLINE void depthwise_pixels(const int pixels, const int sources, const fc_lanes *lanes, const fc_product *p,
                                const real *row, real *out, ptrdiff_t x, ptrdiff_t y0, ptrdiff_t y1, ptrdiff_t x0,
                                ptrdiff_t x1) {
  const ptrdiff_t channels = p->groups * p->out_channels, between = p->stride_x * p->in.pixel;
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t n = min_size(VL, channels - c);
    vec sum[DEPTHWISE_PIXELS];
    const vec start = p->bias ? v_load_n(p->bias + c, n) : v_zero();
    FC_UNROLL(8)
    for (int i = 0; i < pixels; i++) sum[i] = start;
    for (ptrdiff_t ty = y0; ty < y1; ty++)
      for (ptrdiff_t tx = x0; tx < x1; tx++) {
        const real *from = row + ty * p->step_y * p->in.row +
                           (x * p->stride_x + p->first_x + tx * p->step_x) * p->in.pixel + lane_inputs(lanes, c);
        const real *weight = p->packed + (ty * p->taps_x + tx) * lanes->depth * channels + c;
        if (sources) {
          const ptrdiff_t inputs = lane_inputs(lanes, n);
          vec first[DEPTHWISE_PIXELS], second[DEPTHWISE_PIXELS];
          FC_UNROLL(8)
          for (int i = 0; i < pixels; i++) {
            first[i] = v_load_n(from + i * between, min_size(VL, inputs));
            second[i] = sources == 2 ? v_load_n(from + i * between + VL, max_size(0, inputs - VL)) : first[i];
          }
          for (ptrdiff_t k = 0; k < lanes->depth; k++, weight += channels) {
            const vec w = v_load_n(weight, n);
            FC_UNROLL(8)
            for (int i = 0; i < pixels; i++)
              sum[i] = v_fma(lane_spread(sources, lanes, first[i], second[i], k), w, sum[i]);
          }
        } else if (n == VL) {
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
static void depthwise_padded(const fc_lanes *lanes, const fc_product *p, const real *image, real *out, ptrdiff_t y,
                             ptrdiff_t x) {
  const ptrdiff_t channels = p->groups * p->out_channels;
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t n = min_size(VL, channels - c), inputs = lane_inputs(lanes, n);
    vec sum = p->bias ? v_load_n(p->bias + c, n) : v_zero();
    for (ptrdiff_t ty = 0; ty < p->taps_y; ty++)
      for (ptrdiff_t tx = 0; tx < p->taps_x; tx++) {
        const ptrdiff_t from_y = pixel_at(y * p->stride_y + p->first_y + ty * p->step_y, p->in_h, p->padding);
        const ptrdiff_t from_x = pixel_at(x * p->stride_x + p->first_x + tx * p->step_x, p->in_w, p->padding);
        const real *from = image + from_y * p->in.row + from_x * p->in.pixel + lane_inputs(lanes, c);
        const real *weight = p->packed + (ty * p->taps_x + tx) * lanes->depth * channels + c;
        const vec first = v_load_n(from, min_size(VL, inputs)), second = v_load_n(from + VL, max_size(0, inputs - VL));
        for (ptrdiff_t k = 0; k < lanes->depth; k++, weight += channels)
          sum = v_fma(lane_spread(lanes->sources, lanes, first, second, k), v_load_n(weight, n), sum);
      }
    if (p->add) sum = v_add(sum, v_load_n(added(p->add, &p->out, out + c), n));
    if (p->clamp) sum = v_min(v_set1(p->high), v_max(v_set1(p->low), sum));
    v_store_n(out + c, sum, n);
  }
}

FC_INLINE void depthwise_rows(const int sources, const fc_lanes *lanes, const fc_product *p, ptrdiff_t piece) {
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
        depthwise_padded(lanes, p, first, out + x * p->out.pixel, y, x);
        x++;
      } else if (x >= inner && x + DEPTHWISE_PIXELS <= outer) {
        depthwise_pixels(DEPTHWISE_PIXELS, sources, lanes, p, row, out, x, y0, y1, 0, p->taps_x);
        x += DEPTHWISE_PIXELS;
      } else if (x >= inner && x + 4 <= outer) {
        depthwise_pixels(4, sources, lanes, p, row, out, x, y0, y1, 0, p->taps_x);
        x += 4;
      } else {
        taps_inside(&x0, &x1, x * p->stride_x + p->first_x, p->step_x, p->taps_x, p->in_w);
        depthwise_pixels(1, sources, lanes, p, row, out, x, y0, y1, x0, x1);
        x++;
      }
  }
}

static void depthwise_piece(const fc_product *p, ptrdiff_t piece) {
  const fc_lanes lanes = lanes_of(p->in_channels, p->out_channels);
  if (lanes.sources == 0)
    depthwise_rows(0, &lanes, p, piece);
  else if (lanes.sources == 1)
    depthwise_rows(1, &lanes, p, piece);
  else
    depthwise_rows(2, &lanes, p, piece);
}

enum { MOST_PHASES = 16 };

/* Products that write between each other, as the phases of a strided input gradient do: band by band, so that lines
 * are whole, and memory pages complete, before they leave the caches. */
typedef struct {
  ptrdiff_t count, bands;
  double work;
  fc_product product[MOST_PHASES];
} fc_phases;

static void phases_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_phases *job = context;
  const ptrdiff_t image = piece / job->bands, band = piece % job->bands;
  for (ptrdiff_t i = 0; i < job->count; i++) {
    const fc_product *p = &job->product[i];
    const ptrdiff_t own = ceil_div(p->out_h, p->rows);
    if (band < own) depthwise_piece(p, image * own + band);
  }
}

static int run_phases(fc_phases *job) {
  if (job->count == 0) return FC_OK;
  const int status = fc_parallel(job->product[0].batch * job->bands, job->work, phases_piece, job);
  job->count = 0;
  return status;
}

/* Runs a product, or keeps it to be run with its like. */
static int add_phase(fc_phases *job, fc_product *p) {
  if (p->batch == 0 || p->out_h <= 0 || p->out_w <= 0) return FC_OK;
  if (can_sweep(p)) return run_sweep(p);
  const double products = (double)p->groups * p->in_channels * p->out_channels * (double)(p->taps_y * p->taps_x);
  if (job->count == 0) job->bands = 0, job->work = 0;
  p->rows = DEPTHWISE_ROWS;
  job->bands = max_size(job->bands, ceil_div(p->out_h, p->rows));
  job->work += p->batch * p->out_h * p->out_w * products;
  job->product[job->count++] = *p;
  return job->count == MOST_PHASES ? run_phases(job) : FC_OK;
}

static int run_depthwise(fc_product *p) {
  fc_phases alone;
  alone.count = 0;
  const int status = add_phase(&alone, p);
  return status == FC_OK ? run_phases(&alone) : status;
}
