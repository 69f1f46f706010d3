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

static int kernel_conv2d(const fc_conv2d *c, fc_image x, const void *packed, const fc_epilogue *epilogue,
                         fc_image out) {
  const fc_window *w = &c->window;
  fc_product p = {.in = x,
                  .out = out,
                  .batch = w->batch,
                  .groups = c->groups,
                  .in_h = w->h,
                  .in_w = w->w,
                  .in_channels = w->channels / c->groups,
                  .out_h = w->out_h,
                  .out_w = w->out_w,
                  .out_channels = c->out_channels / c->groups,
                  .taps_y = w->kh,
                  .taps_x = w->kw,
                  .first_y = -w->pad_y,
                  .first_x = -w->pad_x,
                  .step_y = w->dilation_y,
                  .step_x = w->dilation_x,
                  .stride_y = w->stride_y,
                  .stride_x = w->stride_x,
                  .packed = packed,
                  .bias = epilogue->bias,
                  .clamp = epilogue->clamp,
                  .add = epilogue->add,
                  .low = (real)epilogue->low,
                  .high = (real)epilogue->high,
                  .padding = w->padding};
  if (in_lanes(c, 0)) return run_depthwise(&p);
  const ptrdiff_t pixels = pixels_a_vector(c->out_channels, c->groups, w->dilation_x, w->out_w);
  real bias[VL];
  if (pixels > 1) widen(&p, pixels, bias);
  return run_product(&p);
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

/* The product where no tap reaches: the epilogue alone. */
static void empty_product(const fc_product *p) {
  const ptrdiff_t channels = p->groups * p->out_channels;
  for (ptrdiff_t n = 0; n < p->batch; n++)
    for (ptrdiff_t y = 0; y < p->out_h; y++)
      for (ptrdiff_t x = 0; x < p->out_w; x++) {
        real *to = (real *)p->out.data + n * p->out.image + y * p->out.row + x * p->out.pixel;
        const real *add = added(p->add, &p->out, to);
        for (ptrdiff_t i = 0; i < channels; i++) to[i] = (p->bias ? p->bias[i] : 0) + (add ? add[i] : 0);
      }
}

static int kernel_conv2d_grad_input(const fc_conv2d *c, fc_image grad, const void *packed, const fc_epilogue *epilogue,
                                    fc_image grad_x) {
  const fc_window *w = &c->window;
  const real *weights = packed;
  real bias[VL];
  if (is_narrow(c)) return narrow_grad_input(c, grad, packed, epilogue, grad_x);
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
        empty_product(&p);
        continue;
      }
      if (in_lanes(c, 1)) {
        const int status = run_depthwise(&p);
        if (status != FC_OK) return status;
        weights += fy.count * fx.count * w->channels * p.in_channels;
        continue;
      }
      const ptrdiff_t pixels = w->stride_x == 1 ? pixels_a_vector(w->channels, c->groups, fx.step, w->w) : 1;
      if (pixels > 1) widen(&p, pixels, bias);
      const int status = run_product(&p);
      if (status != FC_OK) return status;
      weights += c->groups * packed_group(p.out_channels, p.taps_y * p.taps_x * p.in_channels);
    }
  return FC_OK;
}
