"""Losses that compare each element with a target of its own, as layers."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.functional._reduction import reduction_of
from fastconv.layers.module import Buffer, Module
from fastconv.tensor import Tensor

__all__ = ["BCEWithLogitsLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "SmoothL1Loss"]


class MSELoss(Module):
    """The mean of ``(input - target) ** 2``. See :func:`fastconv.functional.mse_loss`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Examples
    --------
    >>> MSELoss()([1.0, 2.0], [1.0, 4.0])
    tensor(2.)
    """

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        self.reduction = reduction_of("MSELoss", size_average, reduce, reduction)

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.mse_loss(input, target, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class L1Loss(Module):
    """The mean of ``|input - target|``. See :func:`fastconv.functional.l1_loss`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Examples
    --------
    >>> L1Loss()([1.0, 2.0], [1.0, 4.0])
    tensor(1.)
    """

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        self.reduction = reduction_of("L1Loss", size_average, reduce, reduction)

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.l1_loss(input, target, reduction=self.reduction)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class SmoothL1Loss(Module):
    """The mean difference, rounded off around 0. See :func:`fastconv.functional.smooth_l1_loss`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.
    beta : float
        Where the parabola ends.

    Examples
    --------
    >>> SmoothL1Loss(reduction="none")([0.0, 0.0], [1.0, 3.0])
    tensor([0.5, 2.5])
    """

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        self.reduction = reduction_of("SmoothL1Loss", size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, beta={self.beta!r}"


class HuberLoss(Module):
    """Half the square of small differences, large ones linearly. See :func:`fastconv.functional.huber_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.
    delta : float
        Where the parabola ends.

    Examples
    --------
    >>> HuberLoss("none", delta=2.0)([0.0, 0.0], [1.0, 3.0])
    tensor([0.5, 4. ])
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = reduction
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, delta={self.delta!r}"


class KLDivLoss(Module):
    """The Kullback-Leibler divergence of `input`, logarithms, from `target`. See :func:`fastconv.functional.kl_div`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "batchmean", "sum", "none"}
        What to do with the terms; "batchmean" gives the divergence proper.
    log_target : bool
        Whether `target` holds logarithms too.

    Examples
    --------
    >>> KLDivLoss(reduction="batchmean")([[-0.6931, -0.6931]], [[1.0, 0.0]])
    tensor(0.6931)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        self.reduction = reduction_of("KLDivLoss", size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of `input` for `target`."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, log_target={self.log_target!r}"


class BCEWithLogitsLoss(Module):
    """How improbable yes-or-no answers are. See :func:`fastconv.functional.binary_cross_entropy_with_logits`.

    Parameters
    ----------
    weight : array_like, optional
        What each element counts; broadcast.
    size_average, reduce : bool, optional
        Former names of what `reduction` says.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.
    pos_weight : array_like, optional
        What a yes counts, a no being 1; broadcast.

    Examples
    --------
    >>> BCEWithLogitsLoss()([0.0], [1.0])
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Any = None,
    ) -> None:
        self.weight = None if weight is None else Buffer(weight)
        self.reduction = reduction_of("BCEWithLogitsLoss", size_average, reduce, reduction)
        self.pos_weight = None if pos_weight is None else Buffer(pos_weight)

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of scores `input` for answers `target`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"
