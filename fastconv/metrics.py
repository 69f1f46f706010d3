"""How good predictions are: figures that are reported, not learned from."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.tensor import array_of

__all__ = ["confusion_matrix", "topk_accuracy"]


def topk_accuracy(scores: Any, labels: Any, k: int = 5) -> float:
    """Return the share of samples whose label is among the `k` classes with the highest scores.

    Of equal scores the lower class number counts as the higher; a label whose score is NaN is not among them.

    Parameters
    ----------
    scores : Tensor or array_like
        (N, C), one score a class.
    labels : Tensor or array_like of int
        The true classes, (N,).
    k : int
        From 1 to C.

    Returns
    -------
    float
        From 0 to 1; NaN without samples.

    Raises
    ------
    ShapeError
        If shapes do not fit or `k` is out of range.
    ValueError
        If a label is no class.

    Examples
    --------
    >>> topk_accuracy([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], [2, 2], k=2)
    0.5
    """
    array = array_of(scores, "topk_accuracy: scores")
    if array.ndim != 2:
        raise ShapeError(f"topk_accuracy: scores must be (N, C), got shape {array.shape}")
    truth = _classes("topk_accuracy", "labels", labels, array.shape[1])
    if truth.shape != array.shape[:1]:
        raise ShapeError(f"topk_accuracy: labels must be ({len(array)},), one a row, got shape {truth.shape}")
    if checks.integer(k, "topk_accuracy", "k") > array.shape[1]:
        raise ShapeError(f"topk_accuracy: k must be at most the number of classes, {array.shape[1]}, got {k}")
    if not len(array):
        return float("nan")
    own = array[np.arange(len(array)), truth][:, None]
    before = np.arange(array.shape[1]) < truth[:, None]
    higher = ((array > own) | (array == own) & before | np.isnan(array)).sum(axis=1)
    return float(((higher < k) & (own[:, 0] == own[:, 0])).mean())


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None) -> np.ndarray:
    """Count samples by true class (row) and predicted class (column).

    Parameters
    ----------
    labels : Tensor or array_like of int
        The true classes, (N,).
    predictions : Tensor or array_like
        The predicted classes (N,), or scores (N, C) of which the highest counts.
    num_classes : int, optional
        K; as a rule the number of scores or, without any, one more than the largest class.

    Returns
    -------
    numpy.ndarray of int64, (K, K)
        ``visualize.confusion_matrix`` draws it.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """
    op = "confusion_matrix"
    found = (
        np.asarray(predictions)
        if isinstance(predictions, (list, tuple))
        else array_of(predictions, f"{op}: predictions")
    )
    if found.ndim == 2:
        num_classes = found.shape[1] if num_classes is None else num_classes
        found = found.argmax(axis=1)
    k = None if num_classes is None else checks.integer(num_classes, op, "num_classes")
    guess, truth = _classes(op, "predictions", found, k), _classes(op, "labels", labels, k)
    if guess.shape != truth.shape:
        raise ShapeError(f"{op}: labels and predictions must be as many, got shapes {truth.shape} and {guess.shape}")
    if k is None:
        k = int(max(guess.max(initial=-1), truth.max(initial=-1))) + 1
    return np.bincount(truth * k + guess, minlength=k * k).reshape(k, k)


def _classes(op: str, argument: str, values: Any, count: int | None) -> np.ndarray:
    """Class numbers (N,) as int64."""
    array = np.asarray(values) if isinstance(values, (list, tuple)) else array_of(values, f"{op}: {argument}")
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1:
        raise ShapeError(f"{op}: {argument} must be (N,), got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: {argument} must be integer class numbers, got {array.dtype}")
    top = np.iinfo(np.int64).max if count is None else count - 1
    if array.size and (array.min() < 0 or array.max() > top):
        allowed = "0 or above" if count is None else f"from 0 to {top}"
        raise ValueError(f"{op}: {argument} must be {allowed}, got {array.min() if array.min() < 0 else array.max()}")
    return array.astype(np.int64)
