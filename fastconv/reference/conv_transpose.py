"""Transposed convolution along one, two or three axes: what convolution reads, this writes.

x is (N, C, *size), w (C, C_out / groups, *kernel), b (C_out,) or None.
"""

from __future__ import annotations

import numpy as np

from fastconv.reference.conv import Size, add_windows, conv2d, conv2d_grad, each_axis, grouped

__all__ = [
    "conv_transpose1d",
    "conv_transpose1d_grad",
    "conv_transpose2d",
    "conv_transpose2d_grad",
    "conv_transpose3d",
    "conv_transpose3d_grad",
]


def conv_transpose2d(
    x, w, b=None, stride: Size = 1, padding=0, output_padding: Size = 0, groups=1, dilation: Size = 1
) -> np.ndarray:
    """Every input pixel times all weights, each product added where its tap is."""
    axes = x.ndim - 2
    pads = [p if isinstance(p, tuple) else (p, p) for p in each_axis(padding, axes)]
    options = (each_axis(stride, axes), each_axis(dilation, axes), each_axis(output_padding, axes))
    size = [
        (n - 1) * s + d * (k - 1) + extra + 1 - sum(pad)
        for n, k, pad, s, d, extra in zip(x.shape[2:], w.shape[2:], pads, *options, strict=True)
    ]
    pixels = grouped(x.reshape(*x.shape[:2], int(np.prod(x.shape[2:]))), 1, groups)
    weights = grouped(w.reshape(*w.shape[:2], -1), 0, groups)
    taps = np.einsum("ngip,giot->ngopt", pixels, weights, optimize=True)
    taps = taps.reshape(len(x), groups * w.shape[1], *x.shape[2:], *w.shape[2:])
    out = add_windows(taps, (*taps.shape[:2], *size), stride, tuple(pads), dilation)
    return out if b is None else out + b.reshape(-1, *[1] * axes)


def conv_transpose2d_grad(
    grad, x, w, b=None, stride: Size = 1, padding=0, output_padding: Size = 0, groups=1, dilation: Size = 1
) -> tuple[np.ndarray, ...]:
    """The transpose of a transpose is convolution; the weights get that one's gradient, where x was the gradient."""
    each = x.shape[2:]
    grad_x = conv2d(grad, w, None, stride, padding, dilation, groups)
    inside = (slice(None), slice(None), *(slice(n) for n in each))  # more only where output_padding exceeds the stride
    wide = np.zeros_like(grad_x)
    wide[inside] = x
    grad_w = conv2d_grad(wide, grad, w, None, stride, padding, dilation, groups)[1]
    grad_x = grad_x[inside]
    return (grad_x, grad_w) if b is None else (grad_x, grad_w, grad.sum((0, *range(2, x.ndim))))


conv_transpose1d = conv_transpose3d = conv_transpose2d
conv_transpose1d_grad = conv_transpose3d_grad = conv_transpose2d_grad
