"""Pickles of arrays and PyTorch's files, read without running anything in them, and without PyTorch."""

from fastconv.pickled.files import load_arrays, load_torch

__all__ = ["load_arrays", "load_torch"]
