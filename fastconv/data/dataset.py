"""Labelled images in memory, and where to find them: the digits that ship with fastconv, MNIST, Fashion-MNIST."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.data.idx import read_idx
from fastconv.errors import DataError

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_CLASSES = {"digits": _DIGITS, "mnist": _DIGITS, "fashion-mnist": _CLOTHES}
_DEBIAN_FASHION = "/usr/share/datasets/fashion-mnist"
_SPLITS = {"train": "train", "test": "t10k"}
_TRAIN_DIGITS = 8000


class Dataset:
    """Images with one class label each.

    Parameters
    ----------
    images
        uint8, (N, H, W) or (N, H, W, C), as image files have them.
    labels
        (N,) integers in ``range(len(classes))``; kept as int64.
    classes
        The name of every class.
    name
        What the data set is called.

    Raises
    ------
    DataError
        If the parts do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> pets = Dataset(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 0]), ["cat", "dog"], "pets")
    >>> pets
    Dataset('pets': 3 images of 8 x 8 x 3, 2 classes)
    >>> pets[:2].labels
    array([0, 1])
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, classes: Sequence[str], name: str) -> None:
        images, labels = np.asarray(images), np.asarray(labels)
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise DataError(
                f"Dataset: images must be uint8 (N, H, W) or (N, H, W, C), got {images.dtype} {images.shape}"
            )
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise DataError(f"Dataset: labels must be {len(images)} integers, got {labels.dtype} {labels.shape}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise DataError(
                f"Dataset: labels must be from 0 to {len(classes) - 1}, got {labels.min()} to {labels.max()}"
            )
        self.images = images
        self.labels = labels.astype(np.int64)
        self.classes = list(classes)
        self.name = name

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """One (image, label) for an int; the chosen part, a Dataset, for a slice, a mask or an array of indices."""
        if isinstance(index, (int, np.integer)):
            return self.images[index], int(self.labels[index])
        return Dataset(self.images[index], self.labels[index], self.classes, self.name)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.images.shape[1:]))
        return f"Dataset({self.name!r}: {len(self)} images of {size}, {len(self.classes)} classes)"


def load_digits(split: str = "train") -> Dataset:
    """Load the 10,000 MNIST digits that ship with fastconv.

    Parameters
    ----------
    split
        ``"train"`` (8,000 digits) or ``"test"`` (the other 2,000).

    Returns
    -------
    Dataset
        28 x 28 grey images, white ink (255) on black (0). The split is one fixed shuffle, not stratified.

    Notes
    -----
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
    Proc. IEEE 86(11), 1998. Licences: ``fastconv/data/LICENSE-digits.md``.

    Examples
    --------
    >>> load_digits("test")
    Dataset('digits': 2000 images of 28 x 28, 10 classes)
    """
    _check_split("load_digits", split)
    with np.load(os.path.join(os.path.dirname(__file__), "digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    part = slice(_TRAIN_DIGITS) if split == "train" else slice(_TRAIN_DIGITS, None)
    return Dataset(images[part], labels[part], _DIGITS, "digits")


def load_dataset(name: str, root: str | os.PathLike[str] | None = None, split: str = "train") -> Dataset:
    """Load one split of a data set by name.

    Parameters
    ----------
    name
        ``"digits"`` (built in), ``"mnist"`` or ``"fashion-mnist"``.
    root
        The folder with the four IDX files (``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` and so on),
        compressed (``.gz``) or not, with ``-`` or ``.`` before ``idx``; or torchvision's root, where they lie in
        ``MNIST/raw`` or ``FashionMNIST/raw``. Not used for ``"digits"``. For Fashion-MNIST the default is where
        Debian's package dataset-fashion-mnist puts it.
    split
        ``"train"`` or ``"test"``.

    Raises
    ------
    DataError
        If there is no such data set or split, a file is missing or damaged, or images and labels do not match.

    Examples
    --------
    >>> load_dataset("digits", split="train")
    Dataset('digits': 8000 images of 28 x 28, 10 classes)
    """
    if name not in _CLASSES:
        raise DataError(f"load_dataset: name must be one of {', '.join(_CLASSES)}, got {name!r}")
    _check_split("load_dataset", split)
    if name == "digits":
        return load_digits(split)
    folder = _folder(name, root)
    images = read_idx(_find(folder, f"{_SPLITS[split]}-images", "idx3-ubyte"))
    labels = read_idx(_find(folder, f"{_SPLITS[split]}-labels", "idx1-ubyte"))
    return Dataset(images, labels, _CLASSES[name], name)


def _check_split(op: str, split: str) -> None:
    if split not in _SPLITS:
        raise DataError(f"{op}: split must be 'train' or 'test', got {split!r}")


def _folder(name: str, root: str | os.PathLike[str] | None) -> str:
    if root is None:
        if name != "fashion-mnist" or not os.path.isdir(_DEBIAN_FASHION):
            raise DataError(f"load_dataset: {name} does not ship with fastconv; root must name the folder of its files")
        return _DEBIAN_FASHION
    folder = os.fspath(root)
    if not os.path.isdir(folder):
        raise DataError(f"load_dataset: root must be a folder, got {folder!r}")
    raw = os.path.join(folder, "MNIST" if name == "mnist" else "FashionMNIST", "raw")
    return raw if os.path.isdir(raw) else folder


def _find(folder: str, stem: str, kind: str) -> str:
    for ending in ("", ".gz"):
        for separator in "-.":
            path = os.path.join(folder, f"{stem}{separator}{kind}{ending}")
            if os.path.isfile(path):
                return path
    raise DataError(f"load_dataset: there is no {stem}-{kind} (or {stem}-{kind}.gz) in {folder!r}")
