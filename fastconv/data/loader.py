"""Batches of images and labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.data.dataset import Dataset
from fastconv.data.draws import sample_keys
from fastconv.data.folder import ImageFolder
from fastconv.data.prefetch import prefetched
from fastconv.data.transforms import RandomTransform, Transform
from fastconv.errors import ShapeError

_SHUFFLE, _TRANSFORM, _READ = 0, 1, 2  # streams of one seed


class DataLoader:
    """Iterate over labelled images in batches, preparing the next batch while the present one is used.

    Parameters
    ----------
    dataset
        A :class:`Dataset`, or a pair of arrays: images (N, C, H, W) or (N, H, W), uint8, float32 or float64, and
        integer labels (N,). uint8 images become float32 from 0 to 1; float images keep type and scale. Or an
        :class:`~fastconv.data.ImageFolder`, read batch by batch.
    batch_size
        Images a batch; the last may be smaller.
    shuffle
        Whether every epoch has a new order.
    drop_last
        Whether to leave out a last batch that is not full.
    transform
        Applied to every batch of images: any callable from and to (N, C, H, W), such as :class:`Normalize`,
        or a :class:`RandomTransform`, whose draws depend on seed, epoch and sample alone: not on batch size, order
        or threads.
    seed
        Of order and random transforms, from 0 to 2**64 - 1.
    prefetch
        Batches to prepare ahead in a background thread; 0 prepares each when it is asked for.

    Attributes
    ----------
    epoch : int
        The number of the next epoch. It is counted up by every ``iter(loader)``; see :meth:`set_epoch`.

    Raises
    ------
    ShapeError, TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    Iterating yields pairs of arrays: images (N, C, H, W) and labels (N,) int64. An exception in a transform
    is raised where the batch was asked for. No thread is left when a loop is left early.

    Examples
    --------
    >>> from fastconv.data import DataLoader, load_digits
    >>> loader = DataLoader(load_digits("test"), batch_size=64, shuffle=True, seed=1)
    >>> images, labels = next(iter(loader))
    >>> images.shape, images.dtype, labels.dtype, len(loader)
    ((64, 1, 28, 28), dtype('float32'), dtype('int64'), 32)
    """

    def __init__(
        self,
        dataset: Dataset | ImageFolder | tuple[np.ndarray, np.ndarray],
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        transform: Transform | None = None,
        seed: int = 0,
        prefetch: int = 1,
    ) -> None:
        self.dataset = dataset
        self._images: np.ndarray | ImageFolder
        if isinstance(dataset, ImageFolder):
            self._images, self._labels = dataset, dataset.labels
        else:
            self._images, self._labels = _arrays(dataset)
        self.batch_size = checks.integer(batch_size, "DataLoader", "batch_size")
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        if transform is not None and not callable(transform):
            raise TypeError(f"DataLoader: transform must be callable, got {transform!r}")
        self.transform = transform
        self.seed = _word(seed, "seed")
        self.prefetch = checks.integer(prefetch, "DataLoader", "prefetch", minimum=0)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration epoch number `epoch`, for example when training is resumed."""
        self.epoch = _word(epoch, "epoch")

    def __len__(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(len(self._labels), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        epoch, size = self.epoch, self.batch_size
        self.epoch += 1
        order = np.arange(len(self._labels))
        if self.shuffle:
            order = np.argsort(sample_keys(self.seed, _SHUFFLE, epoch, order), kind="stable")

        keys = sample_keys(self.seed, _TRANSFORM, epoch, order)
        keys_to_read = sample_keys(self.seed, _READ, epoch, order)

        def load(number: int) -> tuple[np.ndarray, np.ndarray]:
            part = slice(number * size, (number + 1) * size)
            return self._load(order[part], keys_to_read[part], keys[part])

        if self.prefetch:
            return prefetched(load, len(self), self.prefetch)
        return map(load, range(len(self)))

    def _load(self, indices: np.ndarray, keys_to_read: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        source = self._images
        images = source.load(indices, keys_to_read) if isinstance(source, ImageFolder) else source[indices]
        if images.dtype == np.uint8:
            images = np.divide(images, np.float32(255), dtype=np.float32)
        if isinstance(self.transform, RandomTransform):
            images = self.transform.apply(images, keys)
        elif self.transform is not None:
            images = self.transform(images)
        return images, self._labels[indices]


def _arrays(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images as (N, C, H, W), a view where they are channels last, and int64 labels."""
    if isinstance(dataset, Dataset):
        images, labels = dataset.images, dataset.labels
        if images.ndim == 4:
            images = images.transpose(0, 3, 1, 2)
    elif isinstance(dataset, (tuple, list)) and len(dataset) == 2:
        images, labels = np.asarray(dataset[0]), np.asarray(dataset[1])
    else:
        raise TypeError(
            f"DataLoader: dataset must be a Dataset, an ImageFolder or a pair of arrays, got {type(dataset).__name__}"
        )
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise TypeError(f"DataLoader: images must be uint8, float32 or float64, got {images.dtype}")
    checks.ndim(images, (3, 4), "DataLoader", "images", "(N, H, W) or (N, C, H, W)")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"DataLoader: labels must be integers, got {labels.dtype}")
    if labels.shape != images.shape[:1]:
        raise ShapeError(f"DataLoader: labels must have shape ({len(images)},), got {labels.shape}")
    return images[:, None] if images.ndim == 3 else images, labels.astype(np.int64)


def _word(value: Any, argument: str) -> int:
    """`value`, an int that fits 64 bits."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"DataLoader: {argument} must be an int, got {value!r}")
    if not 0 <= value < 2**64:
        raise ValueError(f"DataLoader: {argument} must be from 0 to 2**64 - 1, got {value}")
    return int(value)
