"""Activations. ``visualize.plot_activations()`` draws them."""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "celu", "celu_grad", "elu", "elu_grad", "gelu", "gelu_grad", "hardsigmoid", "hardsigmoid_grad", "hardswish",
    "hardswish_grad", "hardtanh", "hardtanh_grad", "leaky_relu", "leaky_relu_grad", "log_softmax", "log_softmax_grad",
    "maxout", "maxout_grad", "mish", "mish_grad", "prelu", "prelu_grad", "relu", "relu6", "relu6_grad", "relu_grad",
    "rrelu", "rrelu_grad", "scaled_tanh", "scaled_tanh_grad", "selu", "selu_grad", "sigmoid", "sigmoid_grad", "silu",
    "silu_grad", "softmax", "softmax_grad", "softplus", "softplus_grad", "tanh", "tanh_grad",
]  # fmt: skip

_erfc = np.vectorize(math.erfc, otypes=[float])


def _gated(x: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """x times a gate that is 0 far below: so is the product, at minus infinity too."""
    return np.maximum(x, np.finfo(x.dtype).min) * gate


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


def scaled_tanh(x: np.ndarray) -> np.ndarray:
    """1.7159 tanh(2 x / 3)."""
    return 1.7159 * np.tanh(2 / 3 * x)


def scaled_tanh_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1.7159 * 2/3 * (1 - tanh^2)."""
    return grad * 1.7159 * 2 / 3 * (1 - np.tanh(2 / 3 * x) ** 2)


def hardtanh(x: np.ndarray, min_val: float = -1.0, max_val: float = 1.0) -> np.ndarray:
    """x between min_val and max_val."""
    return np.clip(x, min_val, max_val)


def hardtanh_grad(grad: np.ndarray, x: np.ndarray, min_val: float = -1.0, max_val: float = 1.0) -> np.ndarray:
    """The gradient passes strictly between them."""
    return np.where((x <= min_val) | (x >= max_val), 0, grad)


def relu6(x: np.ndarray) -> np.ndarray:
    """min(max(x, 0), 6)."""
    return hardtanh(x, 0, 6)


def relu6_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient passes between 0 and 6."""
    return hardtanh_grad(grad, x, 0, 6)


def hardsigmoid(x: np.ndarray) -> np.ndarray:
    """A straight line from 0 at -3 to 1 at 3."""
    return np.clip(x + 3, 0, 6) / 6


def hardsigmoid_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Its slope."""
    return np.where(np.abs(x) < 3, grad / 6, 0)


def leaky_relu(x: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    """x above 0, negative_slope * x below."""
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_grad(grad: np.ndarray, x: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    """1 above 0, negative_slope below."""
    return np.where(x > 0, grad, negative_slope * grad)


def _slopes(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A slope for all, or one for each channel, broadcast along the other axes."""
    return weight.reshape(-1, *[1] * (x.ndim - 2)) if weight.size > 1 else weight.reshape(())


def prelu(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x above 0, weight * x below."""
    return np.where(x > 0, x, _slopes(weight, x) * x)


def prelu_grad(grad: np.ndarray, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """A slope's gradient is the sum of grad * x where x is not above 0."""
    each = np.where(x > 0, 0, grad * x)
    axes = (0, *range(2, x.ndim)) if weight.size > 1 else None
    return np.where(x > 0, grad, _slopes(weight, x) * grad), np.sum(each, axis=axes).reshape(weight.shape)


def rrelu(x: np.ndarray, lower: float = 1 / 8, upper: float = 1 / 3) -> np.ndarray:
    """In evaluation: leaky ReLU with the mean slope."""
    return leaky_relu(x, (lower + upper) / 2)


def rrelu_grad(grad: np.ndarray, x: np.ndarray, lower: float = 1 / 8, upper: float = 1 / 3) -> np.ndarray:
    """1 above 0, the mean slope below."""
    return leaky_relu_grad(grad, x, (lower + upper) / 2)


def elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """x above 0, alpha (e^x - 1) below."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_grad(grad: np.ndarray, x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """1 above 0, alpha e^x below."""
    return grad * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def selu(x: np.ndarray) -> np.ndarray:
    """ELU, scaled so that mean 0 and variance 1 stay what they are."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def selu_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """ELU's, scaled."""
    return 1.0507009873554805 * elu_grad(grad, x, 1.6732632423543772)


def celu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """x above 0, alpha (e^(x / alpha) - 1) below."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def celu_grad(grad: np.ndarray, x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """1 above 0, e^(x / alpha) below."""
    return grad * np.where(x > 0, 1, np.exp(np.minimum(x, 0) / alpha))


def softplus(x: np.ndarray, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """log(1 + e^(beta x)) / beta, with the e^-|beta x| that cannot overflow."""
    z = beta * x
    return np.where(z > threshold, x, (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta)


def softplus_grad(grad: np.ndarray, x: np.ndarray, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """sigmoid(beta x)."""
    return grad * np.where(beta * x > threshold, 1, sigmoid(beta * x))


def gelu(x: np.ndarray, approximate: str = "none") -> np.ndarray:
    """x times the probability of a normal number below x."""
    if approximate == "tanh":
        return _gated(x, sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return _gated(x, _erfc(-x / math.sqrt(2)) / 2)


def gelu_grad(grad: np.ndarray, x: np.ndarray, approximate: str = "none") -> np.ndarray:
    """That probability + x times the normal density."""
    if approximate == "tanh":
        s = sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        return grad * (s + x * s * (1 - s) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2))
    return grad * (_erfc(-x / math.sqrt(2)) / 2 + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))


def silu(x: np.ndarray) -> np.ndarray:
    """x sigmoid(x)."""
    return _gated(x, sigmoid(x))


def silu_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """s (1 + x (1 - s))."""
    s = sigmoid(x)
    return grad * s * (1 + x * (1 - s))


def hardswish(x: np.ndarray) -> np.ndarray:
    """x hardsigmoid(x)."""
    return _gated(x, hardsigmoid(x))


def hardswish_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """0 below -3, x / 3 + 1/2 up to 3, 1 above."""
    return grad * np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1))


def mish(x: np.ndarray) -> np.ndarray:
    """x tanh(softplus(x))."""
    return _gated(x, np.tanh(softplus(x)))


def mish_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """w + x (1 - w^2) sigmoid(x), with w = tanh(softplus(x))."""
    w = np.tanh(softplus(x))
    return grad * (w + x * (1 - w**2) * sigmoid(x))


def _pieces(x: np.ndarray, pieces: int, dim: int) -> np.ndarray:
    """The axis `dim` cut in two: pieces, outputs."""
    return x.reshape(*x.shape[:dim], pieces, -1, *x.shape[dim + 1 :])


def maxout(x: np.ndarray, pieces: int, dim: int = 1) -> np.ndarray:
    """The largest of the pieces."""
    return _pieces(x, pieces, dim).max(axis=dim)


def maxout_grad(grad: np.ndarray, x: np.ndarray, pieces: int, dim: int = 1) -> np.ndarray:
    """The gradient goes to the first that is the largest."""
    cut = _pieces(x, pieces, dim)
    grad_cut = np.zeros_like(cut)
    winner = np.expand_dims(cut.argmax(axis=dim), dim)
    np.put_along_axis(grad_cut, winner, np.expand_dims(grad, dim), axis=dim)
    return grad_cut.reshape(x.shape)


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
