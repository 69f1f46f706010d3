"""Comparison of gradients with central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv.autograd import no_grad, record
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, array_of

__all__ = ["gradcheck"]


def gradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Tensor | np.ndarray,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    samples: int = 64,
    seed: int = 0,
) -> bool:
    """Compare the gradients of `fn` with central differences.

    The outputs are multiplied by fixed random numbers and summed to one number, whose slope along single elements of
    the inputs is compared with what ``backward`` gives.

    Parameters
    ----------
    fn : callable
        Takes the inputs and returns a Tensor or a tuple of Tensors; it must be the same function at every call (pass
        seeds, not generators).
    inputs : sequence, or one Tensor or array
        float64 Tensors and arrays get their gradients checked; everything else is passed on as it is. A Parameter is
        moved where it is, so that those of a layer can be checked with it:
        ``gradcheck(lambda x, *parameters: layer(x), [x, *layer.parameters()])``.
    eps : float
        Step of the differences.
    atol, rtol : float
        Allowed difference: ``atol + rtol * abs(numeric)``.
    raise_exception : bool
        False returns False where a gradient differs.
    samples : int
        At most so many elements of an input are tried, chosen at random.
    seed : int
        For the random choices.

    Returns
    -------
    bool
        True, or without `raise_exception` whether all agree.

    Raises
    ------
    AssertionError
        If a gradient differs; the message names the input and the element.

    Examples
    --------
    >>> gradcheck(lambda x: (x * x).sum(), [np.array([1.0, 2.0])])
    True
    """
    if isinstance(inputs, (Tensor, np.ndarray)):
        inputs = [inputs]
    rng = np.random.default_rng(seed)
    checked = [i for i, x in enumerate(inputs) if _is_checked(x)]
    if not checked:
        raise TypeError("gradcheck: no input is a float64 Tensor or array")
    own = {i: x for i, x in enumerate(inputs) if i in checked and isinstance(x, Parameter)}
    values = {i: array_of(inputs[i], "gradcheck").copy(order="K") for i in checked}

    def call(requires_grad: bool) -> tuple[list[Any], list[Tensor]]:
        for i, parameter in own.items():
            parameter.assign(values[i])
        given = [Tensor(values[i], requires_grad) if i in values and i not in own else x for i, x in enumerate(inputs)]
        out = fn(*given)
        outs = list(out) if isinstance(out, (tuple, list)) else [out]
        for each in outs:
            if not isinstance(each, Tensor):
                raise TypeError(f"gradcheck: fn must return a Tensor or a tuple of Tensors, got {type(each).__name__}")
        return given, outs

    before = {i: (parameter.grad, parameter.data.copy()) for i, parameter in own.items()}
    for parameter in own.values():
        parameter.grad = None
    try:
        given, outs = call(True)
        weights = [rng.uniform(0.5, 1.5, out.shape) * rng.choice((-1.0, 1.0), out.shape) for out in outs]
        for i, out in enumerate(outs):
            if not out.requires_grad:
                raise AssertionError(f"output {i} requires no gradient")
        record(np.zeros(()), lambda _: weights, outs).backward()
        found = {i: given[i].grad for i in checked}

        def total() -> float:
            return sum(float(np.sum(out.data * weight)) for out, weight in zip(call(False)[1], weights, strict=True))

        with no_grad():
            for i in checked:
                grad = np.zeros_like(values[i]) if found[i] is None else found[i].data
                _check_input(i, values[i], grad, total, rng.permutation(values[i].size)[:samples], eps, atol, rtol)
    except AssertionError:
        if raise_exception:
            raise
        return False
    finally:
        for i, (grad, data) in before.items():
            own[i].grad = grad
            own[i].assign(data)
    return True


def _check_input(
    number: int,
    value: np.ndarray,
    grad: np.ndarray,
    total: Callable[[], float],
    chosen: np.ndarray,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    """Compare some elements of one gradient."""
    if grad.shape != value.shape or grad.dtype != value.dtype:
        raise AssertionError(f"input {number}: gradient is {grad.dtype} of shape {grad.shape}, not {value.shape}")
    for flat in chosen:
        index = np.unravel_index(flat, value.shape)
        _compare(number, index, float(grad[index]), _slope(total, value, index, eps), atol, rtol)


def _is_checked(x: Any) -> bool:
    return isinstance(x, (Tensor, np.ndarray)) and x.dtype == np.float64


def _slope(total: Callable[[], float], array: np.ndarray, index: tuple[Any, ...], eps: float) -> float:
    """Central difference along one element, which is put back."""
    before = array[index]
    array[index] = before + eps
    above = total()
    array[index] = before - eps
    below = total()
    array[index] = before
    return (above - below) / (2 * eps)


def _compare(number: int, index: tuple[Any, ...], found: float, numeric: float, atol: float, rtol: float) -> None:
    if not abs(found - numeric) <= atol + rtol * abs(numeric):
        place = tuple(int(i) for i in index)
        raise AssertionError(f"input {number}, element {place}: gradient {found:.8g}, central difference {numeric:.8g}")
