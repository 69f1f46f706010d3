/* Filtering of planes, and convolution by Fourier transforms; a part of test_kernels.c. */

/* Sums of whole numbers, whose errors are relative to the largest of their summands. */
static void keep_sums(array a) {
  for (ptrdiff_t i = 0; i < a.n; i++) set(a, i, at(a, i) + 64);
  KEEP_ABOUT(a, 64);
}

static void try_filter2d(fc_window w, const fc_boundary *boundary) {
  const array weight = whole(w.kh * w.kw), out = empty(outputs_of(&w));
  const fc_image x = view(whole(w.batch * w.h * (w.w + 3)), w.h, w.w + 3, 1, 0);
  KERNEL(filter2d, &w, boundary, x, weight.data, view(out, w.out_h, w.out_w, 1, 0));
  KEEP(out);
  w.stride_y = w.stride_x = 1; /* each output of this has all its taps where the other's have theirs, or before */
  ptrdiff_t tile_y = lanes, tile_x = lanes;
  while (tile_y < (w.kh - 1) * w.dilation_y + 1) tile_y *= 2;
  while (tile_x < (w.kw - 1) * w.dilation_x + 1) tile_x *= 2;
  KERNEL(fft_filter2d, &w, boundary, tile_y << below(2), tile_x << below(3), x, weight.data,
         view(out, w.out_h, w.out_w, 1, 0));
  keep_sums(out);
  forget();
}

static void test_filter2d(void) {
  for (int i = 0; i < 150; i++) {
    fc_window w = some_window(7);
    const fc_boundary boundary = {(int)below(3), (double)below(3)};
    w.channels = 1;
    if (i % 3 == 0) w.w = w.out_w = w.w * 9, w.stride_x = 1; /* several blocks of vectors, whatever comes after */
    try_filter2d(w, &boundary);
  }
}

static void try_fft_conv2d(fc_conv2d c) {
  const ptrdiff_t out_pixels = c.window.batch * c.window.out_h * c.window.out_w;
  const array x = whole(inputs_of(&c.window) * c.window.channels),
              weight = whole(c.out_channels * c.window.channels * c.window.kh * c.window.kw),
              bias = whole(c.out_channels), out = empty(out_pixels * c.out_channels), grad_x = empty(x.n);
  const fc_epilogue epilogue = {.bias = bias.data}, none = {.bias = NULL};
  const fc_image in = view(x, c.window.h, c.window.w, c.window.channels, 0),
                 result = view(out, c.window.out_h, c.window.out_w, c.out_channels, 0);
  ptrdiff_t size, tile_y, tile_x;
  KERNEL(fft_conv2d_packed_size, &c, 0, &size, &tile_y, &tile_x);
  const array packed = empty(size);
  KERNEL(fft_conv2d_pack, &c, 0, weight.data, packed.data);
  KERNEL(fft_conv2d, &c, in, weight.data, packed.data, &epilogue, result);
  KERNEL(fft_conv2d_packed_size, &c, 1, &size, &tile_y, &tile_x);
  const array flipped = empty(size);
  KERNEL(fft_conv2d_pack, &c, 1, weight.data, flipped.data);
  for (ptrdiff_t i = 0; i < out.n; i++) set(out, i, rint(at(out, i)) + 0); /* no -0 */
  KERNEL(fft_conv2d_grad_input, &c, result, weight.data, flipped.data, &none,
         view(grad_x, c.window.h, c.window.w, c.window.channels, 0));
  KEEP(out);
  keep_sums(grad_x);
  forget();
}

static void test_fft_conv2d(void) {
  for (int i = 0; i < 40; i++) {
    fc_window w = some_window(6);
    w.stride_y = w.stride_x = w.dilation_y = w.dilation_x = 1;
    w.out_h = outputs(w.h, w.kh, 1, w.pad_y, 1), w.out_w = outputs(w.w, w.kw, 1, w.pad_x, 1);
    if (w.out_h > 0 && w.out_w > 0) try_fft_conv2d((fc_conv2d){w, some_channels(), 1});
  }
}
