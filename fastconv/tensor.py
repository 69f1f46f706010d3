"""Tensor: a NumPy array that can be differentiated.

This module points at nothing that computes: `autograd` adds ``backward``, `functional` the operators and methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.arrays import standardize
from fastconv.errors import ShapeError

__all__ = ["Tensor", "array_of", "wrap"]


class Tensor:
    """An array with an optional gradient.

    Parameters
    ----------
    data : array_like
        A native float32, float64, integer or bool ndarray is shared, not copied; Python numbers and lists become
        float32; big-endian and misaligned arrays are converted by value.
    requires_grad : bool
        Whether operations on this tensor are recorded, so that ``backward()`` fills `grad`.

    Attributes
    ----------
    data : numpy.ndarray
        The values.
    grad : Tensor or None
        The accumulated gradient of a leaf, an array of the shape and dtype of `data`.
    requires_grad : bool
        True for leaves that ask for a gradient and for everything computed from them.
    node : object or None
        The record of the operation that made this tensor; None for leaves.

    Raises
    ------
    TypeError
        For float16, complex, object, structured, masked and other arrays that are not real numbers.

    Examples
    --------
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "requires_grad")

    # NumPy's operators leave `array + tensor` to Tensor.
    __array_ufunc__ = None
    __array_priority__ = 1000

    data: np.ndarray
    grad: Tensor | None
    node: Any
    requires_grad: bool

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.data = array_of(data, "Tensor: data")
        self.grad = None
        self.node = None
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # ---- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy dtype of the values."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def is_leaf(self) -> bool:
        """True unless an operation on something that requires a gradient made it."""
        return self.node is None

    def size(self, dim: int | None = None) -> Any:
        """Shape, or the length of one axis."""
        return self.data.shape if dim is None else self.data.shape[dim]

    def dim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    def numel(self) -> int:
        """Number of elements."""
        return self.data.size

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous; it needs exactly one element")
        return bool(self.data.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.data.dtype.kind not in "iu" or self.data.size != 1:
            raise TypeError(
                f"only an integer tensor with one element is an index, got {self.dtype} of shape {self.shape}"
            )
        return self.data.item()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        name = type(self).__name__.lower()
        text = np.array2string(self.data, separator=", ", precision=4, prefix=f"{name}(") if self.data.size else "[]"
        if 0 in self.shape:
            text += f", shape={self.shape}"
        if self.data.dtype not in (np.float32, np.int64, np.bool_):
            text += f", dtype={self.data.dtype}"
        if self.requires_grad:
            text += ", requires_grad=True"
        return f"{name}({text})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use .detach().clone()")
        copy = type(self)(self.data.copy(order="K"), self.requires_grad)
        copy.grad = None if self.grad is None else wrap(self.grad.data.copy(order="K"))
        memo[id(self)] = copy
        return copy

    # ---- in and out of NumPy

    def numpy(self) -> np.ndarray:
        """Return the array itself; of a parameter, a read-only view.

        Raises
        ------
        RuntimeError
            If the tensor requires a gradient; use ``detach().numpy()``.
        """
        if self.requires_grad:
            raise RuntimeError("numpy: this tensor requires a gradient; use .detach().numpy()")
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if copy:
            return np.array(array, dtype=dtype, copy=True)
        if dtype is None or np.dtype(dtype) == array.dtype:
            return array
        if copy is False:
            raise ValueError(f"a tensor of dtype {array.dtype} cannot become {np.dtype(dtype)} without a copy")
        return array.astype(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad and type(self) is Tensor:
            raise BufferError("this tensor requires a gradient; export its .detach()")
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.data.size != 1:
            raise ShapeError(f"item: the tensor must have one element, got shape {self.shape}")
        return self.data.item()

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return self.data.tolist()

    # ---- gradient

    def detach(self) -> Tensor:
        """Return a tensor of the same memory that no operation is recorded for."""
        return wrap(self.data)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient, or stop asking; returns the tensor.

        Raises
        ------
        TypeError
            If the values are not float32 or float64.
        RuntimeError
            If the tensor was computed from one that requires a gradient: only leaves can change.
        """
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"requires_grad_: only float tensors have gradients, got {self.dtype}")
        if self.node is not None and not requires_grad:
            raise RuntimeError("requires_grad_: only leaf tensors can change; use .detach()")
        self.requires_grad = bool(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    if TYPE_CHECKING:  # installed by fastconv.autograd and fastconv.functional
        T: Any

        def backward(self, gradient: Any = None) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


def wrap(array: np.ndarray) -> Tensor:
    """Return a Tensor without a gradient over a plain, native, aligned ndarray: the constructor without its checks."""
    out = Tensor.__new__(Tensor)
    out.data = array if type(array) is np.ndarray else np.asarray(array)
    out.grad = None
    out.node = None
    out.requires_grad = False
    return out


def array_of(value: Any, what: str) -> np.ndarray:
    """Return the array of a Tensor, or :func:`~fastconv.arrays.standardize` anything else."""
    return value.data if isinstance(value, Tensor) else standardize(value, what)
