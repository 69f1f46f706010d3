"""The IDX format, in which MNIST and its relatives are distributed."""

from __future__ import annotations

import io
import math
import os
import stat

import numpy as np

from fastconv.errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 32  # what every NumPy can hold
_DEFLATE_RATIO = 1032  # deflate cannot expand a byte further than this
_CHUNK = 2**20  # GzipFile.readinto makes a copy of what it is asked for


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = 2**30) -> np.ndarray:
    """Read one array from an IDX file, gzip-compressed or not.

    Compression is recognised by the file's first bytes, not by its name. The header is checked against the
    file's size before anything is allocated, and a compressed file is unpacked no further than one byte past
    what its header announces, so a damaged or hostile file costs bounded memory and time.

    Parameters
    ----------
    path
        The file, for example ``train-images-idx3-ubyte.gz``.
    max_bytes
        The largest array to accept, in bytes; 1 GiB by default.

    Returns
    -------
    numpy.ndarray
        Of the file's shape and type (uint8, int8, int16, int32, float32 or float64) in native byte order.

    Raises
    ------
    DataError
        If the file is not IDX, is truncated, has bytes left over or announces more than `max_bytes`.
    OSError
        If the file cannot be opened.

    Notes
    -----
    Two zero bytes, a type code, the number of dimensions, every dimension as a big-endian uint32, then the
    elements, big-endian, in C order (Y. LeCun, http://yann.lecun.com/exdb/mnist/).

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "labels-idx1-ubyte")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 8, 1]) + bytes([0, 0, 0, 3]) + bytes([7, 0, 9]))
    ...     read_idx(path)
    array([7, 0, 9], dtype=uint8)
    """
    path = os.fspath(path)
    if not stat.S_ISREG(os.stat(path).st_mode):  # before opening: a pipe without a writer would block
        raise _error(path, "is not a regular file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            return _read(file, path, size, max_bytes)
        file.seek(0)
        import gzip
        import zlib

        try:
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                return _read(unpacked, path, size * _DEFLATE_RATIO, max_bytes)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _error(path, f"is damaged: {error}") from error


def _read(file: io.BufferedIOBase, path: str, available: int, max_bytes: int) -> np.ndarray:
    """Read header and elements; `available` is the most bytes that can follow, exact for a plain file."""
    magic = _take(file, 4, path)
    if magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise _error(path, f"is not an IDX file: it begins with the bytes {magic.hex(' ')}")
    dtype = np.dtype(_DTYPES[magic[2]])
    shape = tuple(int(d) for d in np.frombuffer(_take(file, 4 * magic[3], path), ">u4"))
    needed = math.prod(shape) * dtype.itemsize
    # Zero dimensions do not count here: NumPy refuses (0, 2**32 - 1, 2**32 - 1) too.
    if math.prod(max(d, 1) for d in shape) * dtype.itemsize > max_bytes:
        raise _error(path, f"announces shape {shape} of {dtype.name}, more than max_bytes={max_bytes}")
    if needed > available:
        raise _error(path, f"is truncated: shape {shape} of {dtype.name} needs {needed} bytes")
    array = np.empty(shape, dtype)
    unfilled = array.reshape(-1).view(np.uint8).data
    while len(unfilled):
        count = file.readinto(unfilled[:_CHUNK])
        if not count:
            raise _error(path, f"is truncated: {len(unfilled)} of {needed} bytes are missing")
        unfilled = unfilled[count:]
    if file.read(1):
        raise _error(path, f"has bytes left over after shape {shape} of {dtype.name}")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _take(file: io.BufferedIOBase, count: int, path: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise _error(path, "is truncated: its header is incomplete")
    return data


def _error(path: str, problem: str) -> DataError:
    return DataError(f"read_idx: {path!r} {problem}")
