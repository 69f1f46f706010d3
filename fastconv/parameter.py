"""Parameter: a Tensor that a layer learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.arrays import python_dtype
from fastconv.errors import ShapeError
from fastconv.tensor import Tensor, array_of

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that a layer learns: it requires a gradient, and only the library writes to it.

    `data` and ``numpy()`` are read-only views, so that what kernels keep beside the weights (packed panels) never
    goes stale. The values are copied once, in C order.

    Parameters
    ----------
    data : array_like
        float32 or float64 values; Python numbers become float32.
    requires_grad : bool
        False freezes the parameter.

    Attributes
    ----------
    version : int
        Goes up with every write.
    cache : dict
        What the library derived from the values; emptied by every write.

    Examples
    --------
    >>> weight = Parameter([1.0, 2.0])
    >>> weight.assign([3.0, 4.0])
    >>> weight.numpy(), weight.version
    (array([3., 4.], dtype=float32), 1)
    """

    __slots__ = ("_storage", "cache", "version")

    version: int
    cache: dict[Any, Any]

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        self.version = -1
        self.cache = {}
        self.grad = None
        self.node = None
        self.requires_grad = bool(requires_grad)
        self._store(array_of(data, "Parameter: data"), None)

    def _store(self, values: np.ndarray, dtype: np.dtype | None) -> None:
        """Take a copy of `values` as the new storage."""
        if values.dtype.kind != "f":
            raise TypeError(f"Parameter: data must be float32 or float64, got {values.dtype}")
        self._storage = _kernels.empty(values.shape, dtype or values.dtype)  # begins a cache line, for updates' sake
        self._storage[...] = values
        self.data = self._storage.view()
        self.data.flags.writeable = False
        self.version += 1
        self.cache.clear()

    def convert(self, dtype: np.dtype) -> None:
        """Change the dtype to float32 or float64 and forget the gradient."""
        self._store(self.data, dtype)
        self.grad = None

    def numpy(self) -> np.ndarray:
        """Return a read-only view of the values."""
        return self.data

    def assign(self, values: Any) -> None:
        """Overwrite the values.

        Parameters
        ----------
        values : array_like
            Of the parameter's shape and dtype; Python numbers adapt.

        Raises
        ------
        ShapeError, TypeError
            If shape or dtype differ; nothing is written then.
        """
        array = array_of(values, "assign: values")
        if array.dtype != self.data.dtype and python_dtype(values) is None:
            raise TypeError(f"assign: values must be {self.dtype} as the parameter is, got {array.dtype}")
        if array.shape != self.data.shape:
            raise ShapeError(f"assign: values must have the parameter's shape {self.shape}, got {array.shape}")
        with self.writing() as storage:
            storage[...] = array

    def forget_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradient, or with False set it to 0 if there is one."""
        self.grad = None if set_to_none or self.grad is None else Tensor(np.zeros(self.shape, self.dtype))

    def writing(self) -> _Writing:
        """Give the library the writable array: ``with parameter.writing() as array``.

        The version goes up and the cache empties when the block ends, also when it fails.
        """
        return _Writing(self)


class _Writing:
    __slots__ = ("_parameter",)

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter

    def __enter__(self) -> np.ndarray:
        return self._parameter._storage

    def __exit__(self, *exception: object) -> None:
        self._parameter.version += 1
        self._parameter.cache.clear()
