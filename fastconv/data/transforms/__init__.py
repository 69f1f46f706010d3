"""Transforms of image batches: sizes and crops, random geometry and colours, normalisation.

A transform is any callable that takes a batch of float images (N, C, H, W) and returns one. Those that draw random
numbers derive from :class:`RandomTransform`, so that a :class:`~fastconv.data.DataLoader` can give every sample draws
of its own, which follow from seed, epoch and sample alone; called directly they take `rng`.
"""

from fastconv.data.transforms.base import Compose, Normalize, RandomTransform, Transform
from fastconv.data.transforms.color import ColorJitter, PCAColor, RandomErasing
from fastconv.data.transforms.crop import CenterCrop, RandomCrop, RandomResizedCrop, Resize
from fastconv.data.transforms.geometry import RandomAffine, RandomHorizontalFlip, RandomVerticalFlip

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Normalize",
    "PCAColor",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomTransform",
    "RandomVerticalFlip",
    "Resize",
    "Transform",
]
