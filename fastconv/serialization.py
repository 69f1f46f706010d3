"""Weights as safetensors files: arrays and text, nothing that can run.

Needs the package ``safetensors`` (``pip install "fastconv[cli]"``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastconv.errors import DataError, ShapeError, require

__all__ = ["load_file", "load_model", "read_metadata", "save_file", "save_model", "write_atomically"]

_FLOATS = ("F32", "F64")


class HasState(Protocol):
    """What has weights by name, such as a `fastconv.layers.Module`."""

    def state_dict(self) -> Mapping[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a part.

    The bytes go to a temporary file beside ``path``, which is then renamed over it. Whatever
    interrupts this (Ctrl-C, a full disk), the file at ``path`` stays as it was.

    Parameters
    ----------
    path : str or path-like
        The file to create or to replace. Its folder must exist.
    data : bytes
        The whole content.

    Raises
    ------
    OSError
        When the folder is missing or not writable, or the disk is full.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "note.txt")
    ...     write_atomically(path, b"hello")
    ...     path.read_bytes()
    b'hello'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the rename may leave an empty file
        os.replace(temporary, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # what the caller knows
        raise
    finally:
        temporary.unlink(missing_ok=True)


def save_file(
    tensors: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Save named arrays to a safetensors file, atomically.

    Parameters
    ----------
    tensors : mapping of str to array or Tensor
        What to save, for example ``model.state_dict()``. Stored in C order.
    path : str or path-like
        The file to create or to replace.
    metadata : mapping of str to str, optional
        Text to keep beside the arrays.

    Raises
    ------
    TypeError
        When a name or an entry of ``metadata`` is not a string.
    MissingExtraError
        When safetensors is not installed.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "weights.safetensors")
    ...     save_file({"weight": np.ones((2, 3), np.float32)}, path, {"epoch": "1"})
    ...     load_file(path)["weight"].shape, read_metadata(path)
    ((2, 3), {'epoch': '1'})
    """
    for what, mapping in (("tensors", tensors), ("metadata", metadata or {})):
        for key, value in mapping.items():
            if not isinstance(key, str):
                raise TypeError(f"save_file: names in {what} must be strings, got {key!r}")
            if what == "metadata" and not isinstance(value, str):
                raise TypeError(f"save_file: metadata[{key!r}] must be a string, got {type(value).__name__}")
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    data = require("safetensors.numpy", "cli").save(arrays, dict(metadata) if metadata else None)
    write_atomically(path, data)


def load_file(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Load all arrays of a safetensors file.

    Memory is bounded by the size of the file: safetensors checks the header against it.

    Parameters
    ----------
    path : str or path-like
        A safetensors file, trusted or not.

    Returns
    -------
    dict of str to numpy.ndarray
        The arrays by name.

    Raises
    ------
    OSError
        When the file is missing or cannot be read.
    DataError
        When it is not a sound safetensors file.
    MissingExtraError
        When safetensors is not installed.
    """
    with _opened("load_file", path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the text stored with the arrays, without reading the arrays.

    Parameters
    ----------
    path : str or path-like
        A safetensors file.

    Returns
    -------
    dict of str to str
        Empty when the file holds no text. Errors as for `load_file`.
    """
    with _opened("read_metadata", path) as file:
        return dict(file.metadata() or {})


def save_model(model: HasState, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Save ``model.state_dict()``; see `save_file`."""
    save_file(model.state_dict(), path, metadata)


def load_model(model: HasState, path: str | os.PathLike[str]) -> dict[str, str]:
    """Load the weights of ``model`` from a safetensors file.

    Names, shapes and types are compared before any array is read, so a file made for another
    network, or made to exhaust the memory, costs nothing and leaves ``model`` as it was.

    Parameters
    ----------
    model : Module
        The network that receives the weights.
    path : str or path-like
        A file with the names and shapes of ``model.state_dict()``, in float32 or float64, counts in int64.

    Returns
    -------
    dict of str to str
        The metadata of the file.

    Raises
    ------
    DataError
        When the names are not the model's, or the file is damaged.
    ShapeError
        When a shape is not the model's.
    OSError, MissingExtraError
        As for `load_file`.
    """
    state_dict = model.state_dict()
    expected = {name: tuple(np.shape(value)) for name, value in state_dict.items()}
    with _opened("load_model", path) as file:
        names = set(file.keys())
        if names != set(expected):
            missing, unknown = sorted(set(expected) - names), sorted(names - set(expected))
            raise DataError(f"load_model: {path} is for another network: missing {missing}, unexpected {unknown}")
        for name, shape in expected.items():
            entry = file.get_slice(name)
            if tuple(entry.get_shape()) != shape:
                raise ShapeError(
                    f"load_model: {path} has {name} of shape {tuple(entry.get_shape())}, the network needs {shape}"
                )
            allowed = _FLOATS if state_dict[name].dtype.kind == "f" else ("I64",)  # batch norm counts batches
            if entry.get_dtype() not in allowed:
                raise DataError(
                    f"load_model: {path} has {name} as {entry.get_dtype()}, allowed are {', '.join(allowed)}"
                )
        state = {name: file.get_tensor(name) for name in expected}
        metadata = dict(file.metadata() or {})
    model.load_state_dict(state)
    return metadata


@contextmanager
def _opened(operation: str, path: str | os.PathLike[str]) -> Iterator[Any]:
    safetensors = require("safetensors", "cli")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{operation}: no such file: {path}")
    if not os.path.isfile(path):  # a pipe would block for ever, a folder would fail obscurely
        raise DataError(f"{operation}: {path} is not a regular file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except safetensors.SafetensorError as error:
        raise DataError(f"{operation}: {path} is not a sound safetensors file: {error}") from None
