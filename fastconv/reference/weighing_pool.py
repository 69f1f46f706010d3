"""Pooling that weighs the elements of a window, over any number of axes: tap by tap."""

from __future__ import annotations

from itertools import product

import numpy as np

from fastconv.reference.pool import Size, Windows, avg_pool2d, avg_pool2d_grad, max_pool2d, max_pool2d_grad

_NAMES = ("gaussian_pool", "lp_pool", "mixed_pool", "stochastic_pool", "trainable_pool", "weighted_pool")
__all__ = [f"{name}{axes}d{end}" for name in _NAMES for axes in (1, 2, 3) for end in ("", "_grad")]


def lp_pool2d(
    x: np.ndarray, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> np.ndarray:
    """The p-norm of each window; one that hangs over the edge counts its mean for what is missing."""
    taps = np.prod(Windows(x.shape, kernel_size).kernel)
    return (avg_pool2d(x**norm_type, kernel_size, stride, 0, ceil_mode) * taps) ** (1 / norm_type)


def lp_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Each element's share is (x / norm) ** (p - 1)."""
    taps = np.prod(Windows(x.shape, kernel_size).kernel)
    norm = lp_pool2d(x, norm_type, kernel_size, stride, ceil_mode)
    slope = np.where(norm == 0, 0, grad * norm ** (1 - norm_type) * taps)
    return avg_pool2d_grad(slope, x, kernel_size, stride, 0, ceil_mode) * x ** (norm_type - 1)


def _gaussian(windows: Windows, sigma: float | tuple[float, ...]) -> np.ndarray:
    """The weights of the taps, in order."""
    sigmas = sigma if isinstance(sigma, tuple) else (sigma,) * len(windows.kernel)
    weights = []
    for tap in product(*map(range, windows.kernel)):
        axes = zip(tap, windows.kernel, sigmas, strict=True)
        weights.append(np.exp(-sum(((t - (k - 1) / 2) / s) ** 2 for t, k, s in axes) / 2))
    return np.array(weights) / sum(weights)


def _counted(x: np.ndarray, windows: Windows, weights: np.ndarray, count_include_pad: bool) -> np.ndarray:
    """The weights that count in each window, together."""
    inside = np.ones_like(x)
    if count_include_pad:  # pad with ones, but not beyond the padding
        inside = np.pad(inside, [(0, 0), (0, 0), *((p, p) for p in windows.padding)], constant_values=1)
    wide = np.zeros_like(windows.pad(x, 0))
    shift = (0,) * len(windows.size) if count_include_pad else windows.padding
    place = tuple(slice(s, s + n) for s, n in zip(shift, inside.shape[2:], strict=True))
    whole = (slice(None), slice(None), *place)
    room = wide[whole]
    room[...] = inside[tuple(slice(0, n) for n in room.shape)]
    return sum(w * tap for w, tap in zip(weights, windows.taps(wide), strict=True))


def gaussian_pool2d(
    x: np.ndarray,
    kernel_size: Size,
    sigma: float | tuple[float, ...],
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """The mean of each window, weighted by a Gaussian around its centre."""
    windows = Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    weights = _gaussian(windows, sigma)
    total = sum(w * tap for w, tap in zip(weights, windows.taps(windows.pad(x, 0)), strict=True))
    return total / _counted(x, windows, weights, count_include_pad)


def gaussian_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: Size,
    sigma: float | tuple[float, ...],
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    windows = Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    weights = _gaussian(windows, sigma)
    share = grad / _counted(x, windows, weights, count_include_pad)
    padded = windows.pad(np.zeros_like(x), 0)
    for weight, place in zip(weights, windows.taps(padded), strict=True):
        place += weight * share
    return windows.unpad(padded)


def weighted_pool2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Size | None = None,
    padding: Size = 0,
) -> np.ndarray:
    """The sum of each window with a weight for each position, weight (C or 1, kernel)."""
    windows = Windows(x.shape, weight.shape[1:], stride, padding)
    each = weight.reshape(len(weight), -1).T[(...,) + (None,) * len(windows.size)]
    total = sum(w * tap for w, tap in zip(each, windows.taps(windows.pad(x, 0)), strict=True))
    return total if bias is None else total + bias[(...,) + (None,) * len(windows.size)]


def weighted_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Size | None = None,
    padding: Size = 0,
) -> tuple[np.ndarray, ...]:
    """Of the input, the weight and, where there is one, the bias."""
    windows = Windows(x.shape, weight.shape[1:], stride, padding)
    column = (...,) + (None,) * len(windows.size)
    others = (0, *range(2, x.ndim))
    each = weight.reshape(len(weight), -1).T
    padded, grad_x, grad_w = windows.pad(x, 0), windows.pad(np.zeros_like(x), 0), []
    for w, seen, place in zip(each, windows.taps(padded), windows.taps(grad_x), strict=True):
        place += w[column] * grad
        grad_w.append((grad * seen).sum(others))
    by_channel = np.stack(grad_w, 1).reshape(x.shape[1], *weight.shape[1:])
    found = windows.unpad(grad_x), by_channel.sum(0, keepdims=True) if len(weight) == 1 else by_channel
    return found if bias is None else (*found, grad.sum(others))


def trainable_pool2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> np.ndarray:
    """The sum of each window times a coefficient of its channel plus a bias of its channel."""
    column = (...,) + (None,) * (x.ndim - 2)
    return avg_pool2d(x, kernel_size, stride, padding, divisor_override=1) * weight[column] + bias[column]


def trainable_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> tuple[np.ndarray, ...]:
    """Of the input, the coefficients and the biases."""
    column, others = (...,) + (None,) * (x.ndim - 2), (0, *range(2, x.ndim))
    sums = avg_pool2d(x, kernel_size, stride, padding, divisor_override=1)
    grad_x = avg_pool2d_grad(grad * weight[column], x, kernel_size, stride, padding, divisor_override=1)
    return grad_x, (grad * sums).sum(others), grad.sum(others)


def stochastic_pool2d(
    x: np.ndarray, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False
) -> np.ndarray:
    """What is to be expected if an activation is chosen with a probability proportional to it."""
    windows = Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    taps = np.array(list(windows.taps(windows.pad(np.maximum(x, 0), 0))))
    total = taps.sum(0)
    return np.divide((taps**2).sum(0), total, out=np.zeros_like(total), where=total > 0)


def stochastic_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The derivative of sum a**2 / sum a by an activation a is (2 a - that) / sum a."""
    windows = Windows(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    a = windows.pad(np.maximum(x, 0), 0)
    out, total = stochastic_pool2d(x, kernel_size, stride, padding, ceil_mode), sum(windows.taps(a))
    share = np.divide(grad, total, out=np.zeros_like(grad), where=total > 0)
    grad_x = np.zeros_like(a)
    for value, place in zip(windows.taps(a), windows.taps(grad_x), strict=True):
        place += share * (2 * value - out)
    return np.where(x > 0, windows.unpad(grad_x), 0)


def mixed_pool2d(
    x: np.ndarray,
    kernel_size: Size,
    alpha: float | np.ndarray = 0.5,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
) -> np.ndarray:
    """A mixture of the maximum and the mean of each window."""
    part = np.reshape(alpha, (-1,) + (1,) * (x.ndim - 2))
    largest = max_pool2d(x, kernel_size, stride, padding, 1, ceil_mode)
    return part * largest + (1 - part) * avg_pool2d(x, kernel_size, stride, padding, ceil_mode)


def mixed_pool2d_grad(
    grad: np.ndarray,
    x: np.ndarray,
    kernel_size: Size,
    alpha: float | np.ndarray = 0.5,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Of the input and, where they are an array, of the shares."""
    part = np.reshape(alpha, (-1,) + (1,) * (x.ndim - 2))
    apart = max_pool2d(x, kernel_size, stride, padding, 1, ceil_mode)
    apart = (apart - avg_pool2d(x, kernel_size, stride, padding, ceil_mode)) * grad
    grad_x = max_pool2d_grad(part * grad, x, kernel_size, stride, padding, 1, ceil_mode)
    grad_x += avg_pool2d_grad((1 - part) * grad, x, kernel_size, stride, padding, ceil_mode)
    if not np.ndim(alpha):
        return grad_x
    by_channel = apart.sum((0, *range(2, x.ndim)))
    return grad_x, by_channel if np.size(alpha) > 1 else by_channel.sum(keepdims=True)


gaussian_pool1d = gaussian_pool3d = gaussian_pool2d
gaussian_pool1d_grad = gaussian_pool3d_grad = gaussian_pool2d_grad
lp_pool1d = lp_pool3d = lp_pool2d
lp_pool1d_grad = lp_pool3d_grad = lp_pool2d_grad
mixed_pool1d = mixed_pool3d = mixed_pool2d
mixed_pool1d_grad = mixed_pool3d_grad = mixed_pool2d_grad
stochastic_pool1d = stochastic_pool3d = stochastic_pool2d
stochastic_pool1d_grad = stochastic_pool3d_grad = stochastic_pool2d_grad
trainable_pool1d = trainable_pool3d = trainable_pool2d
weighted_pool1d = weighted_pool3d = weighted_pool2d
trainable_pool1d_grad = trainable_pool3d_grad = trainable_pool2d_grad
weighted_pool1d_grad = weighted_pool3d_grad = weighted_pool2d_grad
