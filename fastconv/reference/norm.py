"""Normalisation."""

from __future__ import annotations

import numpy as np

__all__ = [
    "batch_norm",
    "batch_norm_grad",
    "group_norm",
    "group_norm_grad",
    "instance_norm",
    "instance_norm_grad",
    "layer_norm",
    "layer_norm_grad",
    "local_response_norm",
    "local_response_norm_grad",
]


def _per_channel(values: np.ndarray | None, x: np.ndarray, default: float) -> np.ndarray:
    """One number a channel, broadcast along the other axes of `x`."""
    values = np.full(x.shape[1], default, x.dtype) if values is None else values
    return values.reshape(1, -1, *[1] * (x.ndim - 2))


def _others(x: np.ndarray) -> tuple[int, ...]:
    """Every axis but the channels'."""
    return (0, *range(2, x.ndim))


def batch_norm(
    x: np.ndarray,
    running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> np.ndarray:
    """(x - mean) / sqrt(var + eps) * weight + bias; while training by the batch's own moments, which are kept."""
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean(axis=_others(x)), x.var(axis=_others(x))
        n = x.size // x.shape[1]
        if running_mean is not None and running_var is not None:
            running_mean += momentum * (mean - running_mean)
            running_var += momentum * (var * n / (n - 1) - running_var)
    normal = (x - _per_channel(mean, x, 0)) / np.sqrt(_per_channel(var, x, 1) + eps)
    return normal * _per_channel(weight, x, 1) + _per_channel(bias, x, 0)


def batch_norm_grad(
    grad: np.ndarray,
    x: np.ndarray,
    running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[np.ndarray, ...]:
    """With the normalised x' and g' = grad * weight: (g' - mean of g' - x' mean of (g' x')) / sqrt(var + eps)."""
    axes = _others(x)
    mean, var = (x.mean(axis=axes), x.var(axis=axes)) if training else (running_mean, running_var)
    deviation = np.sqrt(_per_channel(var, x, 1) + eps)
    normal = (x - _per_channel(mean, x, 0)) / deviation
    grad_x = grad * _per_channel(weight, x, 1)
    if training:
        grad_x = (
            grad_x - grad_x.mean(axis=axes, keepdims=True) - normal * (grad_x * normal).mean(axis=axes, keepdims=True)
        )
    grads = [grad_x / deviation]
    if weight is not None:
        grads.append((grad * normal).sum(axis=axes))
    if bias is not None:
        grads.append(grad.sum(axis=axes))
    return tuple(grads)


def _standard(x: np.ndarray, axes: tuple[int, ...], eps: float) -> tuple[np.ndarray, np.ndarray]:
    """x' = (x - mean) / deviation over some axes, and the deviation."""
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return (x - x.mean(axis=axes, keepdims=True)) / deviation, deviation


def _standard_grad(grad: np.ndarray, normal: np.ndarray, deviation: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """(g - mean of g - x' mean of (g x')) / deviation."""
    product = (grad * normal).mean(axis=axes, keepdims=True)
    return (grad - grad.mean(axis=axes, keepdims=True) - normal * product) / deviation


def group_norm(
    x: np.ndarray,
    num_groups: int,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    eps: float = 1e-5,
) -> np.ndarray:
    """Every group of channels of every image by its own mean and variance."""
    normal, _ = _standard(x.reshape(len(x), num_groups, -1), (2,), eps)
    return normal.reshape(x.shape) * _per_channel(weight, x, 1) + _per_channel(bias, x, 0)


def group_norm_grad(
    grad: np.ndarray,
    x: np.ndarray,
    num_groups: int,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    eps: float = 1e-5,
) -> tuple[np.ndarray, ...]:
    """Of input, weight and bias."""
    cut = (len(x), num_groups, -1)
    normal, deviation = _standard(x.reshape(cut), (2,), eps)
    grad_x = _standard_grad((grad * _per_channel(weight, x, 1)).reshape(cut), normal, deviation, (2,))
    grads = [grad_x.reshape(x.shape)]
    if weight is not None:
        grads.append((grad * normal.reshape(x.shape)).sum(axis=_others(x)))
    if bias is not None:
        grads.append(grad.sum(axis=_others(x)))
    return tuple(grads)


def instance_norm(
    x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None, eps: float = 1e-5
) -> np.ndarray:
    """Every channel of every image by its own mean and variance."""
    return group_norm(x, x.shape[1], weight, bias, eps)


def instance_norm_grad(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    eps: float = 1e-5,
) -> tuple[np.ndarray, ...]:
    """Of input, weight and bias."""
    return group_norm_grad(grad, x, x.shape[1], weight, bias, eps)


def layer_norm(
    x: np.ndarray,
    normalized_shape: tuple[int, ...],
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    eps: float = 1e-5,
) -> np.ndarray:
    """The last axes of every sample by their own mean and variance."""
    normal, _ = _standard(x, tuple(range(-len(normalized_shape), 0)), eps)
    return normal * (1 if weight is None else weight) + (0 if bias is None else bias)


def layer_norm_grad(
    grad: np.ndarray,
    x: np.ndarray,
    normalized_shape: tuple[int, ...],
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    eps: float = 1e-5,
) -> tuple[np.ndarray, ...]:
    """Of input, weight and bias."""
    axes = tuple(range(-len(normalized_shape), 0))
    samples = tuple(range(x.ndim - len(normalized_shape)))
    normal, deviation = _standard(x, axes, eps)
    grads = [_standard_grad(grad * (1 if weight is None else weight), normal, deviation, axes)]
    if weight is not None:
        grads.append((grad * normal).sum(axis=samples))
    if bias is not None:
        grads.append(grad.sum(axis=samples))
    return tuple(grads)


def _neighbours(x: np.ndarray, before: int, after: int) -> np.ndarray:
    """For every channel the sum of `before` channels before it, itself and `after` after it."""
    padded = np.pad(x, [(0, 0), (before, after)] + [(0, 0)] * (x.ndim - 2))
    return np.lib.stride_tricks.sliding_window_view(padded, before + 1 + after, axis=1).sum(axis=-1)


def local_response_norm(
    x: np.ndarray, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """x / (k + alpha / size * (sum of the squares of `size` neighbouring channels))^beta."""
    return x * (k + alpha / size * _neighbours(x * x, size // 2, (size - 1) // 2)) ** -beta


def local_response_norm_grad(
    grad: np.ndarray, x: np.ndarray, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """A channel's share in its neighbours' scales: those that have it in their windows."""
    d = k + alpha / size * _neighbours(x * x, size // 2, (size - 1) // 2)
    shares = _neighbours(grad * x * d ** (-beta - 1), (size - 1) // 2, size // 2)
    return grad * d**-beta - 2 * alpha * beta / size * x * shares
