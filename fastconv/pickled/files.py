"""PyTorch's two file formats, zip and legacy, and plain pickles."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from fastconv.errors import DataError
from fastconv.pickled.machine import Machine, finish
from fastconv.pickled.objects import StorageType, TensorView

__all__ = ["load_arrays", "load_torch"]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
# ValueError: text that is none, DataError among them. OSError: a place before the beginning of the file.
# NotImplementedError: a way of packing that zipfile does not know.
_DAMAGED = (ValueError, KeyError, OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RecursionError)


class Storage:
    """Numbers that tensors are views of; their bytes come from the file."""

    def __init__(self, identity: Any) -> None:
        kind, kind_of_storage, self.key, _, count = identity[:5]
        if kind != "storage" or not isinstance(kind_of_storage, StorageType) or not isinstance(self.key, str):
            raise DataError("it refers to what is not a storage")
        if type(count) is not int or count < 0 or (len(identity) > 5 and identity[5] is not None):
            raise DataError("a storage is a view of another")
        self.dtype, self.count, self.array = kind_of_storage.dtype, count, np.empty(0)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes in the file."""
        return self.count * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)

    def fill(self, data: bytes, order: str) -> None:
        """Take the bytes. bfloat16 becomes float32: NumPy does not have it."""
        if self.dtype == "bfloat16":
            self.array = (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
        else:
            self.array = np.frombuffer(data, f"{order}{self.dtype}").astype(self.dtype, copy=False)


class Storages:
    """The storages that a pickle refers to, by key."""

    def __init__(self) -> None:
        self.found: dict[str, Storage] = {}

    def __call__(self, identity: Any) -> Storage:
        """Return the storage for a persistent id."""
        storage = Storage(identity)
        known = self.found.setdefault(storage.key, storage)
        if (known.dtype, known.count) != (storage.dtype, storage.count):
            raise DataError(f"storage {storage.key} has two types")
        return known


def load_torch(path: str | os.PathLike[str]) -> Any:
    """Read a file that ``torch.save`` wrote, in the zip format or the one before, and run nothing in it.

    Parameters
    ----------
    path : str or path-like
        Trusted or not. Memory is bounded by a multiple of its size.

    Returns
    -------
    object
        What was saved, with tensors as arrays: bfloat16 as float32, others as they are. Arrays may share memory, as the
        tensors did, and are read-only.

    Raises
    ------
    OSError
        When the file is missing or cannot be read.
    DataError
        When it is damaged, not such a file, or holds other than tensors, arrays, numbers, text and lists of them.
    """
    with _opened("load_torch", path) as (file, size):
        if file.read(4) == b"PK\x03\x04":
            return _load_zip(file, size)
        file.seek(0)
        return _load_legacy(file, size)


def load_arrays(path: str | os.PathLike[str]) -> Any:
    """Read a pickle of NumPy arrays, of protocol 1 to 5, and run nothing in it; see :func:`load_torch`."""
    with _opened("load_arrays", path) as (file, size):
        return finish(Machine(file, size).run())


@contextmanager
def _opened(operation: str, path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int]]:
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would block for ever
        raise DataError(f"{operation}: {path} is not a regular file")
    with open(path, "rb") as file:
        try:
            yield file, os.fstat(file.fileno()).st_size
        except _DAMAGED as error:
            raise DataError(f"{operation}: {path} cannot be read: {error}") from None


def _load_zip(file: BinaryIO, size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        program = next((name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")), None)
        if program is None:
            raise DataError("it is a zip file, but not one of PyTorch's")
        root = program[: -len("data.pkl")]
        if f"{root}constants.pkl" in entries:
            raise DataError("it is a TorchScript program, not a file of weights")
        # Stored as they are, and each byte once: then memory is bounded by the size of the file.
        if any(info.compress_type for info in entries.values()) or sum(i.file_size for i in entries.values()) > size:
            raise DataError("its entries are compressed, or overlap")
        order = ">" if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") == b"big" else "<"
        storages = Storages()
        with archive.open(program) as stream:
            value = Machine(stream, entries[program].file_size, storages).run()  # type: ignore[arg-type]
        for key, storage in storages.found.items():
            entry = entries.get(f"{root}data/{key}")
            if entry is None or entry.file_size != storage.nbytes:
                raise DataError(f"storage {key[:20]} is missing, or not of {storage.nbytes} bytes")
            storage.fill(archive.read(entry), order)
    return finish(value, _view)


def _load_legacy(file: BinaryIO, size: int) -> Any:
    def run() -> Any:
        return finish(Machine(file, size - file.tell()).run())

    if file.read(2)[:1] != b"\x80":
        raise DataError("it is neither a zip file nor a pickle")
    file.seek(0)
    if run() != MAGIC or run() != PROTOCOL:
        raise DataError("it does not begin as PyTorch's files do")
    system = run()
    order = "<" if not isinstance(system, dict) or system.get("little_endian", True) else ">"
    storages = Storages()
    value = Machine(file, size - file.tell(), storages).run()
    keys = run()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages.found):
        raise DataError("its list of storages is not the one that its tensors need")
    for key in keys:
        storage = storages.found[key]
        count = int.from_bytes(file.read(8), "little" if order == "<" else "big", signed=True)
        if count != storage.count or storage.nbytes > size - file.tell():
            raise DataError(f"storage {key[:20]} has {count} numbers, {storage.count} are wanted, or it ends early")
        storage.fill(file.read(storage.nbytes), order)
    return finish(value, _view)


def _view(tensor: TensorView) -> np.ndarray:
    storage, offset, shape, stride = tensor
    if not isinstance(storage, Storage):
        raise DataError("a tensor has no storage")
    array = storage.array
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    count = math.prod(shape)
    if count and (last >= array.size or count > array.size):
        raise DataError(f"a tensor of shape {shape} does not fit its storage of {array.size} numbers")
    bytes_ = tuple(step * array.itemsize for step in stride) if count else None
    flat = array[offset:] if count else array[:0]
    return np.lib.stride_tricks.as_strided(flat, shape, bytes_, writeable=False)
