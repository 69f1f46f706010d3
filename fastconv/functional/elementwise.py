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
from fastconv.functional._broadcast import apply, operands, sum_to, traced_broadcast
from fastconv.tensor import Tensor, array_of, wrap
from fastconv.tracing import traced, tracing

__all__ = [
    "abs",
    "add",
    "div",
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


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input + alpha * other``.

    Examples
    --------
    >>> add([1.0, 2.0], 0.5)
    tensor([1.5, 2.5])
    """
    if type(alpha) is not int or alpha != 1:
        other, alpha = _times("add", other, alpha), 1
    x, y = operands("add", input, other)
    if tracing():
        return traced_broadcast("add", locals(), x, y)
    out = apply("add", np.add, x, y)
    x_shape, y_shape = x.shape, y.shape
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return sum_to(grad, x_shape) if need_x else None, sum_to(grad, y_shape) if need_y else None

    return record(out, backward, (input, other))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input - alpha * other``."""
    if type(alpha) is not int or alpha != 1:
        other, alpha = _times("sub", other, alpha), 1
    x, y = operands("sub", input, other)
    if tracing():
        return traced_broadcast("sub", locals(), x, y)
    out = apply("sub", np.subtract, x, y)
    x_shape, y_shape = x.shape, y.shape
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        return sum_to(grad, x_shape) if need_x else None, -sum_to(grad, y_shape) if need_y else None

    return record(out, backward, (input, other))


def _times(op: str, other: Any, alpha: Any) -> Tensor:
    checks.number(alpha, op, "alpha")
    return mul(other, alpha)


def mul(input: Any, other: Any) -> Tensor:
    """Return ``input * other``."""
    x, y = operands("mul", input, other)
    if tracing():
        return traced_broadcast("mul", locals(), x, y)
    out = apply("mul", np.multiply, x, y)
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        by_y, by_x = (
            apply("mul", np.multiply, grad, each) if need else None for each, need in ((y, need_x), (x, need_y))
        )
        return None if by_y is None else sum_to(by_y, x.shape), None if by_x is None else sum_to(by_x, y.shape)

    return record(out, backward, (input, other))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return ``input / other``; integers become float32.

    With `rounding_mode` "trunc" the quotient is rounded towards zero, with "floor" downwards; integers stay integers
    then, and nothing has a gradient but zero.

    Raises
    ------
    ValueError
        If `rounding_mode` is something else.
    ZeroDivisionError
        If integers are rounded and one is divided by zero.

    Examples
    --------
    >>> div([-7.0, 7.0], 2.0, rounding_mode="trunc")
    tensor([-3.,  3.])
    """
    if rounding_mode is not None:
        return _rounded(input, other, rounding_mode)
    x, y = operands("div", input, other)
    if tracing():
        return traced_broadcast("div", locals(), x, y, x.dtype if x.dtype.kind == "f" else F32)
    if x.dtype.kind != "f":
        x, y = x.astype(F32), y.astype(F32)
    out = apply("div", np.true_divide, x, y)
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad_x = grad / y
        return sum_to(grad_x, x.shape) if need_x else None, sum_to(-grad_x * x / y, y.shape) if need_y else None

    return record(out, backward, (input, other))


def _rounded(input: Any, other: Any, rounding_mode: str) -> Tensor:
    """The quotient as a whole number."""
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(f"div: rounding_mode must be 'trunc', 'floor' or None, got {rounding_mode!r}")
    x, y = operands("div", input, other)
    if tracing():
        return traced_broadcast("div", locals(), x, y)
    if x.dtype.kind != "f" and not np.all(y):
        raise ZeroDivisionError("div: an integer is divided by zero; convert to float32, which has inf and nan")
    if rounding_mode == "trunc" and x.dtype.kind == "f":
        out = np.trunc(apply("div", np.true_divide, x, y))
    else:
        out = apply("div", np.floor_divide, x, y)
        if rounding_mode == "trunc":  # one more where the floor of a negative quotient left a rest
            out = out + ((out < 0) & (out * y != x))
    return record(out, lambda grad: (np.zeros_like(x), np.zeros_like(y)), (input, other))


def pow(input: Any, exponent: Any) -> Tensor:
    """Return ``input ** exponent``.

    The gradient with respect to `input` is 0 where `exponent` is 0; with respect to `exponent` it is 0 where `input`
    is 0 and `exponent` is not negative.
    """
    x, y = operands("pow", input, exponent, "exponent")
    if tracing():
        return traced_broadcast("pow", locals(), x, y)
    out = apply("pow", operator.pow, x, y)  # not numpy.power, which has no short cuts for squares and roots
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
    if tracing():
        return traced("neg", locals(), x.shape, x.dtype)
    return record(apply("neg", np.negative, x), lambda grad: (-grad,), (input,))


def abs(input: Any) -> Tensor:
    """Return the absolute value; its gradient at 0 is 0."""
    x = array_of(input, "abs: input")
    if tracing():
        return traced("abs", locals(), x.shape, x.dtype)
    return record(np.abs(x), lambda grad: (grad * np.sign(x),), (input,))


def exp(input: Any) -> Tensor:
    """Return e to the power of `input`."""
    x = as_array(input, "exp", "input")
    if tracing():
        return traced("exp", locals(), x.shape, x.dtype)
    out = apply("exp", np.exp, x)
    return record(out, lambda grad: (grad * out,), (input,))


def log(input: Any) -> Tensor:
    """Return the natural logarithm: -inf of 0, nan of negative numbers."""
    x = as_array(input, "log", "input")
    if tracing():
        return traced("log", locals(), x.shape, x.dtype)
    return record(apply("log", np.log, x), lambda grad: (grad / x,), (input,))


def sqrt(input: Any) -> Tensor:
    """Return the square root: nan of negative numbers."""
    x = as_array(input, "sqrt", "input")
    if tracing():
        return traced("sqrt", locals(), x.shape, x.dtype)
    out = apply("sqrt", np.sqrt, x)
    return record(out, lambda grad: (grad / (out + out),), (input,))


def eq(input: Any, other: Any) -> Tensor:
    """Return where ``input == other``, as a bool Tensor without a gradient."""
    return _compare("eq", np.equal, input, other)


def ne(input: Any, other: Any) -> Tensor:
    """Return where ``input != other``, as a bool Tensor without a gradient."""
    return _compare("ne", np.not_equal, input, other)


def lt(input: Any, other: Any) -> Tensor:
    """Return where ``input < other``, as a bool Tensor without a gradient."""
    return _compare("lt", np.less, input, other)


def le(input: Any, other: Any) -> Tensor:
    """Return where ``input <= other``, as a bool Tensor without a gradient."""
    return _compare("le", np.less_equal, input, other)


def gt(input: Any, other: Any) -> Tensor:
    """Return where ``input > other``, as a bool Tensor without a gradient."""
    return _compare("gt", np.greater, input, other)


def ge(input: Any, other: Any) -> Tensor:
    """Return where ``input >= other``, as a bool Tensor without a gradient."""
    return _compare("ge", np.greater_equal, input, other)


def _compare(op: str, function: Callable[..., np.ndarray], input: Any, other: Any) -> Tensor:
    x, y = operands(op, input, other)
    if tracing():
        return traced_broadcast(op, locals(), x, y, np.dtype(np.bool_))
    return wrap(apply(op, function, x, y))
