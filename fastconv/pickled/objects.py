"""What a pickle may name, and what is done where Python's machine would call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv.errors import DataError

__all__ = ["Array", "Dtype", "Named", "StorageType", "TensorView", "find"]

Numbers = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class StorageType(NamedTuple):
    """Which numbers a PyTorch storage holds: a NumPy type, or "bfloat16"."""

    dtype: str


class TensorView(NamedTuple):
    """A PyTorch tensor: where in which storage, and how."""

    storage: Any
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Array:
    """A NumPy array that is being put together."""

    value: np.ndarray | None = None

    def build(self, state: Any) -> int:
        """Take shape and raw bytes; return how many bytes had to be copied."""
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, Dtype) or not isinstance(data, bytes):
            raise DataError("an array is not of numbers")
        native = dtype.value.newbyteorder("=")
        self.value = np.frombuffer(data, dtype.value).reshape(shape, order="F" if fortran else "C")
        if native != dtype.value:
            self.value = self.value.astype(native)
            return len(data)
        return 0


class Dtype:
    """A NumPy dtype that is being put together."""

    def __init__(self, name: Any, *flags: Any) -> None:
        if name not in Numbers:
            raise DataError(f"an array has the dtype {str(name)[:20]!r}")
        self.value = np.dtype(name)

    def build(self, state: Any) -> int:
        """Take the byte order."""
        if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise DataError("a dtype has fields")
        if state[1] != "|":
            self.value = self.value.newbyteorder(state[1])
        return 0


class Named(NamedTuple):
    """A function of the allow-list."""

    make: Callable[..., Any]


def _ordered_dict(*items: Any) -> dict[Any, Any]:
    if items:
        raise DataError("a dict is made of what is no dict")
    return {}


def _scalar(dtype: Any, data: Any) -> Any:
    array = Array()
    array.build((1, (), dtype, False, data))
    return array.value.item()  # type: ignore[union-attr]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """What NumPy 2 writes in protocol 5."""
    array = Array()
    array.build((1, shape, dtype, order == "F", data))
    return array


def _empty_bytes() -> bytes:
    return b""


def _encode(text: Any, encoding: Any) -> bytes:
    """What Python 3 writes into protocol 2 for bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise DataError("it encodes other than Latin-1")
    return text.encode("latin-1")


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> TensorView:
    if len(shape) != len(stride) or not all(type(n) is int and 0 <= n < 2**62 for n in (offset, *shape, *stride)):
        raise DataError("a tensor has an impossible shape")
    return TensorView(storage, offset, tuple(shape), tuple(stride))


def _parameter(tensor: Any, *rest: Any) -> TensorView:
    if not isinstance(tensor, TensorView):
        raise DataError("a parameter is not a tensor")
    return tensor


def _ndarray(*arguments: Any) -> Any:
    raise DataError("it calls numpy.ndarray")


_GLOBALS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "_codecs.encode": _encode,
    "__builtin__.bytes": _empty_bytes,
    "numpy.ndarray": _ndarray,  # the first argument of _reconstruct
    "numpy.dtype": Dtype,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **{f"numpy.{core}.multiarray._reconstruct": lambda kind, shape, code: Array() for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
}
_STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}


def find(module: str, name: str) -> Named | StorageType:
    """Return what stands for a name, or raise DataError for one that is not allowed."""
    if module in ("torch", "torch.storage") and name in _STORAGES:
        return StorageType(_STORAGES[name])
    make = _GLOBALS.get(f"{module}.{name}")
    if make is None:
        raise DataError(f"it names {f'{module}.{name}'[:80]!r}, and only arrays, numbers, text and dicts are read")
    return Named(make)
