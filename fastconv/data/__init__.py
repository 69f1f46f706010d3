"""Images and labels: reading them, iterating in batches, augmenting them."""

from fastconv.data.dataset import Dataset, load_dataset, load_digits
from fastconv.data.idx import read_idx
from fastconv.data.loader import DataLoader
from fastconv.data.transforms import Compose, Normalize, RandomAffine, RandomTransform
from fastconv.data.warp import affine_warp

__all__ = [
    "Compose",
    "DataLoader",
    "Dataset",
    "Normalize",
    "RandomAffine",
    "RandomTransform",
    "affine_warp",
    "load_dataset",
    "load_digits",
    "read_idx",
]
