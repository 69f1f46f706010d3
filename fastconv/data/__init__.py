"""Images and labels: reading them, iterating in batches, augmenting them."""

from fastconv.data.cifar import load_cifar
from fastconv.data.dataset import Dataset, load_dataset, load_digits
from fastconv.data.folder import ImageFolder
from fastconv.data.idx import read_idx
from fastconv.data.loader import DataLoader
from fastconv.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Normalize,
    PCAColor,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomTransform,
    RandomVerticalFlip,
    Resize,
)
from fastconv.data.warp import affine_warp

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "DataLoader",
    "Dataset",
    "ImageFolder",
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
    "affine_warp",
    "load_cifar",
    "load_dataset",
    "load_digits",
    "read_idx",
]
