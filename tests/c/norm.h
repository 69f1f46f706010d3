/* Tests of the normalisation kernels, part of test_kernels.c. */
#ifndef FC_TEST_NORM_H
#define FC_TEST_NORM_H

static void keep_doubles(const array a, double epsilons) {
  for (ptrdiff_t i = 0; i < a.n; i++) keep_value(((double *)a.data)[i], epsilons * epsilon, __LINE__);
}

/* Few channels are folded where `gap` is 0. Whole numbers: sums are exact, only their merging rounds. */
static void try_norm(fc_norm norm, ptrdiff_t gap, int fixed) {
  const ptrdiff_t rows = norm.segments * norm.rows, moments = norm.segments * norm.groups;
  norm.x_pitch = norm.channels + gap, norm.grad_pitch = norm.channels + gap;
  const array x = whole(rows * norm.x_pitch), grad = whole(rows * norm.grad_pitch), weight = whole(norm.channels);
  const array mean = bytes_of(moments, sizeof(double)), var = bytes_of(moments, sizeof(double));
  const array out = empty(rows * norm.channels), grad_x = empty(out.n);
  const array grad_weight = empty(norm.channels), grad_bias = empty(norm.channels);
  const array added = whole(out.n), masked = empty(out.n);
  KERNEL(norm_moments, &norm, x.data, (double *)mean.data, (double *)var.data);
  keep_doubles(mean, 16);
  keep_doubles(var, 64);
  const double *m = (double *)mean.data, *v = (double *)var.data;
  for (int way = 0; way < 3; way++) { /* nothing after it, a clamp, a sum and a clamp; bounds between whole numbers */
    const fc_epilogue after = {weight.data, way > 0, -0.3, INFINITY, way > 1 ? added.data : NULL};
    const int stored = way > 1 || (way > 0 && fixed);
    KERNEL(norm, &norm, x.data, m, v, fixed ? NULL : weight.data, &after, out.data);
    KEEP_ABOUT(out, 64);
    KERNEL(norm_grad, &norm, x.data, grad.data, m, v, fixed ? NULL : weight.data, &after, fixed,
           stored ? out.data : NULL, stored ? masked.data : NULL, grad_x.data, grad_weight.data, grad_bias.data);
    KEEP_ABOUT(grad_x, 256);
    KEEP_ABOUT(grad_weight, 256);
    KEEP(grad_bias);
    if (stored) KEEP(masked);
  }
  forget();
}

static void test_norm(void) {
  for (ptrdiff_t channels = 1; channels <= 5 * lanes + 1; channels++)
    for (int way = 0; way < 4; way++) {
      const ptrdiff_t groups = way < 2 || channels % 2 ? channels : channels / 2;
      try_norm((fc_norm){1 + way % 2 * 2, 12 + channels % 3, channels, groups, 0, 0, 0.5}, channels % 4 / 2, way == 1);
    }
  try_norm((fc_norm){1, 5000, 40, 40, 0, 0, 0.5}, 0, 0); /* several pieces */
  try_norm((fc_norm){2, 700, 130, 26, 0, 0, 0.5}, 1, 0);
}

static void try_layer_norm(ptrdiff_t rows, ptrdiff_t n, int plain) {
  const array x = whole(rows * n), grad = whole(x.n), weight = whole(n), bias = whole(n), out = empty(x.n);
  const array mean = bytes_of(rows, sizeof(double)), deviation = bytes_of(rows, sizeof(double));
  const array grad_x = empty(x.n), grad_weight = empty(n), grad_bias = empty(n);
  double *m = (double *)mean.data, *d = (double *)deviation.data;
  KERNEL(layer_norm, x.data, plain ? NULL : weight.data, plain ? NULL : bias.data, out.data, m, d, rows, n, 0.5);
  KEEP_ABOUT(out, 64);
  keep_doubles(mean, 16);
  KERNEL(layer_norm_grad, x.data, grad.data, plain ? NULL : weight.data, m, d, grad_x.data, grad_weight.data,
         grad_bias.data, rows, n);
  if (n > 1) KEEP_ABOUT(grad_x, 256); /* of one element it is rounding alone */
  KEEP_ABOUT(grad_weight, 256);
  KEEP(grad_bias);
  forget();
}

static void test_layer_norm(void) {
  for (ptrdiff_t n = 1; n <= 3 * lanes + 1; n++) try_layer_norm(1 + n % 70, n, n % 2 == 0);
  try_layer_norm(3, 5000, 0);
  try_layer_norm(2000, 40, 0);
}

static void test_local_response_norm(void) {
  for (ptrdiff_t channels = 1; channels <= 3 * lanes + 1; channels++) {
    const ptrdiff_t rows = channels == 2 * lanes ? 3000 : 3;
    const double betas[] = {0.75, 0.5, 1, 0.3};
    const fc_lrn lrn = {rows, channels, 1 + channels % 6, 0.5, betas[channels % 4], 2};
    const array x = whole(rows * channels), grad = whole(x.n), out = empty(x.n), grad_x = empty(x.n);
    KERNEL(local_response_norm, &lrn, x.data, out.data);
    KEEP_CLOSE(out, 16);
    KERNEL(local_response_norm_grad, &lrn, x.data, grad.data, grad_x.data);
    KEEP_ABOUT(grad_x, 64);
    forget();
  }
}

#endif
