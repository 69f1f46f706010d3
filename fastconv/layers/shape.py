"""Layers that change the shape."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["Flatten"]


class Flatten(Module):
    """Join the axes `start_dim` to `end_dim` to one; by default all but the batch axis.

    Parameters
    ----------
    start_dim, end_dim : int
        First and last axis to join; negative ones count from the end.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten()(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Tensor:
        """Return `input` with the axes joined."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
