"""Fully connected layers: x is (..., in), w (out, in), b (out,) or None."""

from __future__ import annotations

import numpy as np

__all__ = ["linear", "linear_grad", "rbf", "rbf_grad"]


def linear(x, w, b=None) -> np.ndarray:
    return x @ w.T if b is None else x @ w.T + b


def linear_grad(grad, x, w, b=None) -> tuple[np.ndarray, ...]:
    rows, given = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
    return (grad @ w, rows.T @ given) if b is None else (grad @ w, rows.T @ given, rows.sum(0))


def rbf(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return ((x[..., None, :] - weight) ** 2).sum(-1)


def rbf_grad(grad: np.ndarray, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    apart = 2 * grad[..., None] * (x[..., None, :] - weight)
    return apart.sum(-2), -apart.reshape(-1, *weight.shape).sum(0)
