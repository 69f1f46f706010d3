/* Every kernel of every instruction set against scalar's, at awkward sizes: on whole numbers to the last bit, else
 * within rounding. Linked with dispatch.c, cpu.c, the pool and the units of the machine it is compiled for, so that
 * an emulator can run it where Python cannot: tests/test_kernels_c.py, `nox -s aarch64`. */
#include "tables.h"

/* Arrays do not outlive one shape: there would be too many. */
static void forget(void) {
  while (arrays > 0) free(allocated[--arrays]);
}

/* --- images ------------------------------------------------------------------------------------------------------ */

/* A batch of images whose pixels lie `gap` elements apart, as a slice of a wider buffer does. */
static fc_image view(array a, ptrdiff_t h, ptrdiff_t w, ptrdiff_t channels, ptrdiff_t gap) {
  const ptrdiff_t pixel = channels + gap;
  return (fc_image){a.data, h * w * pixel, w * pixel, pixel};
}

static ptrdiff_t outputs(ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t pad, ptrdiff_t dilation) {
  const ptrdiff_t span = dilation * (kernel - 1) + 1;
  return size + 2 * pad < span ? 0 : (size + 2 * pad - span) / stride + 1;
}

static const ptrdiff_t channel_counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33};

static ptrdiff_t some_channels(void) { return channel_counts[below(sizeof channel_counts / sizeof(ptrdiff_t))]; }

/* Some window that gives at least one output. */
static fc_window some_window(ptrdiff_t most_kernel) {
  for (;;) {
    fc_window w = {.batch = 1 + below(3), .h = 1 + below(14), .w = 1 + below(19), .channels = some_channels()};
    w.kh = 1 + below(most_kernel), w.kw = 1 + below(most_kernel);
    w.stride_y = 1 + below(3), w.stride_x = 1 + below(3);
    w.pad_y = below(w.kh), w.pad_x = below(w.kw);
    w.dilation_y = 1 + below(2), w.dilation_x = 1 + below(2);
    w.out_h = outputs(w.h, w.kh, w.stride_y, w.pad_y, w.dilation_y);
    w.out_w = outputs(w.w, w.kw, w.stride_x, w.pad_x, w.dilation_x);
    if (w.out_h > 0 && w.out_w > 0) return w;
  }
}

static ptrdiff_t inputs_of(const fc_window *w) { return w->batch * w->h * w->w; }
static ptrdiff_t outputs_of(const fc_window *w) { return w->batch * w->out_h * w->out_w; }

static void test_to_channels_last(void) {
  for (ptrdiff_t c = 1; c <= 2 * lanes + 1; c++) {
    const ptrdiff_t shape[] = {2, c, 5, 7}, stride[] = {70 * c, 70, 14, 2}; /* every other column */
    const ptrdiff_t planes[] = {35 * c, 35, 7, 1}, rows[] = {70 * c, 70, 14, 1};
    const array x = whole(140 * c), out = empty(70 * c), dense = whole(70 * c), back = empty(70 * c);
    KERNEL(to_channels_last, x.data, rows, shape, out.data);
    KEEP(out);
    KERNEL(to_channels_last, dense.data, planes, shape, out.data);
    KEEP(out);
    KERNEL(to_planes, out.data, 2, c, 35, back.data);
    KEEP(back);
    KERNEL(to_channels_last, x.data, stride, shape, out.data);
    KEEP(out);
    const array wide = whole(70 * (c + 3));
    const int64_t order[] = {c - 1, c / 2, 0};
    const fc_image source = view(out, 5, 7, c, 0), target = view(wide, 5, 7, c, 3);
    KERNEL(copy_channels, source, target, c % 2 ? order : NULL, 2, 5, 7, c % 2 == 0 ? c : c == 1 ? 1 : 3);
    KEEP(wide);
    KERNEL(combine, c % 2, target, (fc_image){x.data, c, 0, 0}, source, 2, 5, 7, c);
    KEEP(out);
    const array both = empty(70 * 2 * c);
    KERNEL(interleave, target, source, view(both, 5, 7, 2 * c, 0), 2, 5, 7, c);
    KEEP(both);
    forget();
  }
}

static void test_columns(void) {
  for (int i = 0; i < 60; i++) {
    const fc_window w = some_window(4);
    const ptrdiff_t gap = below(3), taps = outputs_of(&w) * w.kh * w.kw * w.channels;
    const array x = whole(inputs_of(&w) * (w.channels + gap)), columns = empty(taps);
    KERNEL(im2col, &w, view(x, w.h, w.w, w.channels, gap), columns.data);
    KEEP(columns);
    const array back = whole(x.n);
    KERNEL(col2im, &w, columns.data, view(back, w.h, w.w, w.channels, gap));
    KEEP(back);
    forget();
  }
}

/* Quarter pixels: products and sums of so few bits are exact, however they are contracted. */
static void test_affine_warp(void) {
  for (ptrdiff_t c = 1; c <= 3; c++) {
    const ptrdiff_t h = 9, w = 70;
    const array x = whole(2 * h * w * (c + 1)), out = empty(2 * h * w * c);
    double matrices[12];
    for (int i = 0; i < 12; i++) matrices[i] = (double)below(9) / 4 - 1;
    KERNEL(affine_warp, view(x, h, w, c, 1), matrices, 0.5, view(out, h, w, c, 0), 2, h, w, c);
    KEEP(out);
    forget();
  }
}

/* --- convolution ------------------------------------------------------------------------------------------------- */

/* The direct kernels write dense pixels only; everything else may have gaps. */
static void try_conv2d(const fc_conv2d *conv, ptrdiff_t gap) {
  const fc_window *w = &conv->window;
  const ptrdiff_t out_channels = conv->out_channels, products = w->channels / conv->groups * w->kh * w->kw;
  const array x = whole(inputs_of(w) * (w->channels + gap)), weight = whole(out_channels * products);
  const array bias = whole(out_channels), out = whole(outputs_of(w) * out_channels);
  const fc_image source = view(x, w->h, w->w, w->channels, gap);
  const fc_epilogue epilogue = {gap == 1 ? NULL : bias.data, gap == 2, -20, 20, gap == 1 ? out.data : NULL};
  ptrdiff_t size;
  KERNEL(conv2d_packed_size, conv, 0, &size);
  const array packed = empty(size);
  KERNEL(conv2d_pack, conv, 0, weight.data, packed.data);
  KERNEL(conv2d, conv, source, packed.data, &epilogue, view(out, w->out_h, w->out_w, out_channels, 0));
  KEEP(out);

  const array grad = whole(outputs_of(w) * (out_channels + gap)), grad_x = whole(inputs_of(w) * w->channels);
  const array offset = whole(w->channels);
  const fc_epilogue adjoint = {.bias = gap == 2 ? NULL : offset.data, .add = gap == 1 ? grad_x.data : NULL};
  const fc_image given = view(grad, w->out_h, w->out_w, out_channels, gap);
  KERNEL(conv2d_packed_size, conv, 1, &size);
  const array backward = empty(size);
  KERNEL(conv2d_pack, conv, 1, weight.data, backward.data);
  KERNEL(conv2d_grad_input, conv, given, backward.data, &adjoint, view(grad_x, w->h, w->w, w->channels, 0));
  KEEP(grad_x);
  const array grad_weight = empty(weight.n), sums = empty(out_channels);
  fc_window pixels = *w;
  pixels.channels = out_channels;
  KERNEL(conv2d_grad_weight, conv, 0, source, given, grad_weight.data);
  KERNEL(channel_sum, &pixels, given, sums.data);
  KEEP(grad_weight);
  const array other = empty(weight.n);
  KERNEL(conv2d_grad_weight, conv, 1, source, given, other.data);
  KEEP_ABOUT(other, 64);
  KEEP(sums);
  forget();
}

#include "winograd.h"

static void test_conv2d(void) {
  for (int i = 0; i < 150; i++) {
    fc_conv2d conv = {.window = some_window(5), .out_channels = some_channels(), .groups = 1};
    if (i % 5 == 0) conv.groups = 2, conv.window.channels *= 2, conv.out_channels *= 2;
    if (i % 5 == 2) conv.groups = 5, conv.window.channels = conv.out_channels = 20; /* in the lanes of vectors */
    if (i % 5 == 1) conv.groups = conv.out_channels = conv.window.channels;         /* depthwise */
    if (conv.window.pad_y < conv.window.h && conv.window.pad_x < conv.window.w) conv.window.padding = i % 4;
    try_conv2d(&conv, i % 3);
  }
}

static void test_winograd(void) {
  for (int i = 0; i < 40; i++) {
    const ptrdiff_t kernel = i % 2 == 0 ? 3 : 5, pad = i % 3, h = 5 + below(12), w = 5 + below(12);
    const ptrdiff_t out_h = outputs(h, kernel, 1, pad, 1), out_w = outputs(w, kernel, 1, pad, 1);
    const fc_window window = {1 + i % 2, h, w,    some_channels(), kernel, kernel, out_h, out_w, 1, 1, pad, pad,
                              1,         1, i % 4};
    for (int m = 2; m <= 4; m++) try_winograd(&(fc_conv2d){window, some_channels(), 1}, m, i % 3);
    const fc_window strided = {
        1 + i % 2, h, w,    some_channels(), 4, 4, outputs(h, 4, 2, pad, 1), outputs(w, 4, 2, pad, 1), 2, 2, pad, pad,
        1,         1, i % 4};
    for (int m = 2; m <= 4; m++) try_winograd(&(fc_conv2d){strided, some_channels(), 1}, m, i % 3);
  }
}

#include "conv.h"

#include "signal.h"

/* --- fully connected --------------------------------------------------------------------------------------------- */

static void try_linear(ptrdiff_t batch, ptrdiff_t in, ptrdiff_t outs) {
  const array x = whole(batch * in), weight = whole(outs * in), bias = whole(outs), out = empty(batch * outs);
  const fc_epilogue epilogue = {.bias = in % 2 ? bias.data : NULL, .clamp = outs % 2, .low = 0, .high = 6};
  KERNEL(linear, x.data, weight.data, &epilogue, out.data, batch, in, outs);
  KEEP(out);
  const array grad_x = empty(x.n), grad_weight = empty(weight.n);
  KERNEL(linear_grad_input, out.data, weight.data, grad_x.data, batch, in, outs);
  KERNEL(linear_grad_weight, x.data, out.data, grad_weight.data, batch, in, outs);
  KEEP(grad_x);
  KEEP(grad_weight);
  forget();
}

static void test_linear(void) {
  for (ptrdiff_t n = 1; n <= 2 * lanes + 2; n++) {
    try_linear(1 + n % 3, n, 5);
    try_linear(n, 11, 1 + n % 7);
    try_linear(9, 3, n);
  }
  try_linear(64, 400, 120);
  try_linear(3, 500, 301);
}

/* --- pooling ----------------------------------------------------------------------------------------------------- */

static void try_max_pool2d(const fc_window *w, ptrdiff_t gap, array x) {
  const ptrdiff_t channels = w->channels;
  const array out = whole(outputs_of(w) * (channels + gap)), grad = whole(out.n), grad_x = whole(x.n);
  const array winners = bytes_of(outputs_of(w) * channels * fc_pool_planes(w), 1), plain = whole(out.n);
  const fc_image source = view(x, w->h, w->w, channels, gap);
  KERNEL(max_pool2d, w, source, view(out, w->out_h, w->out_w, channels, gap), (uint8_t *)winners.data, channels % 2);
  KERNEL(max_pool2d, w, source, view(plain, w->out_h, w->out_w, channels, gap), NULL, channels % 2);
  KERNEL(max_pool2d_grad, w, view(grad, w->out_h, w->out_w, channels, gap), (uint8_t *)winners.data,
         view(grad_x, w->h, w->w, channels, gap));
  KEEP(out);
  KEEP(plain);
  KEEP_BYTES(winners);
  KEEP(grad_x);
  forget();
}

static void try_avg_pool2d(const fc_window *w, ptrdiff_t gap) {
  const array x = whole(inputs_of(w) * (w->channels + gap)), grad_x = whole(x.n);
  const array out = whole(outputs_of(w) * (w->channels + gap));
  const ptrdiff_t divisor = below(2) * 3, include_pad = below(2);
  const fc_image target = view(out, w->out_h, w->out_w, w->channels, gap);
  KERNEL(avg_pool2d, w, view(x, w->h, w->w, w->channels, gap), target, (int)include_pad, divisor);
  KERNEL(avg_pool2d_grad, w, target, view(grad_x, w->h, w->w, w->channels, gap), (int)include_pad, divisor);
  KEEP(out);
  KEEP_ABOUT(grad_x, 16); /* shares of a gradient are no whole numbers */
  forget();
}

static void test_pooling(void) {
  for (int i = 0; i < 120; i++) {
    fc_window w = some_window(4);
    const ptrdiff_t gap = below(3), n = inputs_of(&w) * (w.channels + gap);
    try_max_pool2d(&w, gap, i % 2 == 0 ? whole(n) : special(n, i));
    if (w.dilation_y == 1 && w.dilation_x == 1) try_avg_pool2d(&w, gap);
  }
  for (ptrdiff_t channels = 1; channels <= 2 * lanes + 1; channels++) { /* LeNet's kind, a way of its own */
    const fc_window w = {2, 7, 10, channels, 2, 2, 3, 5, 2, 2, 0, 0, 1, 1, FC_ZEROS};
    try_max_pool2d(&w, 0, special(140 * channels, channels));
    try_avg_pool2d(&w, 0);
  }
  for (int i = 0; i < 64; i++) { /* GoogLeNet's kind, too; some channels more than four vectors */
    const ptrdiff_t c = (i / 8 + 1) * lanes - below(lanes), stride = 1 + i % 2, pad = i / 2 % 2, h = 3 + below(5);
    const ptrdiff_t out = outputs(h, 3, stride, pad, 1);
    try_max_pool2d(&(fc_window){1, h, h, c, 3, 3, out, out, stride, stride, pad, pad, 1, 1, FC_ZEROS}, 0,
                   special(h * h * c, i));
  }
  const fc_window wide = {1, 30, 31, 5, 17, 18, 14, 14, 1, 1, 0, 0, 1, 1, FC_ZEROS}; /* winners of two bytes */
  try_max_pool2d(&wide, 0, whole(30 * 31 * 5));
}

static void test_resample(void) {
  const int64_t start[] = {0, 2, 2, 3, 7}, index[] = {0, 4, 2, 0, 1, 2, 3}; /* four rows, one of them empty */
  const double weight[] = {0.5, -2, 1, 1, 2, 3, 0.25};
  for (ptrdiff_t inner = 1; inner <= 6 * lanes + 2; inner++) {
    const array x = whole(3 * 5 * inner), out = empty(3 * 4 * inner);
    KERNEL(resample, x.data, out.data, 3, 5, 4, inner, start, index, weight);
    KEEP(out);
    forget();
  }
}

/* --- elementwise ------------------------------------------------------------------------------------------------- */

/* Every length round a vector's, and some of several pieces. */
static ptrdiff_t longer(ptrdiff_t n) { return n < 2 * lanes + 16 ? n + 1 : 4 * n + 1; }

static void test_activations(void) {
  for (ptrdiff_t n = 0; n <= 40000; n = longer(n)) {
    const array x = special(n, n), grad = special(n, 3 * n + 5), out = empty(n), grad_x = empty(n);
    const array given = whole(n), value = whole(n), slope = special(7, n), slope_grad = empty(7);
    for (ptrdiff_t i = 0; i < n; i++) set(value, i, at(value, i) / 4); /* as a result of sigmoid and tanh can be */
#define FC_NUMBER(name) FC_##name,
    static const int names[] = {FC_ACTIVATIONS(FC_NUMBER)};
#undef FC_NUMBER
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
      const fc_activation function = {names[i], 1, names[i] == FC_softplus ? 20 : 2, 1};
      KERNEL(activation, &function, x.data, out.data, n);
      KEEP_CLOSE(out, 16);
      KERNEL(activation_grad, &function, value.data, given.data, grad_x.data, n);
      for (ptrdiff_t k = 0; k < n; k++) keep_value(at(grad_x, k), 64 * epsilon, __LINE__); /* some slopes cross 0 */
    }
    KERNEL(activation_grad, &(fc_activation){FC_relu, 0, 0, 0}, x.data, grad.data, grad_x.data, n);
    KEEP(grad_x);
    KERNEL(prelu, x.data, slope.data, out.data, n, 7);
    KEEP(out);
    KERNEL(prelu_grad, value.data, slope.data, given.data, grad_x.data, slope_grad.data, n, 7);
    KEEP(grad_x);
    KEEP(slope_grad);
    forget();
  }
}

static void try_softmax(ptrdiff_t rows, ptrdiff_t n, array x) {
  const array out = empty(rows * n), grad = whole(rows * n), grad_x = empty(rows * n);
  KERNEL(softmax, x.data, out.data, rows, n);
  KEEP_CLOSE(out, 8 + (double)n);
  KERNEL(softmax_grad, out.data, grad.data, grad_x.data, rows, n);
  KEEP_ABOUT(grad_x, 32 + (double)n);
  KERNEL(log_softmax, x.data, out.data, rows, n);
  KEEP_ABOUT(out, 8);
  KERNEL(log_softmax_grad, out.data, grad.data, grad_x.data, rows, n);
  KEEP_ABOUT(grad_x, 32 + (double)n);
  forget();
}

static void test_softmax(void) {
  for (ptrdiff_t n = 1; n <= 2000; n = longer(n)) {
    try_softmax(1 + n % 4, n, whole((1 + n % 4) * n));
    const array one_nan = whole(3 * n);
    set(one_nan, n + n / 2, NAN);
    set(one_nan, 2 * n + n / 3, -INFINITY);
    try_softmax(3, n, one_nan);
  }
}

static void try_cross_entropy(ptrdiff_t rows, ptrdiff_t classes, int weighted, double smoothing) {
  const array x = whole(rows * classes), weight = whole(classes), losses = empty(rows), grad = empty(rows * classes);
  const array labels = bytes_of(rows, sizeof(int64_t));
  int64_t *target = (int64_t *)labels.data;
  for (ptrdiff_t i = 0; i < rows; i++) target[i] = i % 5 == 4 ? -100 : below(classes);
  for (ptrdiff_t i = 0; i < classes; i++) set(weight, i, fabs(at(weight, i)) + 1);
  const void *weights = weighted ? weight.data : NULL;
  double total;
  ptrdiff_t bad;
  KERNEL(check_target, target, weights, rows, classes, -100, &total, &bad);
  KEEP_VALUE(total);
  KEEP_VALUE((double)bad);
  KERNEL(cross_entropy, x.data, target, weights, losses.data, grad.data, rows, classes, -100, smoothing, 0.5, &total);
  KEEP_ABOUT(losses, 32 + (double)classes);
  KEEP_ABOUT(grad, 32 + (double)classes);
  target[rows - 1] = classes;
  KERNEL(check_target, target, weights, rows, classes, -100, &total, &bad);
  KEEP_VALUE((double)bad);
  forget();
}

static void test_cross_entropy(void) {
  for (ptrdiff_t classes = 1; classes <= 300; classes = longer(classes))
    for (int way = 0; way < 4; way++) try_cross_entropy(1 + classes % 7, classes, way & 1, way & 2 ? 0.25 : 0);
}

#include "dropout.h"
#include "norm.h"
#include "optim.h"

static void test_fma_peak(void) {
  double operations;
  KERNEL(fma_peak, 10, &operations);
  CHECK(operations > 0);
  KEEP_VALUE(0);
}

int main(void) {
  static const struct {
    const char *name;
    void (*run)(void);
  } tests[] = {
#define TEST(name) {#name, test_##name}
      TEST(to_channels_last),
      TEST(columns),
      TEST(affine_warp),
      TEST(conv2d),
      TEST(winograd),
      TEST(large_conv2d),
      TEST(few_outputs),
      TEST(depthwise_strided),
      TEST(columns_gradient),
      TEST(small_maps),
      TEST(fft_conv2d),
      TEST(filter2d),
      TEST(linear),
      TEST(pooling),
      TEST(resample),
      TEST(activations),
      TEST(softmax),
      TEST(cross_entropy),
      TEST(norm),
      TEST(layer_norm),
      TEST(local_response_norm),
      TEST(optim),
      TEST(dropout),
      TEST(sum_squares),
      TEST(fma_peak),
  };
  CHECK(fc_set_num_threads(2) == 0);
  int count, different = 0;
  const fc_isa *isas = fc_isa_list(&count), *scalar = &isas[count - 1];
  CHECK(strcmp(scalar->name, "scalar") == 0);
  for (int i = 0; i < count; i++)
    for (int is_double = 0; is_double < 2; is_double++)
      for (size_t k = 0; k < sizeof tests / sizeof tests[0]; k++)
        different += compare(tests[k].name, tests[k].run, scalar, &isas[i], is_double);
  for (int kernel = 0; kernel < KERNELS; kernel++)
    if (!has_run[kernel]) fprintf(stderr, "%s has no test here\n", kernel_names[kernel]), different++;
  for (int i = 0; i < count; i++) printf("%s\n", isas[i].name); /* what was tested */
  return different > 0;
}
