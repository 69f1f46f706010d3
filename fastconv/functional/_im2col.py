"""Convolution as one matrix product with the weights (C_out, kh * kw * C), by way of all columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastconv import _kernels
from fastconv._kernels import Conv2d, channels_last
from fastconv.functional import _conv2d
from fastconv.functional._padding import pad

__all__ = ["convolve"]

Gradients = tuple["np.ndarray | None", ...]


def convolve(
    conv: Conv2d, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, wants: Sequence[bool]
) -> tuple[np.ndarray, Callable[[np.ndarray], Gradients]]:
    """Return the convolution, and the function that gives the gradients of x, w and b where they are wanted."""
    whole = conv
    if conv.padded is not None:
        x, conv = pad(x, *_conv2d.pads(conv)), conv.padded
    batch, c_out, h, wide = conv.out_shape
    columns = _kernels.empty((batch * h * wide, w[0].size), x.dtype)
    _kernels.im2col(conv.window, channels_last(x), columns)
    matrix = np.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(c_out, -1)
    out = _kernels.empty((batch, h, wide, c_out), x.dtype)
    _kernels.linear(columns, matrix, b, out.reshape(-1, c_out))

    def backward(grad: np.ndarray) -> Gradients:
        rows = np.ascontiguousarray(channels_last(grad).transpose(0, 2, 3, 1)).reshape(-1, c_out)
        grad_x = grad_w = None
        if wants[1]:
            product = _kernels.empty_like(matrix)
            _kernels.linear_grad_weight(columns, rows, product)
            grad_w = np.ascontiguousarray(product.reshape(c_out, *w.shape[2:], -1).transpose(0, 3, 1, 2))
        if wants[0]:
            grad_x = _conv2d.grad_input(whole, _conv2d.IM2COL, grad, w)
        return grad_x, grad_w, _conv2d.channel_sum(grad) if wants[2] else None

    return out.transpose(0, 3, 1, 2), backward
