"""Convolution: as what it means, and as im2col and a matrix product.

x is (N, C, H, W), w (C_out, C / groups, kh, kw), b (C_out,) or None.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = ["col2im", "conv2d", "conv2d_grad", "conv2d_im2col", "conv2d_im2col_grad", "im2col"]

Size = int | tuple[int, int]


def _pair(value: Size) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _windows(x: np.ndarray, kernel: tuple[int, int], stride: Size, padding: Size, dilation: Size) -> np.ndarray:
    """View the zero-padded x as (N, C, out y, out x, tap y, tap x), every tap of every output pixel."""
    (sy, sx), (py, px), (dy, dx) = _pair(stride), _pair(padding), _pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    n, c, h, w = padded.shape
    out_h = (h - dy * (kernel[0] - 1) - 1) // sy + 1
    out_w = (w - dx * (kernel[1] - 1) - 1) // sx + 1
    image, channel, row, column = padded.strides
    return as_strided(
        padded,
        (n, c, out_h, out_w, *kernel),
        (image, channel, sy * row, sx * column, dy * row, dx * column),
        writeable=False,
    )


def _add_windows(taps: np.ndarray, shape: tuple[int, ...], stride: Size, padding: Size, dilation: Size) -> np.ndarray:
    """The adjoint of `_windows`: add every tap back to the pixel it was read from."""
    (sy, sx), (py, px), (dy, dx) = _pair(stride), _pair(padding), _pair(dilation)
    n, c, h, w = shape
    out_h, out_w, kh, kw = taps.shape[2:]
    padded = np.zeros((n, c, h + 2 * py, w + 2 * px), taps.dtype)
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky * dy, ky * dy + (out_h - 1) * sy + 1, sy)
            columns = slice(kx * dx, kx * dx + (out_w - 1) * sx + 1, sx)
            padded[:, :, rows, columns] += taps[:, :, :, :, ky, kx]
    return padded[:, :, py : py + h, px : px + w]


def _grouped(array: np.ndarray, axis: int, groups: int) -> np.ndarray:
    """Split an axis of channels into (group, channel of the group)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def conv2d(x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups: int = 1) -> np.ndarray:
    """Sum over input channel and taps, for every image, output channel and output pixel: seven loops in one line."""
    taps = _windows(x, w.shape[2:], stride, padding, dilation)
    out = np.einsum("ngcyxij,gocij->ngoyx", _grouped(taps, 1, groups), _grouped(w, 0, groups), optimize=True)
    out = out.reshape(len(x), len(w), *out.shape[3:])
    return out if b is None else out + b[:, None, None]


def conv2d_grad(
    grad, x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups: int = 1
) -> tuple[np.ndarray, ...]:
    """Each factor of a product gets the gradient times the other factor, summed over where it was used."""
    taps = _windows(x, w.shape[2:], stride, padding, dilation)
    split = _grouped(grad, 1, groups)
    grad_w = np.einsum("ngoyx,ngcyxij->gocij", split, _grouped(taps, 1, groups), optimize=True).reshape(w.shape)
    grad_taps = np.einsum("ngoyx,gocij->ngcyxij", split, _grouped(w, 0, groups), optimize=True)
    grad_x = _add_windows(grad_taps.reshape(taps.shape), x.shape, stride, padding, dilation)
    return (grad_x, grad_w) if b is None else (grad_x, grad_w, grad.sum((0, 2, 3)))


def im2col(x, kernel: tuple[int, int], stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> np.ndarray:
    """All taps of an output pixel as one row: (N * out_h * out_w, kh * kw * C), channels running fastest."""
    taps = _windows(x, kernel, stride, padding, dilation).transpose(0, 2, 3, 4, 5, 1)
    return taps.reshape(np.prod(taps.shape[:3]), -1)


def col2im(
    columns, shape: tuple[int, ...], kernel: tuple[int, int], stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> np.ndarray:
    """The adjoint of im2col: sum the rows' entries into an x of this shape."""
    (sy, sx), (py, px), (dy, dx) = _pair(stride), _pair(padding), _pair(dilation)
    out_h = (shape[2] + 2 * py - dy * (kernel[0] - 1) - 1) // sy + 1
    out_w = (shape[3] + 2 * px - dx * (kernel[1] - 1) - 1) // sx + 1
    taps = columns.reshape(shape[0], out_h, out_w, *kernel, shape[1]).transpose(0, 5, 1, 2, 3, 4)
    return _add_windows(taps, shape, stride, padding, dilation)


def conv2d_im2col(x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> np.ndarray:
    """The product of im2col's rows with the weights as a matrix (kh * kw * C, C_out)."""
    out = im2col(x, w.shape[2:], stride, padding, dilation) @ w.transpose(2, 3, 1, 0).reshape(-1, len(w))
    if b is not None:
        out += b
    out_h, out_w = _windows(x, w.shape[2:], stride, padding, dilation).shape[2:4]
    return out.reshape(len(x), out_h, out_w, len(w)).transpose(0, 3, 1, 2)


def conv2d_im2col_grad(
    grad, x, w, b=None, stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> tuple[np.ndarray, ...]:
    """Two matrix products, then col2im."""
    rows = grad.transpose(0, 2, 3, 1).reshape(-1, len(w))
    matrix = w.transpose(2, 3, 1, 0).reshape(-1, len(w))
    product = im2col(x, w.shape[2:], stride, padding, dilation).T @ rows
    grad_w = product.reshape(*w.shape[2:], w.shape[1], len(w)).transpose(3, 2, 0, 1)
    grad_x = col2im(rows @ matrix.T, x.shape, w.shape[2:], stride, padding, dilation)
    return (grad_x, grad_w) if b is None else (grad_x, grad_w, rows.sum(0))
