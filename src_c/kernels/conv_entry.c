/* The entries of convolution: forward and input gradient, dense and depthwise. */

/* Few output channels leave most of a vector empty, so that neighbouring pixels share one: so many side by side are one
 * output of the product, with that many times the channels and the stride, over taps that the pixels' windows span
 * together. 1 where there is nothing to gain or the vector's rows would not be dense. */
static ptrdiff_t pixels_a_vector(ptrdiff_t channels, ptrdiff_t groups, ptrdiff_t step, ptrdiff_t width) {
  if (groups != 1 || step != 1) return 1;
  for (ptrdiff_t pixels = VL / channels; pixels > 1; pixels--)
    if (width % pixels == 0) return pixels;
  return 1;
}

/* `bias` gets the product's bias once for each pixel; NULL where it is not needed. */
static void widen(fc_product *p, ptrdiff_t pixels, real *bias) {
  for (ptrdiff_t i = 0; p->bias && i < pixels; i++)
    memcpy(bias + i * p->out_channels, p->bias, (size_t)p->out_channels * sizeof(real));
  if (p->bias) p->bias = bias;
  p->taps_x += (pixels - 1) * p->stride_x;
  p->stride_x *= pixels;
  p->out_w /= pixels;
  p->out_channels *= pixels;
  p->out.pixel *= pixels;
}

typedef struct {
  const fc_product *product;
  unsigned char found;
} fc_search;

static void search_piece(void *context, ptrdiff_t image, int worker) {
  (void)worker;
  fc_search *job = context;
  const fc_product *p = job->product;
  const ptrdiff_t dense = p->in.pixel == p->in_channels ? p->in_w : 1, n = dense * p->in_channels;
  vec suspect = v_zero();
  for (ptrdiff_t y = 0; y < p->in_h; y++)
    for (ptrdiff_t x = 0; x < p->in_w; x += dense) {
      const real *from = (const real *)p->in.data + image * p->in.image + y * p->in.row + x * p->in.pixel;
      ptrdiff_t i = 0;
      for (; i + VL <= n; i += VL) suspect = v_fma(v_load(from + i), v_zero(), suspect);
      if (i < n) suspect = v_fma(v_load_n(from + i, n - i), v_zero(), suspect);
    }
  if (m_any(v_isnan(suspect))) __atomic_store_n(&job->found, 1, __ATOMIC_RELAXED);
}

/* The product with pixels that share a vector. Such a vector's inputs meet the zeros that stand for the neighbours'
 * taps, so that an Inf or a NaN would reach pixels that do not see it: then every pixel has a vector of its own. */
static int run_sharing(fc_product *p, ptrdiff_t pixels) {
  fc_search search = {.product = p};
  if (pixels == 1) return run_product(p);
  int status = fc_parallel(p->batch, (double)p->batch * p->in_h * p->in_w * p->in_channels, search_piece, &search);
  if (status != FC_OK) return status;
  if (!search.found) {
    real bias[VL];
    widen(p, pixels, bias);
    return run_product(p);
  }
  const ptrdiff_t kept = p->taps_x * p->in_channels * VL, all = kept + (pixels - 1) * p->stride_x * p->in_channels * VL;
  real *packed = fc_scratch_acquire(1, (size_t)(p->taps_y * kept) * sizeof(real));
  if (!packed) return FC_NO_MEMORY;
  for (ptrdiff_t ty = 0; ty < p->taps_y; ty++)
    memcpy(packed + ty * kept, p->packed + ty * all, (size_t)kept * sizeof(real));
  p->packed = packed; /* the first lanes are the first pixel's */
  status = run_product(p);
  fc_scratch_release(packed);
  return status;
}

static int kernel_conv2d(const fc_conv2d *c, fc_image x, const void *packed, const fc_epilogue *epilogue,
                         fc_image out) {
  const fc_window *w = &c->window;
  if (is_planar(c)) return planar_conv2d(c, x, packed, epilogue, out);
  fc_product p = product_of(c, x);
  p.out = out;
  p.packed = packed;
  p.bias = epilogue->bias;
  p.add = epilogue->add;
  p.clamp = epilogue->clamp;
  p.low = (real)epilogue->low, p.high = (real)epilogue->high;
  if (in_lanes(c, 0)) return run_depthwise(&p);
  return run_sharing(&p, pixels_a_vector(c->out_channels, c->groups, w->dilation_x, w->out_w));
}

/* The taps of one axis that reach the input positions r, r + stride, ...: tap `first` and every `every`-th after it. */
typedef struct {
  ptrdiff_t first, every, count;
  ptrdiff_t positions; /* how many input positions */
  ptrdiff_t origin,
      step; /* where position 0 reads the output gradient with the last of them, and the step to the one before */
} fc_phase;

static ptrdiff_t gcd(ptrdiff_t a, ptrdiff_t b) { return b ? gcd(b, a % b) : a; }

static fc_phase phase_of(ptrdiff_t r, ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t pad,
                         ptrdiff_t dilation) {
  const ptrdiff_t common = gcd(stride, dilation);
  fc_phase f = {
      .every = stride / common, .step = dilation / common, .positions = r < size ? ceil_div(size - r, stride) : 0};
  while (f.first < kernel && f.first < f.every && (r + pad - f.first * dilation) % stride != 0) f.first++;
  if (f.first >= kernel || f.first >= f.every) return f;
  f.count = ceil_div(kernel - f.first, f.every);
  f.origin = (r + pad - (f.first + (f.count - 1) * f.every) * dilation) / stride;
  return f;
}

/* A row of a product where no tap reaches: the epilogue alone. */
static void empty_row(void *context, ptrdiff_t row, int worker) {
  (void)worker;
  const fc_product *p = context;
  const ptrdiff_t channels = p->groups * p->out_channels;
  real *to = (real *)p->out.data + row / p->out_h * p->out.image + row % p->out_h * p->out.row;
  for (ptrdiff_t x = 0; x < p->out_w; x++, to += p->out.pixel) {
    const real *add = added(p->add, &p->out, to);
    for (ptrdiff_t c = 0; c < channels; c += VL) {
      const ptrdiff_t n = min_size(VL, channels - c);
      const vec value = p->bias ? v_load_n(p->bias + c, n) : v_zero();
      v_store_n(to + c, add ? v_add(value, v_load_n(add + c, n)) : value, n);
    }
  }
}

static int empty_product(fc_product *p) {
  if (p->out_h <= 0 || p->out_w <= 0) return FC_OK;
  return fc_parallel(p->batch * p->out_h, (double)p->batch * p->out_h * p->out_w * p->groups * p->out_channels,
                     empty_row, p);
}

static int kernel_conv2d_grad_input(const fc_conv2d *c, fc_image grad, const void *packed, const fc_epilogue *epilogue,
                                    fc_image grad_x) {
  const fc_window *w = &c->window;
  const real *weights = packed;
  if (is_narrow(c)) return narrow_grad_input(c, grad, packed, epilogue, grad_x);
  if (can_spread(c)) return spread_grad_input(c, grad, packed, epilogue, grad_x);
  fc_phases phases;
  phases.count = 0;
  for (ptrdiff_t ry = 0; ry < w->stride_y && ry < w->h; ry++)
    for (ptrdiff_t rx = 0; rx < w->stride_x && rx < w->w; rx++) {
      const fc_phase fy = phase_of(ry, w->h, w->kh, w->stride_y, w->pad_y, w->dilation_y);
      const fc_phase fx = phase_of(rx, w->w, w->kw, w->stride_x, w->pad_x, w->dilation_x);
      const fc_image out = {(real *)grad_x.data + ry * grad_x.row + rx * grad_x.pixel, grad_x.image,
                            w->stride_y * grad_x.row, w->stride_x * grad_x.pixel};
      fc_product p = {.in = grad,
                      .out = out,
                      .batch = w->batch,
                      .groups = c->groups,
                      .in_h = w->out_h,
                      .in_w = w->out_w,
                      .in_channels = c->out_channels / c->groups,
                      .out_h = fy.positions,
                      .out_w = fx.positions,
                      .out_channels = w->channels / c->groups,
                      .taps_y = fy.count,
                      .taps_x = fx.count,
                      .first_y = fy.origin,
                      .first_x = fx.origin,
                      .step_y = fy.step,
                      .step_x = fx.step,
                      .stride_y = 1,
                      .stride_x = 1,
                      .packed = weights,
                      .bias = epilogue->bias,
                      .add = added(epilogue->add, &grad_x, out.data)};
      if (fy.count == 0 || fx.count == 0 || p.in_channels == 0 || w->out_h == 0 || w->out_w == 0) {
        const int status = empty_product(&p);
        if (status != FC_OK) return status;
        continue;
      }
      if (in_lanes(c, 1)) {
        const int status = add_phase(&phases, &p);
        if (status != FC_OK) return status;
        weights += fy.count * fx.count * w->channels * p.in_channels;
        continue;
      }
      const ptrdiff_t pixels = w->stride_x == 1 ? pixels_a_vector(w->channels, c->groups, fx.step, w->w) : 1;
      const int status = run_sharing(&p, pixels);
      if (status != FC_OK) return status;
      const ptrdiff_t shared = w->channels / c->groups * pixels, taps = fy.count * (fx.count + pixels - 1);
      weights += c->groups * packed_group(shared, taps * p.in_channels);
    }
  return run_phases(&phases);
}
