/* Tests of ways that only some convolutions take, part of test_kernels.c. */
#ifndef FC_TEST_CONV_H
#define FC_TEST_CONV_H

/* Few output channels, rows of a vector and more: pixels along the lanes, where there are registers enough. */
static void test_few_outputs(void) {
  for (int i = 0; i < 90; i++) {
    fc_window w = some_window(5);
    w.kh = 2 + below(4), w.kw = 2 + below(4), w.pad_y = below(w.kh), w.pad_x = below(w.kw);
    w.h = 9 + below(20), w.w = (i % 3 + 1) * (6 + below(18)) * w.stride_x;
    w.channels = i % 4 ? 1 + below(3) : 15 + below(20);
    w.padding = w.pad_y < w.h && w.pad_x < w.w ? i % 4 : FC_ZEROS;
    w.out_h = outputs(w.h, w.kh, w.stride_y, w.pad_y, w.dilation_y);
    w.out_w = outputs(w.w, w.kw, w.stride_x, w.pad_x, w.dilation_x);
    try_conv2d(&(fc_conv2d){w, 1 + i % 7, 1}, i % 3);
  }
}

/* Depthwise, stride 2: gradients go column by column. */
static void test_depthwise_strided(void) {
  for (int i = 0; i < 60; i++) {
    fc_window w = some_window(3);
    w.kh = w.kw = i % 4 == 3 ? 5 : 3, w.stride_y = w.stride_x = 2, w.dilation_y = w.dilation_x = 1;
    w.h = 5 + below(9), w.w = 5 + below(12), w.pad_y = below(w.kh), w.pad_x = below(w.kw), w.padding = FC_ZEROS;
    w.out_h = outputs(w.h, w.kh, 2, w.pad_y, 1), w.out_w = outputs(w.w, w.kw, 2, w.pad_x, 1);
    try_conv2d(&(fc_conv2d){w, w.channels, w.channels}, i % 3);
  }
}

/* The input's gradient by columns: blocks of channels that are whole vectors and that are not, rows of a block. */
static void test_columns_gradient(void) {
  for (int i = 0; i < 60; i++) {
    fc_window w = some_window(5);
    const ptrdiff_t gap = i % 3, out_channels = some_channels();
    if (i % 4 == 0) w.channels = 2 * lanes, w.kh = i % 8 ? 1 : 3, w.kw = 3, w.h = w.w = 9;
    if (i % 4 == 1) w.channels = 3 * lanes + 1;
    w.padding = FC_ZEROS;
    w.out_h = outputs(w.h, w.kh, w.stride_y, w.pad_y, w.dilation_y);
    w.out_w = outputs(w.w, w.kw, w.stride_x, w.pad_x, w.dilation_x);
    const fc_conv2d conv = {w, out_channels, 1};
    const array grad = whole(outputs_of(&w) * (out_channels + gap)), grad_x = empty(inputs_of(&w) * w.channels);
    const array weight = whole(out_channels * w.channels * w.kh * w.kw);
    KERNEL(conv2d_columns_grad_input, &conv, view(grad, w.out_h, w.out_w, out_channels, gap), weight.data,
           view(grad_x, w.h, w.w, w.channels, 0));
    KEEP(grad_x);
    forget();
  }
}

/* Small maps, many channels: products with the zeros around them are left out. */
static void test_small_maps(void) {
  for (int i = 0; i < 40; i++) {
    fc_window w = some_window(5);
    const ptrdiff_t size = (const ptrdiff_t[]){7, 8, 14, 5}[i % 4];
    w.channels = 2 * lanes + i % 3, w.kh = 1 + below(4), w.kw = 2 + below(4), w.padding = FC_ZEROS;
    w.pad_y = below(w.kh * w.dilation_y), w.pad_x = below(w.kw * w.dilation_x);
    w.h = (size - 1) * w.stride_y + 1 + (w.kh - 1) * w.dilation_y - w.pad_y - below(3);
    w.w = (size - 1) * w.stride_x + 1 + (w.kw - 1) * w.dilation_x - w.pad_x - below(3);
    if (w.h < 1 || w.w < 1) continue;
    w.out_h = w.out_w = size;
    try_conv2d(&(fc_conv2d){w, lanes + 1 + below(2 * (int)lanes), 1}, i % 3);
  }
}

/* Large enough for several pieces, bands and panels. */
static void test_large_conv2d(void) {
  const fc_window plain = {2, 40, 37, 24, 3, 3, 40, 37, 1, 1, 1, 1, 1, 1, FC_ZEROS},
                  strided = {1, 50, 70, 3, 7, 7, 25, 35, 2, 2, 3, 3, 1, 1, FC_REFLECT};
  try_conv2d(&(fc_conv2d){plain, 70, 1}, 0);
  try_conv2d(&(fc_conv2d){strided, 33, 1}, 1);
  try_conv2d(&(fc_conv2d){{3, 9, 9, 128, 1, 1, 9, 9, 1, 1, 0, 0, 1, 1, FC_ZEROS}, 200, 1}, 2);
}

#endif
