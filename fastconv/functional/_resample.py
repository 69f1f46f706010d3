"""Sparse matrices that act along one axis: what adaptive averages, interpolation and mirrored padding all are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.autograd import record
from fastconv.tensor import Tensor

__all__ = ["Matrix", "adaptive_bins", "apply", "mean_matrix", "pick", "resample"]


class Matrix:
    """A sparse matrix, row by row: row i is the sum over k from start[i] to start[i + 1] of weight[k] at index[k].

    Parameters
    ----------
    index, weight : numpy.ndarray
        Column and value of every element, row after row.
    lengths : numpy.ndarray
        How many of them each row has.
    columns : int
        Number of columns.

    Examples
    --------
    >>> pick([2, 0, 0], 3).T.weight, pick([2, 0, 0], 3).T.start
    (array([1., 1., 1.]), array([0, 2, 2, 3]))
    """

    def __init__(self, index: np.ndarray, weight: np.ndarray, lengths: np.ndarray, columns: int) -> None:
        self.start = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        self.index = np.ascontiguousarray(index, np.int64)
        self.weight = np.ascontiguousarray(weight, np.float64)
        self.rows, self.columns = len(lengths), columns

    @cached_property
    def T(self) -> Matrix:
        """The transposed matrix, which gradients need."""
        order = np.argsort(self.index, kind="stable")
        row = np.repeat(np.arange(self.rows), np.diff(self.start))
        return Matrix(row[order], self.weight[order], np.bincount(self.index, minlength=self.columns), self.rows)


def pick(index: Any, columns: int) -> Matrix:
    """Return the matrix whose rows are the elements `index` of what it is applied to."""
    index = np.asarray(index, np.int64)
    return Matrix(index, np.ones(len(index)), np.ones(len(index), np.int64), columns)


def adaptive_bins(size: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first and last + 1 element of each bin that adaptive pooling makes of `size` elements.

    Examples
    --------
    >>> adaptive_bins(5, 3)
    (array([0, 1, 3]), array([2, 4, 5]))
    """
    number = np.arange(bins + 1, dtype=np.int64)
    return number[:-1] * size // bins, -(-number[1:] * size // bins)


@lru_cache(maxsize=256)
def mean_matrix(size: int, bins: int) -> Matrix:
    """Return the matrix of the means of the bins of :func:`adaptive_bins`."""
    first, last = adaptive_bins(size, bins)
    lengths = last - first
    index = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - first, lengths)
    return Matrix(index, np.repeat(1 / lengths, lengths), lengths, size)


def resample(input: Any, x: np.ndarray, matrices: Sequence[Matrix | None]) -> Tensor:
    """Apply one matrix to each axis of the images in `input`, (N, C, ...), None where an axis stays as it is.

    Parameters
    ----------
    input : Tensor or array_like
        What goes on the tape.
    x : numpy.ndarray
        Its array.
    matrices : sequence
        For the spatial axes in order.
    """
    out = apply(x, matrices)
    back = [None if m is None else m.T for m in matrices] if isinstance(input, Tensor) and input.requires_grad else []
    return record(out, lambda grad: (apply(grad, back),), (input,))


def apply(x: np.ndarray, matrices: Sequence[Matrix | None]) -> np.ndarray:
    """Return images (N, C, ...) after one matrix for each spatial axis; None leaves an axis as it is."""
    if all(matrix is None for matrix in matrices):
        return x
    if x.ndim == 4:
        x = _kernels.channels_last(x)
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    axes = [axis for axis, matrix in enumerate(matrices, 1) if matrix is not None]
    # What shrinks most goes first and leaves the least for the others.
    for axis in sorted(axes, key=lambda axis: matrices[axis - 1].rows / matrices[axis - 1].columns):  # type: ignore[union-attr]
        matrix: Any = matrices[axis - 1]
        shape = x.shape
        out = _kernels.empty((*shape[:axis], matrix.rows, *shape[axis + 1 :]), x.dtype)
        outer, inner = (int(np.prod(part, dtype=np.int64)) for part in (shape[:axis], shape[axis + 1 :]))
        _kernels.resample(x, out, outer, inner, matrix.start, matrix.index, matrix.weight, matrix.columns)
        x = out
    return np.moveaxis(x, -1, 1)
