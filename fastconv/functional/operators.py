"""Tensor's operators and methods: the functions of this package under the names PyTorch gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.functional import activation, elementwise, probability, reduce, shape
from fastconv.tensor import Tensor

__all__ = ["install"]

_BINARY = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "pow": "pow"}


def install() -> None:
    """Put the operators and methods on Tensor."""
    for operator, name in _BINARY.items():
        function = getattr(elementwise, name)
        _set(f"__{operator}__", function)
        _set(f"__r{operator}__", _reflected(function))
    for name in ("lt", "le", "gt", "ge"):
        _set(f"__{name}__", getattr(elementwise, name))
    _set("__eq__", _equality(elementwise.eq))
    _set("__ne__", _equality(elementwise.ne))
    _set("__neg__", elementwise.neg)
    _set("__abs__", elementwise.abs)
    _set("__matmul__", reduce.matmul)
    _set("__rmatmul__", _reflected(reduce.matmul))
    _set("__getitem__", shape.getitem)

    for name in (
        "add",
        "sub",
        "mul",
        "div",
        "pow",
        "neg",
        "abs",
        "exp",
        "log",
        "sqrt",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ):
        _set(name, getattr(elementwise, name))
    for name in ("sum", "mean", "max", "min", "amax", "amin", "argmax", "argmin", "matmul"):
        _set(name, getattr(reduce, name))
    for name in ("relu", "sigmoid", "tanh"):
        _set(name, getattr(activation, name))
    for name in ("softmax", "log_softmax"):
        _set(name, getattr(probability, name))
    for name in ("flatten", "transpose", "squeeze", "unsqueeze", "clone", "to"):
        _set(name, getattr(shape, name))
    _set("reshape", _variadic(shape.reshape))
    _set("view", _variadic(shape.reshape))
    _set("permute", _variadic(shape.permute))
    _set("float", lambda self: shape.to(self, np.float32))
    _set("double", lambda self: shape.to(self, np.float64))
    _set("T", property(lambda self: shape.permute(self, tuple(range(self.ndim))[::-1])))


def _set(name: str, function: Any) -> None:
    setattr(Tensor, name, function)


def _reflected(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """The operator for a Tensor on the right."""
    return lambda self, other: function(other, self)


def _equality(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Any]:
    """``==`` and ``!=`` leave what is no number, such as None, to Python."""
    return lambda self, other: NotImplemented if other is None or isinstance(other, str) else function(self, other)


def _variadic(function: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    """A method that takes its ints as one tuple or one by one."""
    return lambda self, *ints: function(
        self, ints[0] if len(ints) == 1 and isinstance(ints[0], (tuple, list)) else ints
    )
