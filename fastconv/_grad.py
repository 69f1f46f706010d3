"""Comparison of gradients with central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv.autograd import no_grad
from fastconv.tensor import Tensor, array_of

__all__ = ["gradcheck"]


def gradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
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
    inputs : sequence
        float64 Tensors and arrays get their gradients checked; everything else is passed on as it is.
    eps : float
        Step of the differences.
    atol, rtol : float
        Allowed difference: ``atol + rtol * abs(numeric)``.
    samples : int
        At most so many elements of an input are tried, chosen at random.
    seed : int
        For the random choices.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AssertionError
        If a gradient differs; the message names the input and the element.

    Examples
    --------
    >>> gradcheck(lambda x: (x * x).sum(), [np.array([1.0, 2.0])])
    True
    """
    rng = np.random.default_rng(seed)
    checked = [i for i, x in enumerate(inputs) if _is_checked(x)]
    if not checked:
        raise TypeError("gradcheck: no input is a float64 Tensor or array")
    values = {i: array_of(inputs[i], "gradcheck").copy(order="K") for i in checked}

    def call(requires_grad: bool) -> tuple[list[Any], list[Tensor]]:
        given = [Tensor(values[i], requires_grad) if i in values else x for i, x in enumerate(inputs)]
        out = fn(*given)
        return given, list(out) if isinstance(out, (tuple, list)) else [out]

    given, outs = call(True)
    weights = [rng.uniform(0.5, 1.5, out.shape) * rng.choice((-1.0, 1.0), out.shape) for out in outs]
    for i, out in enumerate(outs):
        if not out.requires_grad:
            raise AssertionError(f"output {i} requires no gradient")
        out.backward(weights[i])

    def total() -> float:
        return sum(float(np.sum(out.data * weight)) for out, weight in zip(call(False)[1], weights, strict=True))

    with no_grad():
        for i in checked:
            grad = given[i].grad
            found = np.zeros_like(values[i]) if grad is None else grad.data
            if found.shape != values[i].shape or found.dtype != values[i].dtype:
                raise AssertionError(
                    f"input {i}: gradient is {found.dtype} of shape {found.shape}, not {values[i].shape}"
                )
            for flat in rng.permutation(values[i].size)[:samples]:
                index = np.unravel_index(flat, values[i].shape)
                _compare(i, index, found[index], _slope(total, values[i], index, eps), atol, rtol)
    return True


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
