/* What the pooling kernels share. */
#ifndef FC_POOL_H
#define FC_POOL_H

typedef enum { POOL_MAX, POOL_WINNER, POOL_WIDE_WINNER, POOL_AVERAGE } pool_kind;

enum {
  POOL_PIECE = 1 << 17, /* elements read by a piece, about */
  POOL_NONE = 255       /* each byte of the winner where the ReLU behind left none */
};

FC_INLINE ptrdiff_t pool_outputs(const fc_window *w) { return w->batch * w->out_h * w->out_w * w->channels; }

/* The taps [*first, *last) of a window that starts at input coordinate `start` which lie in [0, size). */
FC_INLINE void pool_inside(ptrdiff_t start, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t size, ptrdiff_t *first,
                           ptrdiff_t *last) {
  if (start >= 0 && start + (taps - 1) * dilation < size) { /* all of them, found without dividing */
    *first = 0;
    *last = taps;
    return;
  }
  *first = start < 0 ? ceil_div(-start, dilation) : 0;
  *last = start >= size ? 0 : min_size(taps, ceil_div(size - start, dilation));
}

/* `pixels` pixels of zeros. */
FC_INLINE void pool_zero(real *x, ptrdiff_t pixels, ptrdiff_t pixel, ptrdiff_t channels) {
  if (pixel == channels) {
    memset(x, 0, (size_t)(pixels * channels) * sizeof(real));
    return;
  }
  for (ptrdiff_t i = 0; i < pixels; i++) memset(x + i * pixel, 0, (size_t)channels * sizeof(real));
}

/* How many taps of average pooling's window at output coordinate `out` count along an axis. The padding after the
 * input counts like that before it, what ceil_mode adds beyond does not. */
FC_INLINE ptrdiff_t pool_extent(ptrdiff_t out, ptrdiff_t stride, ptrdiff_t pad, ptrdiff_t taps, ptrdiff_t size,
                                int count_include_pad) {
  const ptrdiff_t start = out * stride - pad;
  if (count_include_pad) return min_size(start + taps, size + pad) - start;
  return min_size(start + taps, size) - max_size(start, 0);
}

/* Whether windows are 2x2, side by side and all inside: the most frequent pooling, in pool2x2.c. */
FC_INLINE int pool_is_2x2(const fc_window *w) {
  return w->kh == 2 && w->kw == 2 && w->stride_y == 2 && w->stride_x == 2 && w->pad_y == 0 && w->pad_x == 0 &&
         w->dilation_y == 1 && w->dilation_x == 1 && 2 * w->out_h <= w->h && 2 * w->out_w <= w->w;
}

#endif
