"""Tensors from Python values, NumPy arrays and other libraries' arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from fastconv.arrays import python_dtype, standardize
from fastconv.tensor import Tensor, array_of

__all__ = ["from_dlpack", "from_numpy", "tensor"]


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a Tensor holding a copy of `data`.

    Python floats become float32, Python ints int64, bools bool, as in PyTorch; arrays keep their dtype.

    Parameters
    ----------
    data : array_like
        Values.
    dtype : dtype, optional
        What to convert them to.
    requires_grad : bool
        Whether to record operations on it.

    Examples
    --------
    >>> tensor([1, 2]).dtype, tensor([1.0, 2.0]).dtype
    (dtype('int64'), dtype('float32'))
    """
    array = array_of(data, "tensor: data")
    if (
        dtype is None
        and python_dtype(data) is not None
        and (found := np.asarray(data)).dtype.kind in "iub"
        and found.size
    ):
        dtype = np.bool_ if found.dtype.kind == "b" else np.int64
        array = found
    array = np.array(array, dtype=dtype, copy=True, order="K")
    return Tensor(array, requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """Return a Tensor that shares the memory of `array`.

    Raises
    ------
    TypeError
        If that is impossible: not an ndarray, big-endian, misaligned, or a dtype a Tensor cannot hold.

    Examples
    --------
    >>> a = np.zeros(2, np.float32)
    >>> t = from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: array must be a numpy.ndarray, got {type(array).__name__}")
    shared = standardize(array, "from_numpy: array")
    if array.size and not np.may_share_memory(shared, array):
        order = "misaligned" if array.dtype.isnative else "big-endian" if sys.byteorder == "little" else "little-endian"
        raise TypeError(f"from_numpy: array is {order}, so that its memory cannot be shared; use tensor(array)")
    return Tensor(shared)


def from_dlpack(source: Any) -> Tensor:
    """Return a Tensor that shares the memory of any CPU array with ``__dlpack__``, such as a PyTorch tensor.

    Examples
    --------
    >>> from_dlpack(np.arange(3.0))
    tensor([0., 1., 2.], dtype=float64)
    """
    return Tensor(np.from_dlpack(source))
