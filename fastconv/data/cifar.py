"""CIFAR-10 and CIFAR-100 in their binary version."""

from __future__ import annotations

import os

import numpy as np

from fastconv.data.dataset import Dataset
from fastconv.errors import DataError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXELS = 3 * 32 * 32
_LARGEST = 2**30
_FILES = {
    "cifar10": {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]},
    "cifar100": {"train": ["train.bin"], "test": ["test.bin"]},
}
_FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}


def load_cifar(root: str | os.PathLike[str], split: str = "train", *, classes: int = 10) -> Dataset:
    """Load one split of CIFAR-10 or CIFAR-100 from its binary files.

    Parameters
    ----------
    root
        The folder of the files (``data_batch_1.bin`` to ``5``, ``test_batch.bin``; ``train.bin``, ``test.bin``), or the
        one that the archive was unpacked in.
    split
        ``"train"`` or ``"test"``.
    classes
        10, or 100: the fine labels of CIFAR-100, whose names come from ``fine_label_names.txt`` beside the files or are
        numbers.

    Returns
    -------
    Dataset
        32 x 32 colour images.

    Raises
    ------
    DataError
        If a file is missing, or its size or labels are not CIFAR's.

    Notes
    -----
    An image is its label (CIFAR-100: a coarse and a fine one), a byte each, then 1024 bytes a colour, red, green, blue.
    A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    if classes not in (10, 100):
        raise DataError(f"load_cifar: classes must be 10 or 100, got {classes!r}")
    name = f"cifar{classes}"
    if split not in _FILES[name]:
        raise DataError(f"load_cifar: split must be 'train' or 'test', got {split!r}")
    folder = os.fspath(root)
    inner = os.path.join(folder, _FOLDERS[name])
    folder = inner if os.path.isdir(inner) else folder
    rows = np.concatenate([_read(os.path.join(folder, file), classes) for file in _FILES[name][split]])
    images = rows[:, -_PIXELS:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = rows[:, -_PIXELS - 1].astype(np.int64)
    if labels.max(initial=0) >= classes:
        raise DataError(f"load_cifar: the files in {folder!r} have a label {labels.max()}, there are {classes} classes")
    return Dataset(np.ascontiguousarray(images), labels, CIFAR10 if classes == 10 else _names(folder), name)


def _read(path: str, classes: int) -> np.ndarray:
    """The rows of a file: labels and pixels."""
    row = _PIXELS + (1 if classes == 10 else 2)
    if not os.path.isfile(path):
        raise DataError(f"load_cifar: there is no file {path!r}")
    size = os.path.getsize(path)
    if not size or size % row or size > _LARGEST:
        raise DataError(f"load_cifar: {path!r} has {size} bytes, not a number of images of {row} bytes each")
    return np.fromfile(path, np.uint8, size).reshape(-1, row)


def _names(folder: str) -> list[str]:
    """The fine labels' names."""
    path = os.path.join(folder, "fine_label_names.txt")
    if not os.path.isfile(path):
        return [str(i) for i in range(100)]
    with open(path, encoding="utf-8", errors="replace") as file:
        names = file.read(2**16).split()
    if len(names) != 100:
        raise DataError(f"load_cifar: {path!r} has {len(names)} names, not 100")
    return names
