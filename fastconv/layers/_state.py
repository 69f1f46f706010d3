"""What a module keeps besides parameters, and how a state dict gets into it: all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastconv.errors import DataError, ShapeError
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, array_of

__all__ = ["Buffer", "IncompatibleKeys", "load_state"]


class Buffer(Tensor):
    """An array that belongs to a module's state but is not learnt, such as a running mean.

    Parameters
    ----------
    data : array_like
        Copied once, in C order.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        super().__init__(np.array(array_of(data, "Buffer: data"), order="C", copy=True), requires_grad)


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` ignored."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_state(module: str, own: Mapping[str, Tensor], given: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Write the arrays of `given` into the tensors of `own` that have the same keys.

    Raises
    ------
    DataError, ShapeError, TypeError
        If keys, shapes or dtypes do not fit; the message lists them all, by kind, and nothing is written.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"load_state_dict: state_dict must be a mapping, got {type(given).__name__}")
    arrays = {key: array_of(given[key], f"load_state_dict: {key}") for key in own if key in given}
    missing = [key for key in own if key not in given]
    unexpected = [str(key) for key in given if key not in own]
    shapes, dtypes = [], []
    for key, array in arrays.items():
        wanted = own[key]
        if array.shape != wanted.shape:
            shapes.append(f"{key} has {wanted.shape}, given {array.shape}")
        if not np.can_cast(array.dtype, wanted.dtype, "safe"):
            dtypes.append(f"{key} has {wanted.dtype}, given {array.dtype}")
    problems = {"wrong shape": shapes, "wrong dtype": dtypes}
    if strict:
        problems = {"missing": missing, "unexpected": unexpected, **problems}
    if any(problems.values()):
        text = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
        error = DataError if strict and (missing or unexpected) else ShapeError if shapes else TypeError
        raise error(f"load_state_dict: the state does not fit {module}: {text}")
    for key, array in arrays.items():
        target = own[key]
        if isinstance(target, Parameter):
            target.assign(array.astype(target.dtype, copy=False))
        else:
            target.data[...] = array
    return IncompatibleKeys(missing, unexpected)
