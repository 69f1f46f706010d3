"""Windows as columns and back, zeros between pixels, convolution without shared weights."""

from __future__ import annotations

import numpy as np

from fastconv.reference.conv import Size, add_windows, each_axis, windows

__all__ = [
    "fold",
    "fold_grad",
    "locally_connected2d",
    "locally_connected2d_grad",
    "unfold",
    "unfold_grad",
    "zero_insert",
    "zero_insert_grad",
]


def unfold(x, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> np.ndarray:
    """The taps (N, C, out_h, out_w, kh, kw) as (N, C * kh * kw, out_h * out_w)."""
    taps = windows(x, each_axis(kernel_size, 2), stride, padding, dilation)
    n, c, out_h, out_w, kh, kw = taps.shape
    return taps.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, out_h * out_w)


def unfold_grad(grad, x, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> np.ndarray:
    """Every column's taps added to the pixels they were."""
    return fold(grad, x.shape[2:], kernel_size, dilation, padding, stride)


def fold(
    columns, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> np.ndarray:
    """The adjoint of unfold."""
    kernel, size = each_axis(kernel_size, 2), each_axis(output_size, 2)
    shape = (len(columns), columns.shape[1] // (kernel[0] * kernel[1]), *size)
    out = windows(np.zeros(shape), kernel, stride, padding, dilation).shape[2:4]
    taps = columns.reshape(*shape[:2], *kernel, *out).transpose(0, 1, 4, 5, 2, 3)
    return add_windows(taps, shape, stride, padding, dilation)


def fold_grad(
    grad, columns, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> np.ndarray:
    """The adjoint of the adjoint."""
    return unfold(grad, kernel_size, dilation, padding, stride)


def _places(factors: Size) -> tuple:
    return (..., *(slice(None, None, s) for s in each_axis(factors, 2)))


def zero_insert(x, factors: Size) -> np.ndarray:
    """Every element to `factor` times its place."""
    steps = each_axis(factors, 2)
    kept = x.ndim - len(steps)
    out = np.zeros((*x.shape[:kept], *((n - 1) * s + 1 for n, s in zip(x.shape[kept:], steps, strict=True))))
    out[_places(factors)] = x
    return out


def zero_insert_grad(grad, x, factors: Size) -> np.ndarray:
    """Those places again."""
    return grad[_places(factors)]


def locally_connected2d(x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> np.ndarray:
    """The sum of conv2d with weights w (out_h, out_w, C_out, C, kh, kw) that depend on the output pixel."""
    out = np.einsum("ncyxij,yxocij->noyx", windows(x, w.shape[4:], stride, padding, dilation), w, optimize=True)
    return out if b is None else out + b


def locally_connected2d_grad(
    grad, x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> tuple[np.ndarray, ...]:
    """Each factor of a product gets the gradient times the other factor, summed over where it was used."""
    grad_w = np.einsum("noyx,ncyxij->yxocij", grad, windows(x, w.shape[4:], stride, padding, dilation), optimize=True)
    taps = np.einsum("noyx,yxocij->ncyxij", grad, w, optimize=True)
    grad_x = add_windows(taps, x.shape, stride, padding, dilation)
    return (grad_x, grad_w) if b is None else (grad_x, grad_w, grad.sum(0))
