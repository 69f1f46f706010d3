"""Convolution along one, two or three axes: as what it means, and as im2col and a matrix product.

x is (N, C, *size), w (C_out, C / groups, *kernel), b (C_out,) or None; P output pixels see T taps each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = [
    "col2im",
    "conv1d",
    "conv1d_grad",
    "conv2d",
    "conv2d_grad",
    "conv2d_im2col",
    "conv2d_im2col_grad",
    "conv3d",
    "conv3d_grad",
    "im2col",
]

Size = int | tuple[int, ...]
MODES: dict[str, Any] = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def each_axis(value: Size, axes: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * axes


def _pads(padding, size, kernel, stride: Size, dilation: Size) -> list[tuple[int, int]]:
    """Pixels added before and after every axis."""
    axes = len(size)
    spans = [d * (k - 1) + 1 for d, k in zip(each_axis(dilation, axes), kernel, strict=True)]
    if padding == "full":
        return [(span - 1, span - 1) for span in spans]
    if padding in ("same", "same_lower"):
        both = [
            max(0, (-(-n // s) - 1) * s + span - n)
            for n, s, span in zip(size, each_axis(stride, axes), spans, strict=True)
        ]
        return [(t // 2, t - t // 2) if padding == "same" else (t - t // 2, t // 2) for t in both]
    each = each_axis(0 if padding == "valid" else padding, axes)
    return [p if isinstance(p, tuple) else (p, p) for p in each]


def windows(x, kernel, stride: Size = 1, padding=0, dilation: Size = 1, mode="zeros") -> np.ndarray:
    """View the padded x as (N, C, *out, *kernel), every tap of every output pixel."""
    axes = len(kernel)
    pads = _pads(padding, x.shape[2:], kernel, stride, dilation)
    padded = np.pad(x, [(0, 0), (0, 0), *pads], MODES[mode])
    steps, distances = each_axis(stride, axes), each_axis(dilation, axes)
    out = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(padded.shape[2:], kernel, steps, distances, strict=True)
    ]
    pitches = padded.strides[2:]
    strides = [a * b for a, b in zip(steps + distances, pitches * 2, strict=True)]
    return as_strided(padded, (*x.shape[:2], *out, *kernel), (*padded.strides[:2], *strides), writeable=False)


def add_windows(taps, shape, stride: Size = 1, padding=0, dilation: Size = 1, mode="zeros") -> np.ndarray:
    """Add every tap back to the pixel of an x of this shape that it was read from: the adjoint of `windows`."""
    size = shape[2:]
    kernel = taps.shape[2 + len(size) :]
    number = 1 + np.arange(np.prod(size)).reshape(1, 1, *size)  # of the pixels; 0 is outside
    at = windows(number, kernel, stride, padding, dilation, mode)
    at = at[tuple(slice(n) for n in (1, 1, *taps.shape[2:]))]  # a transposed convolution may use fewer windows
    total = np.zeros((shape[0] * shape[1], 1 + number.size), taps.dtype)
    for row, values in zip(total, taps.reshape(len(total), at.size), strict=True):
        np.add.at(row, at.ravel(), values)
    return total[:, 1:].reshape(shape)


def grouped(array: np.ndarray, axis: int, groups: int) -> np.ndarray:
    """Split an axis of channels into (group, channel of the group)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _flat(taps: np.ndarray, groups: int) -> np.ndarray:
    """The result of `windows` as (N, groups, channels of a group, P, T)."""
    axes = (taps.ndim - 2) // 2
    out, kernel = taps.shape[2 : 2 + axes], taps.shape[2 + axes :]
    return grouped(taps.reshape(*taps.shape[:2], int(np.prod(out)), int(np.prod(kernel))), 1, groups)


def _weights(w: np.ndarray, groups: int) -> np.ndarray:
    """w as (groups, output channels of a group, input channels of a group, T)."""
    return grouped(w.reshape(*w.shape[:2], -1), 0, groups)


def conv2d(x, w, b=None, stride: Size = 1, padding=0, dilation: Size = 1, groups=1, padding_mode="zeros"):
    """Sum over input channel and taps, for every image, output channel and output pixel: all loops in one line."""
    taps = windows(x, w.shape[2:], stride, padding, dilation, padding_mode)
    out = np.einsum("ngcpt,goct->ngop", _flat(taps, groups), _weights(w, groups), optimize=True)
    out = out.reshape(len(x), len(w), *taps.shape[2 : x.ndim])
    return out if b is None else out + b.reshape(-1, *[1] * (x.ndim - 2))


def conv2d_grad(grad, x, w, b=None, stride: Size = 1, padding=0, dilation: Size = 1, groups=1, padding_mode="zeros"):
    """Each factor of a product gets the gradient times the other factor, summed over where it was used."""
    taps = windows(x, w.shape[2:], stride, padding, dilation, padding_mode)
    split = grouped(grad.reshape(*grad.shape[:2], int(np.prod(grad.shape[2:]))), 1, groups)
    grad_w = np.einsum("ngop,ngcpt->goct", split, _flat(taps, groups), optimize=True).reshape(w.shape)
    grad_taps = np.einsum("ngop,goct->ngcpt", split, _weights(w, groups), optimize=True).reshape(taps.shape)
    grad_x = add_windows(grad_taps, x.shape, stride, padding, dilation, padding_mode)
    return (grad_x, grad_w) if b is None else (grad_x, grad_w, grad.sum((0, *range(2, x.ndim))))


conv1d = conv3d = conv2d
conv1d_grad = conv3d_grad = conv2d_grad


def im2col(x, kernel: tuple[int, int], stride: Size = 1, padding=0, dilation: Size = 1) -> np.ndarray:
    """All taps of an output pixel as one row: (N * out_h * out_w, kh * kw * C), channels running fastest."""
    taps = windows(x, kernel, stride, padding, dilation).transpose(0, 2, 3, 4, 5, 1)
    return taps.reshape(np.prod(taps.shape[:3]), -1)


def col2im(columns, shape: tuple[int, ...], kernel: tuple[int, int], stride: Size = 1, padding=0, dilation: Size = 1):
    """The adjoint of im2col: sum the rows' entries into an x of this shape."""
    (py, px), (dy, dx), (sy, sx) = each_axis(padding, 2), each_axis(dilation, 2), each_axis(stride, 2)
    n, c, h, w = shape
    out_h = (h + 2 * py - dy * (kernel[0] - 1) - 1) // sy + 1
    out_w = (w + 2 * px - dx * (kernel[1] - 1) - 1) // sx + 1
    taps = columns.reshape(n, out_h, out_w, *kernel, c).transpose(0, 5, 1, 2, 3, 4)
    padded = np.zeros((n, c, h + 2 * py, w + 2 * px), taps.dtype)
    for ky in range(kernel[0]):
        for kx in range(kernel[1]):
            rows = slice(ky * dy, ky * dy + (out_h - 1) * sy + 1, sy)
            across = slice(kx * dx, kx * dx + (out_w - 1) * sx + 1, sx)
            padded[:, :, rows, across] += taps[:, :, :, :, ky, kx]
    return padded[:, :, py : py + h, px : px + w]


def conv2d_im2col(x, w, b=None, stride: Size = 1, padding=0, dilation: Size = 1) -> np.ndarray:
    """The product of im2col's rows with the weights as a matrix (kh * kw * C, C_out)."""
    out = im2col(x, w.shape[2:], stride, padding, dilation) @ w.transpose(2, 3, 1, 0).reshape(-1, len(w))
    if b is not None:
        out += b
    out_h, out_w = windows(x, w.shape[2:], stride, padding, dilation).shape[2:4]
    return out.reshape(len(x), out_h, out_w, len(w)).transpose(0, 3, 1, 2)


def conv2d_im2col_grad(grad, x, w, b=None, stride: Size = 1, padding=0, dilation: Size = 1) -> tuple[np.ndarray, ...]:
    """Two matrix products, then col2im."""
    rows = grad.transpose(0, 2, 3, 1).reshape(-1, len(w))
    matrix = w.transpose(2, 3, 1, 0).reshape(-1, len(w))
    product = im2col(x, w.shape[2:], stride, padding, dilation).T @ rows
    grad_w = product.reshape(*w.shape[2:], w.shape[1], len(w)).transpose(3, 2, 0, 1)
    grad_x = col2im(rows @ matrix.T, x.shape, w.shape[2:], stride, padding, dilation)
    return (grad_x, grad_w) if b is None else (grad_x, grad_w, rows.sum(0))
