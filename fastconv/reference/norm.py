"""Normalisation."""

from __future__ import annotations

import numpy as np

__all__ = ["batch_norm", "batch_norm_grad"]


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
