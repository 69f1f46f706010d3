"""Arithmetic, element by element. Broadcasting repeats: the gradient of what was repeated is summed."""

from __future__ import annotations

import numpy as np

__all__ = [
    "abs",
    "abs_grad",
    "add",
    "add_grad",
    "div",
    "div_grad",
    "exp",
    "exp_grad",
    "log",
    "log_grad",
    "mul",
    "mul_grad",
    "neg",
    "neg_grad",
    "pow",
    "pow_grad",
    "sqrt",
    "sqrt_grad",
    "sub",
    "sub_grad",
]

Pair = tuple[np.ndarray, np.ndarray]


def _like(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sum `grad` over the axes along which `x` was repeated."""
    while grad.ndim > x.ndim:
        grad = grad.sum(0)
    for axis, size in enumerate(x.shape):
        if size == 1:
            grad = grad.sum(axis, keepdims=True)
    return grad


def add(x: np.ndarray, y: np.ndarray, alpha: float = 1) -> np.ndarray:
    return x + alpha * y


def add_grad(grad: np.ndarray, x: np.ndarray, y: np.ndarray, alpha: float = 1) -> Pair:
    return _like(grad, x), _like(alpha * grad, y)


def sub(x: np.ndarray, y: np.ndarray, alpha: float = 1) -> np.ndarray:
    return x - alpha * y


def sub_grad(grad: np.ndarray, x: np.ndarray, y: np.ndarray, alpha: float = 1) -> Pair:
    return _like(grad, x), _like(-alpha * grad, y)


def mul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x * y


def mul_grad(grad: np.ndarray, x: np.ndarray, y: np.ndarray) -> Pair:
    return _like(grad * y, x), _like(grad * x, y)


def div(x: np.ndarray, y: np.ndarray, rounding_mode: str | None = None) -> np.ndarray:
    """The quotient; rounded towards zero ("trunc") or downwards ("floor"), it is flat almost everywhere."""
    quotient = x / y
    return quotient if rounding_mode is None else np.trunc(quotient) if rounding_mode == "trunc" else np.floor(quotient)


def div_grad(grad: np.ndarray, x: np.ndarray, y: np.ndarray, rounding_mode: str | None = None) -> Pair:
    if rounding_mode:
        return np.zeros_like(x), np.zeros_like(y)
    return _like(grad / y, x), _like(-grad * x / y**2, y)


def pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x**y


def pow_grad(grad: np.ndarray, x: np.ndarray, y: np.ndarray) -> Pair:
    return _like(grad * y * x ** (y - 1), x), _like(grad * x**y * np.log(x), y)


def neg(x: np.ndarray) -> np.ndarray:
    return -x


def neg_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    return -grad


def abs(x: np.ndarray) -> np.ndarray:
    return np.abs(x)


def abs_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    return grad * np.sign(x)


def exp(x: np.ndarray) -> np.ndarray:
    return np.exp(x)


def exp_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    return grad * np.exp(x)


def log(x: np.ndarray) -> np.ndarray:
    return np.log(x)


def log_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    return grad / x


def sqrt(x: np.ndarray) -> np.ndarray:
    return np.sqrt(x)


def sqrt_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    return grad / (2 * np.sqrt(x))
