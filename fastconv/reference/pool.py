"""Pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["avg_pool2d", "avg_pool2d_grad", "max_pool2d", "max_pool2d_grad"]

Pair = tuple[int, int]


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _out_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    out = room // stride + 1
    if ceil_mode and room % stride and out * stride < size + padding:  # one more window, if it starts inside
        out += 1
    return out


class _Windows:
    """Where windows lie on images with enough room around them: one slice of the padded image for each tap."""

    def __init__(self, shape, kernel_size, stride, padding, dilation, ceil_mode):
        self.kernel, self.padding = _pair(kernel_size), _pair(padding)
        self.stride = self.kernel if stride is None else _pair(stride)
        self.dilation, self.size = _pair(dilation), shape[2:]
        self.out = tuple(
            _out_size(*axis, ceil_mode)
            for axis in zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        )

    def pad(self, x: np.ndarray, value: float) -> np.ndarray:
        """x with its padding, and what the last windows need beyond."""
        ends = [
            (o - 1) * s + d * (k - 1) + 1
            for o, s, d, k in zip(self.out, self.stride, self.dilation, self.kernel, strict=True)
        ]
        room = [(p, max(0, e - n - p)) for p, e, n in zip(self.padding, ends, self.size, strict=True)]
        return np.pad(x, [(0, 0), (0, 0), *room], constant_values=value)

    def unpad(self, padded: np.ndarray) -> np.ndarray:
        (top, left), (h, w) = self.padding, self.size
        return padded[:, :, top : top + h, left : left + w]

    def taps(self, padded: np.ndarray) -> Iterator[np.ndarray]:
        """For every tap, the (N, C, out_h, out_w) view of what all windows see there."""
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                y, x = ky * self.dilation[0], kx * self.dilation[1]
                yield padded[
                    :,
                    :,
                    y : y + (self.out[0] - 1) * self.stride[0] + 1 : self.stride[0],
                    x : x + (self.out[1] - 1) * self.stride[1] + 1 : self.stride[1],
                ]


def _winners(x: np.ndarray, windows: _Windows) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of each window and the number of its tap; a NaN beats everything before it."""
    padded, inside = windows.pad(x, -np.inf), windows.pad(np.ones_like(x, bool), False)
    best = np.full((*x.shape[:2], *windows.out), -np.inf, x.dtype)
    winner = np.full(best.shape, -1)
    for tap, (value, valid) in enumerate(zip(windows.taps(padded), windows.taps(inside), strict=True)):
        better = valid & ((value > best) | np.isnan(value) | (winner < 0))
        best = np.where(better, value, best)
        winner = np.where(better, tap, winner)
    return best, winner


def max_pool2d(
    x: np.ndarray,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The largest value of each window."""
    return _winners(x, _Windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode))[0]


def max_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Each window's gradient goes to its winner."""
    windows = _Windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    winner = _winners(x, windows)[1]
    padded = windows.pad(np.zeros_like(x), 0)
    for tap, place in enumerate(windows.taps(padded)):
        place += np.where(winner == tap, grad, 0)
    return windows.unpad(padded)


def _divisors(windows: _Windows, count_include_pad: bool, divisor_override: int | None) -> np.ndarray | int:
    """What each window's sum is divided by: an array (out_h, out_w), or one number."""
    if divisor_override is not None:
        return divisor_override
    counts = []
    for n, k, s, p, o in zip(windows.size, windows.kernel, windows.stride, windows.padding, windows.out, strict=True):
        first = np.arange(o) * s - p
        last = np.minimum(first + k, n + p)
        counts.append(last - first if count_include_pad else np.minimum(last, n) - np.maximum(first, 0))
    return np.outer(*counts)


def avg_pool2d(
    x: np.ndarray,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """The sum of each window divided by the number of its taps."""
    windows = _Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    total = np.sum(list(windows.taps(windows.pad(x, 0))), axis=0)
    return total / _divisors(windows, count_include_pad, divisor_override)


def avg_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Each window's gradient goes to all its taps, in equal shares."""
    windows = _Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    padded = windows.pad(np.zeros_like(x), 0)
    for place in windows.taps(padded):
        place += grad / _divisors(windows, count_include_pad, divisor_override)
    return windows.unpad(padded)
