"""Losses."""

from __future__ import annotations

import numpy as np

from fastconv.reference.activation import log_softmax, softmax

__all__ = ["cross_entropy", "cross_entropy_grad", "nll_loss", "nll_loss_grad"]


def _label_distribution(
    x: np.ndarray, target: np.ndarray, weight: np.ndarray | None, ignore_index: int, label_smoothing: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """For every label a row with what each class counts, and the sum of the weights of the labels.

    Soft targets, floats, are such rows already; their mean is one over the rows.
    """
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    classes = x.shape[1]
    weight = np.ones(classes) if weight is None else weight
    if target.dtype.kind == "f":
        soft = np.moveaxis(target, 1, -1).reshape(-1, classes)
        return rows, ((1 - label_smoothing) * soft + label_smoothing / classes) * weight, len(rows)
    labels = target.reshape(-1)
    counts = labels != ignore_index
    one_hot = np.eye(classes)[np.where(counts, labels, 0)]
    shares = ((1 - label_smoothing) * one_hot + label_smoothing / classes) * weight * counts[:, None]
    return rows, shares, weight[labels[counts]].sum()


def cross_entropy(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """-sum of q_c log softmax(x)_c, where q is 1 for the label and 0 elsewhere, the target itself if that is of floats,
    or a smoothed form of either."""
    rows, shares, total = _label_distribution(x, target, weight, ignore_index, label_smoothing)
    losses = -(shares * log_softmax(rows)).sum(axis=1)
    if reduction == "none":
        return losses.reshape(x.shape[0], *x.shape[2:])
    return losses.sum() / total if reduction == "mean" else losses.sum()


def cross_entropy_grad(
    grad: np.ndarray | float,
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """(sum of q) softmax(x) - q: the gradient of x."""
    rows, shares, total = _label_distribution(x, target, weight, ignore_index, label_smoothing)
    found = shares.sum(axis=1, keepdims=True) * softmax(rows) - shares
    found = found * (np.reshape(grad, (-1, 1)) if reduction == "none" else grad / (total if reduction == "mean" else 1))
    others = (x.shape[0], *x.shape[2:], x.shape[1])
    return np.moveaxis(found.reshape(others), -1, 1)


def nll_loss(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    """-sum of q_c x_c, where q is 1 for the label and 0 elsewhere."""
    rows, shares, total = _label_distribution(x, target, weight, ignore_index, 0.0)
    losses = -(shares * rows).sum(axis=1)
    if reduction == "none":
        return losses.reshape(target.shape)
    return losses.sum() / total if reduction == "mean" else losses.sum()


def nll_loss_grad(
    grad: np.ndarray | float,
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> np.ndarray:
    """-q."""
    _, shares, total = _label_distribution(x, target, weight, ignore_index, 0.0)
    scale = np.reshape(grad, (-1, 1)) if reduction == "none" else grad / (total if reduction == "mean" else 1)
    return np.moveaxis((-shares * scale).reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1)
