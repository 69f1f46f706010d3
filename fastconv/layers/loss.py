"""Losses as layers."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.functional._reduction import reduction_of
from fastconv.layers.module import Buffer, Module
from fastconv.tensor import Tensor

__all__ = ["CrossEntropyLoss", "NLLLoss"]


class CrossEntropyLoss(Module):
    """The mean of ``-log softmax(input)[label]``, see :func:`fastconv.functional.cross_entropy`.

    Parameters
    ----------
    weight : array_like, optional
        What each class counts, (C,).
    ignore_index : int
        A label that counts nothing.
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.
    label_smoothing : float
        From 0 to 1.

    Examples
    --------
    >>> CrossEntropyLoss()([[0.0, 0.0]], [1])
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = None if weight is None else Buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction_of("CrossEntropyLoss", size_average, reduce, reduction)
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of scores `input` (N, C, ...) for labels `target` (N, ...)."""
        return F.cross_entropy(
            input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing
        )

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, label_smoothing={self.label_smoothing:g}"


class NLLLoss(Module):
    """The mean of ``-input[label]``, see :func:`fastconv.functional.nll_loss`.

    Parameters
    ----------
    weight : array_like, optional
        What each class counts, (C,).
    ignore_index : int
        A label that counts nothing.
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses.

    Examples
    --------
    >>> NLLLoss()([[-0.5, -2.0]], [0])
    tensor(0.5)
    """

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        self.weight = None if weight is None else Buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction_of("NLLLoss", size_average, reduce, reduction)

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of logarithms of probabilities `input` (N, C, ...) for labels `target` (N, ...)."""
        return F.nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"
