"""Losses that ask for a distance, as layers."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.functional._reduction import reduction_of
from fastconv.layers.module import Buffer, Module
from fastconv.tensor import Tensor

__all__ = ["HingeLoss", "MAPLoss", "MultiMarginLoss"]


class HingeLoss(Module):
    """The mean of ``max(0, 1 - target * input)``, targets being 1 or -1. See :func:`fastconv.functional.hinge_loss`.

    Parameters
    ----------
    squared : bool
        Whether to square the terms.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Examples
    --------
    >>> HingeLoss(reduction="none")([2.0, 0.5, -1.0], [1.0, 1.0, 1.0])
    tensor([0. , 0.5, 2. ])
    """

    def __init__(self, squared: bool = False, reduction: str = "mean") -> None:
        self.squared = squared
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.hinge_loss(input, target, squared=self.squared, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"squared={self.squared!r}, reduction={self.reduction!r}"


class MAPLoss(Module):
    """LeNet-5's criterion for distances (N, C) from the classes' prototypes. See :func:`fastconv.functional.map_loss`.

    Parameters
    ----------
    j : float
        Distance of the rubbish class: classes further away are not pushed any more.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the samples.

    Examples
    --------
    >>> MAPLoss(j=1000.0)([[0.0, 1000.0]], [0])
    tensor(0.)
    """

    def __init__(self, j: float = 0.1, reduction: str = "mean") -> None:
        self.j = j
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.map_loss(input, target, j=self.j, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"j={self.j!r}, reduction={self.reduction!r}"


class MultiMarginLoss(Module):
    """The hinge losses of all classes but the label. See :func:`fastconv.functional.multi_margin_loss`.

    Parameters
    ----------
    p : {1, 2}
        The power.
    margin : float
        By how much the label's score must be above all others.
    weight : array_like, optional
        What each class counts, (C,).
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the samples.

    Examples
    --------
    >>> MultiMarginLoss()([[1.0, 3.0]], [0])
    tensor(1.5)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        self.p = p
        self.margin = margin
        self.weight = None if weight is None else Buffer(weight)
        self.reduction = reduction_of("MultiMarginLoss", size_average, reduce, reduction)

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of scores `input` (N, C) for labels `target` (N,)."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"p={self.p}, margin={self.margin:g}, reduction={self.reduction!r}"
