/* Tests of the Winograd kernels, part of test_kernels.c. */
#ifndef FC_TEST_WINOGRAD_H
#define FC_TEST_WINOGRAD_H

static void try_winograd(const fc_conv2d *conv, int m, ptrdiff_t gap) {
  const fc_window *w = &conv->window;
  const ptrdiff_t out_channels = conv->out_channels, products = w->channels / conv->groups * w->kh * w->kw;
  const array x = whole(inputs_of(w) * (w->channels + gap)), weight = whole(out_channels * products);
  const array bias = whole(out_channels), out = whole(outputs_of(w) * (out_channels + gap));
  const fc_epilogue epilogue = {bias.data, gap == 2, -20, 20, 0};
  ptrdiff_t size;
  KERNEL(winograd_packed_size, conv, m, 0, &size);
  CHECK((size > 0) == (w->stride_y == 2 ? m == 3 && w->padding == FC_ZEROS : m == 2 || (m == 4 && w->kh == 3)));
  if (size == 0) return;
  const array packed = empty(size);
  KERNEL(winograd_pack, conv, m, 0, weight.data, packed.data);
  KERNEL(winograd, conv, m, view(x, w->h, w->w, w->channels, gap), weight.data, packed.data, &epilogue,
         view(out, w->out_h, w->out_w, out_channels, gap));
  KEEP_ABOUT(out, 16 * (double)products); /* the clamp hides how large the sums were */
  int fleeting = 2;
  KERNEL(winograd_fleeting, conv, m, 0, 1, &fleeting);
  CHECK(fleeting == 0 || fleeting == 1);
  const array other = whole(out.n); /* the same without packed weights */
  KERNEL(winograd, conv, m, view(x, w->h, w->w, w->channels, gap), weight.data, NULL, &epilogue,
         view(other, w->out_h, w->out_w, out_channels, gap));
  KEEP_ABOUT(other, 16 * (double)products);

  const array grad = whole(out.n), grad_x = whole(x.n);
  KERNEL(winograd_packed_size, conv, m, 1, &size);
  const array backward = empty(size);
  KERNEL(winograd_pack, conv, m, 1, weight.data, backward.data);
  KERNEL(winograd_grad_input, conv, m, view(grad, w->out_h, w->out_w, out_channels, gap), weight.data, backward.data,
         &(fc_epilogue){0}, view(grad_x, w->h, w->w, w->channels, gap));
  KEEP_ABOUT(grad_x, 64);
  const array other_x = whole(x.n);
  KERNEL(winograd_grad_input, conv, m, view(grad, w->out_h, w->out_w, out_channels, gap), weight.data, NULL,
         &(fc_epilogue){0}, view(other_x, w->h, w->w, w->channels, gap));
  KEEP_ABOUT(other_x, 64);
  forget();
}

#endif
