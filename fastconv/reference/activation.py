"""Activations."""

from __future__ import annotations

import numpy as np

__all__ = [
    "log_softmax",
    "log_softmax_grad",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_grad",
    "tanh",
    "tanh_grad",
]


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0); NaN stays NaN."""
    return np.maximum(x, 0)


def relu_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient passes where x > 0 (or is NaN)."""
    return np.where(x <= 0, 0, grad)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), with the e^-|x| that cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def sigmoid_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """s' = s (1 - s)."""
    s = sigmoid(x)
    return grad * s * (1 - s)


def tanh(x: np.ndarray) -> np.ndarray:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return np.tanh(x)


def tanh_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """tanh' = 1 - tanh^2."""
    return grad * (1 - np.tanh(x) ** 2)


def softmax(x: np.ndarray, dim: int = -1) -> np.ndarray:
    """e^x / sum of e^x; subtracting the maximum changes nothing but keeps e^x finite."""
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def softmax_grad(grad: np.ndarray, x: np.ndarray, dim: int = -1) -> np.ndarray:
    """With p = softmax(x): dp_i/dx_j = p_i ([i = j] - p_j)."""
    p = softmax(x, dim)
    return p * (grad - (p * grad).sum(axis=dim, keepdims=True))


def log_softmax(x: np.ndarray, dim: int = -1) -> np.ndarray:
    """x - log(sum of e^x)."""
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


def log_softmax_grad(grad: np.ndarray, x: np.ndarray, dim: int = -1) -> np.ndarray:
    """d log p_i/dx_j = [i = j] - p_j."""
    return grad - softmax(x, dim) * grad.sum(axis=dim, keepdims=True)
