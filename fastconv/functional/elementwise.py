"""Arithmetic, element by element, with NumPy's broadcasting.

Two arrays of an operation must have one float dtype; Python numbers take the other operand's, and so do integer and
bool arrays beside a float one. Overflow and division by zero give inf and nan without a warning, as in the kernels.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.arrays import F32
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.tensor import Tensor, array_of, wrap

__all__ = [
    "abs",
    "add",
    "div",
    "dropout",
    "eq",
    "exp",
    "ge",
    "gt",
    "le",
    "log",
    "lt",
    "mul",
    "ne",
    "neg",
    "pow",
    "sqrt",
    "sub",
]

_SCALARS = (int, float, np.integer, np.floating, np.bool_)


def add(input: Any, other: Any) -> Tensor:
    """Return ``input + other``.

    Examples
    --------
    >>> add([1.0, 2.0], 0.5)
    tensor([1.5, 2.5])
    """
    x, y = _operands("add", input, other)
    out = _apply("add", np.add, x, y)
    x_shape, y_shape = x.shape, y.shape
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return sum_to(grad, x_shape) if need_x else None, sum_to(grad, y_shape) if need_y else None

    return record(out, backward, (input, other))


def sub(input: Any, other: Any) -> Tensor:
    """Return ``input - other``."""
    x, y = _operands("sub", input, other)
    out = _apply("sub", np.subtract, x, y)
    x_shape, y_shape = x.shape, y.shape
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return sum_to(grad, x_shape) if need_x else None, -sum_to(grad, y_shape) if need_y else None

    return record(out, backward, (input, other))


def mul(input: Any, other: Any) -> Tensor:
    """Return ``input * other``."""
    x, y = _operands("mul", input, other)
    out = _apply("mul", np.multiply, x, y)
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return sum_to(grad * y, x.shape) if need_x else None, sum_to(grad * x, y.shape) if need_y else None

    return record(out, backward, (input, other))


def div(input: Any, other: Any) -> Tensor:
    """Return ``input / other``; integers become float32."""
    x, y = _operands("div", input, other)
    if x.dtype.kind != "f":
        x, y = x.astype(F32), y.astype(F32)
    out = _apply("div", np.true_divide, x, y)
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad_x = grad / y
        return sum_to(grad_x, x.shape) if need_x else None, sum_to(-grad_x * x / y, y.shape) if need_y else None

    return record(out, backward, (input, other))


def pow(input: Any, exponent: Any) -> Tensor:
    """Return ``input ** exponent``.

    The gradient with respect to `input` is 0 where `exponent` is 0; with respect to `exponent` it is 0 where `input`
    is 0 and `exponent` is not negative.
    """
    x, y = _operands("pow", input, exponent, "exponent")
    out = _apply("pow", operator.pow, x, y)  # not numpy.power, which has no short cuts for squares and roots
    need_x, need_y = needs_grad(input), needs_grad(exponent)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad_x = grad_y = None
        if need_x:
            slope = grad * y * x ** (y - y.dtype.type(1))
            grad_x = sum_to(np.where(y == 0, y.dtype.type(0), slope), x.shape)
        if need_y:
            grad_y = sum_to(np.where((x == 0) & (y >= 0), x.dtype.type(0), grad * out * np.log(x)), y.shape)
        return grad_x, grad_y

    return record(out, backward, (input, exponent))


def neg(input: Any) -> Tensor:
    """Return ``-input``."""
    x = array_of(input, "neg: input")
    return record(_apply("neg", np.negative, x), lambda grad: (-grad,), (input,))


def abs(input: Any) -> Tensor:
    """Return the absolute value; its gradient at 0 is 0."""
    x = array_of(input, "abs: input")
    return record(np.abs(x), lambda grad: (grad * np.sign(x),), (input,))


def exp(input: Any) -> Tensor:
    """Return e to the power of `input`."""
    out = _apply("exp", np.exp, as_array(input, "exp", "input"))
    return record(out, lambda grad: (grad * out,), (input,))


def log(input: Any) -> Tensor:
    """Return the natural logarithm: -inf of 0, nan of negative numbers."""
    x = as_array(input, "log", "input")
    return record(_apply("log", np.log, x), lambda grad: (grad / x,), (input,))


def sqrt(input: Any) -> Tensor:
    """Return the square root: nan of negative numbers."""
    out = _apply("sqrt", np.sqrt, as_array(input, "sqrt", "input"))
    return record(out, lambda grad: (grad / (out + out),), (input,))


def eq(input: Any, other: Any) -> Tensor:
    """Return where ``input == other``, as a bool Tensor without a gradient."""
    return wrap(_apply("eq", np.equal, *_operands("eq", input, other)))


def ne(input: Any, other: Any) -> Tensor:
    """Return where ``input != other``, as a bool Tensor without a gradient."""
    return wrap(_apply("ne", np.not_equal, *_operands("ne", input, other)))


def lt(input: Any, other: Any) -> Tensor:
    """Return where ``input < other``, as a bool Tensor without a gradient."""
    return wrap(_apply("lt", np.less, *_operands("lt", input, other)))


def le(input: Any, other: Any) -> Tensor:
    """Return where ``input <= other``, as a bool Tensor without a gradient."""
    return wrap(_apply("le", np.less_equal, *_operands("le", input, other)))


def gt(input: Any, other: Any) -> Tensor:
    """Return where ``input > other``, as a bool Tensor without a gradient."""
    return wrap(_apply("gt", np.greater, *_operands("gt", input, other)))


def ge(input: Any, other: Any) -> Tensor:
    """Return where ``input >= other``, as a bool Tensor without a gradient."""
    return wrap(_apply("ge", np.greater_equal, *_operands("ge", input, other)))


def dropout(
    input: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | int | None = None
) -> Tensor:
    """Set each element to 0 with probability `p` and multiply the others by ``1 / (1 - p)``.

    Parameters
    ----------
    input : Tensor or array_like
        Any shape, float32 or float64.
    p : float
        Probability in [0, 1].
    training : bool
        False returns `input` unchanged.
    rng : numpy.random.Generator, int or None
        Where the random numbers come from; they are drawn in logical (C) order, whatever the strides.

    Returns
    -------
    Tensor
        Same shape, dtype and strides' order.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).

    Examples
    --------
    >>> dropout([1.0, 1.0, 1.0, 1.0], p=0.5, rng=0)
    tensor([2., 2., 2., 0.])
    """
    x = as_array(input, "dropout", "input")
    p = checks.probability(p, "dropout")
    if not training or p == 0.0:
        return input if isinstance(input, Tensor) else wrap(x)
    keep = checks.generator(rng, "dropout").random(x.shape, dtype=np.float32) >= p
    scale = keep * x.dtype.type(1 / (1 - p) if p < 1 else 0)
    return record(np.multiply(x, scale, out=np.empty_like(x)), lambda grad: (grad * scale,), (input,))


def sum_to(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum the gradient of a broadcast array over the axes that broadcasting added or stretched."""
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    stretched = tuple(i + added for i, size in enumerate(shape) if size == 1 and grad.shape[i + added] != 1)
    return np.sum(grad, axis=tuple(range(added)) + stretched, keepdims=True).reshape(shape)


def _apply(op: str, function: Callable[..., np.ndarray], *operands: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        try:
            return function(*operands)
        except ValueError as error:
            shapes = " and ".join(str(x.shape) for x in operands)
            raise ShapeError(f"{op}: operands of shapes {shapes}: {error}") from None


def _operands(op: str, input: Any, other: Any, name: str = "other") -> tuple[np.ndarray, np.ndarray]:
    """The arrays of two operands, in one dtype where one of them is a float array."""
    if isinstance(input, _SCALARS) and not isinstance(other, _SCALARS):
        return _scalar(input, array_of(other, f"{op}: {name}"), op, "input")
    x = array_of(input, f"{op}: input")
    if isinstance(other, _SCALARS):
        return _scalar(other, x, op, name)[::-1]
    y = array_of(other, f"{op}: {name}")
    if x.dtype is not y.dtype:
        if x.dtype.kind == "f" and y.dtype.kind == "f":
            checks.same_dtype(op, x, "input", y, name)
        elif x.dtype.kind == "f":
            y = y.astype(x.dtype)
        elif y.dtype.kind == "f":
            x = x.astype(y.dtype)
    return x, y


def _scalar(value: Any, array: np.ndarray, op: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A Python number as a 0-d array beside `array`, which becomes float32 if it is integer and the number is not."""
    if array.dtype.kind != "f":
        if isinstance(value, (float, np.floating)):
            array = array.astype(F32)
        elif array.dtype.kind == "b" and not isinstance(value, (bool, np.bool_)):
            array = array.astype(np.int64)
    try:
        with np.errstate(all="ignore"):
            return np.array(value, dtype=array.dtype), array
    except (OverflowError, TypeError):
        raise TypeError(f"{op}: {name} {value!r} does not fit {array.dtype}") from None
