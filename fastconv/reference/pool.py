"""Pooling over any number of axes: (N, C, ...)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

__all__ = [
    "avg_pool1d",
    "avg_pool1d_grad",
    "avg_pool2d",
    "avg_pool2d_grad",
    "avg_pool3d",
    "avg_pool3d_grad",
    "max_pool1d",
    "max_pool1d_grad",
    "max_pool2d",
    "max_pool2d_grad",
    "max_pool3d",
    "max_pool3d_grad",
    "max_pool_indices",
    "max_unpool1d",
    "max_unpool1d_grad",
    "max_unpool2d",
    "max_unpool2d_grad",
    "max_unpool3d",
    "max_unpool3d_grad",
]

Size = int | tuple[int, ...]


def _out_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    out = room // stride + 1
    if ceil_mode and room % stride and out * stride < size + padding:  # one more window, if it starts inside
        out += 1
    return out


class Windows:
    """Where windows lie on images with enough room around them: one slice of the padded image for each tap."""

    def __init__(self, shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        self.size = shape[2:]
        self.kernel, self.padding, self.dilation = map(self._each, (kernel_size, padding, dilation))
        self.stride = self.kernel if stride is None else self._each(stride)
        self.out = tuple(
            _out_size(*axis, ceil_mode)
            for axis in zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        )

    def _each(self, value: Size) -> tuple[int, ...]:
        return (value,) * len(self.size) if isinstance(value, int) else value

    def pad(self, x: np.ndarray, value: float) -> np.ndarray:
        """x with its padding, and what the last windows need beyond."""
        ends = [
            (o - 1) * s + d * (k - 1) + 1
            for o, s, d, k in zip(self.out, self.stride, self.dilation, self.kernel, strict=True)
        ]
        room = [(p, max(0, e - n - p)) for p, e, n in zip(self.padding, ends, self.size, strict=True)]
        return np.pad(x, [(0, 0), (0, 0), *room], constant_values=value)

    def unpad(self, padded: np.ndarray) -> np.ndarray:
        inner = (slice(p, p + n) for p, n in zip(self.padding, self.size, strict=True))
        whole = (slice(None), slice(None), *inner)
        return padded[whole]

    def taps(self, padded: np.ndarray) -> Iterator[np.ndarray]:
        """For every tap, the (N, C, ...) view of what all windows see there."""
        for tap in product(*map(range, self.kernel)):
            starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
            each = zip(starts, self.out, self.stride, strict=True)
            inner = (slice(first, first + (o - 1) * s + 1, s) for first, o, s in each)
            seen = (slice(None), slice(None), *inner)
            yield padded[seen]


def _winners(x: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
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
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The largest value of each window."""
    return _winners(x, Windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode))[0]


def max_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Each window's gradient goes to its winner."""
    windows = Windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    winner = _winners(x, windows)[1]
    padded = windows.pad(np.zeros_like(x), 0)
    for tap, place in enumerate(windows.taps(padded)):
        place += np.where(winner == tap, grad, 0)
    return windows.unpad(padded)


def max_pool_indices(
    x: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Where the largest values are: elements of a channel, counted in C order."""
    windows = Windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    winner = _winners(x, windows)[1]
    numbers = np.arange(np.prod(x.shape[2:])).reshape(1, 1, *x.shape[2:])
    seen = np.stack([np.broadcast_to(tap, winner.shape) for tap in windows.taps(windows.pad(numbers, 0))])
    return np.take_along_axis(seen, winner[None], 0)[0]


def max_unpool2d(x: np.ndarray, indices: np.ndarray, output_size: tuple[int, ...]) -> np.ndarray:
    """Zeros, but each value where its index says."""
    out = np.zeros((*x.shape[:2], int(np.prod(output_size))), x.dtype)
    for n, c in np.ndindex(x.shape[:2]):
        out[n, c, indices[n, c].ravel()] = x[n, c].ravel()
    return out.reshape(*x.shape[:2], *output_size)


def max_unpool2d_grad(grad: np.ndarray, x: np.ndarray, indices: np.ndarray, output_size: tuple[int, ...]) -> np.ndarray:
    """Each value's gradient comes from where it went."""
    flat = grad.reshape(*grad.shape[:2], -1)
    return np.take_along_axis(flat, indices.reshape(*x.shape[:2], -1), 2).reshape(x.shape)


def _divisors(windows: Windows, count_include_pad: bool, divisor_override: int | None) -> np.ndarray:
    """What each window's sum is divided by: of the shape of the output's last axes, or one number."""
    divisors = np.array(divisor_override or 1)
    if divisor_override is not None:
        return divisors
    for n, k, s, p, o in zip(windows.size, windows.kernel, windows.stride, windows.padding, windows.out, strict=True):
        first = np.arange(o) * s - p
        last = np.minimum(first + k, n + p)
        counts = last - first if count_include_pad else np.minimum(last, n) - np.maximum(first, 0)
        divisors = np.multiply.outer(divisors, counts)
    return divisors


def avg_pool2d(
    x: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """The sum of each window divided by the number of its taps."""
    windows = Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    total = np.sum(list(windows.taps(windows.pad(x, 0))), axis=0)
    return total / _divisors(windows, count_include_pad, divisor_override)


def avg_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Each window's gradient goes to all its taps, in equal shares."""
    windows = Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    padded = windows.pad(np.zeros_like(x), 0)
    for place in windows.taps(padded):
        place += grad / _divisors(windows, count_include_pad, divisor_override)
    return windows.unpad(padded)


max_pool1d = max_pool3d = max_pool2d
max_pool1d_grad = max_pool3d_grad = max_pool2d_grad
max_unpool1d = max_unpool3d = max_unpool2d
max_unpool1d_grad = max_unpool3d_grad = max_unpool2d_grad
avg_pool1d = avg_pool3d = avg_pool2d
avg_pool1d_grad = avg_pool3d_grad = avg_pool2d_grad
