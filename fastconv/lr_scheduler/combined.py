"""Schedules made of others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from fastconv import checks
from fastconv.lr_scheduler.plateau import ReduceLROnPlateau
from fastconv.lr_scheduler.schedule import LRScheduler
from fastconv.optim import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class SequentialLR(LRScheduler):
    """Schedules one after the other, such as a warm-up and a decay; each begins at its milestone.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser of all of them.
    schedulers : sequence of LRScheduler
        The parts.
    milestones : sequence of int
        The steps at which the second, third, ... begin, rising.
    last_epoch : int
        Number of the last step taken; -1 starts anew.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.lr_scheduler import CosineAnnealingLR, LinearLR
    >>> from fastconv.optim import SGD
    >>> optimizer = SGD([Parameter([0.0])], lr=1.0)
    >>> warm_up, decay = LinearLR(optimizer, 0.25, total_iters=3), CosineAnnealingLR(optimizer, 4)
    >>> schedule = SequentialLR(optimizer, [warm_up, decay], milestones=[3])
    >>> rates = []
    >>> for _ in range(8):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> [round(rate, 2) for rate in rates]
    [0.25, 0.5, 0.75, 1.0, 0.85, 0.5, 0.15, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.schedulers = _parts("SequentialLR", schedulers, optimizer)
        self.milestones = [checks.integer(m, "SequentialLR", "milestones") for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1 or self.milestones != sorted(self.milestones):
            raise ValueError(f"SequentialLR: {len(self.schedulers)} schedulers need one rising milestone less")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        schedule, step = self._current(epoch)
        return schedule.rate(schedule.base_lrs[group], step, group)

    def write_more(self, epoch: int) -> None:
        """Write what else the schedule in charge says."""
        schedule, step = self._current(epoch)
        schedule.write_more(step)

    def _current(self, epoch: int) -> tuple[LRScheduler, int]:
        """The schedule in charge at a step, and which of its own steps that is."""
        number = bisect_right(self.milestones, epoch)
        return self.schedulers[number], epoch - (self.milestones[number - 1] if number else 0)


class ChainedScheduler(LRScheduler):
    """Schedules all at once: each takes what the one before says for the initial learning rate.

    Factors multiply, as in PyTorch. A cosine's `eta_min` is where the cosine ends and is not multiplied by what comes
    before it; PyTorch's mixes both step by step.

    Parameters
    ----------
    schedulers : sequence of LRScheduler
        All of one optimiser.
    optimizer : Optimizer, optional
        That optimiser.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.lr_scheduler import ConstantLR, ExponentialLR
    >>> from fastconv.optim import SGD
    >>> optimizer = SGD([Parameter([0.0])], lr=1.0)
    >>> schedule = ChainedScheduler([ConstantLR(optimizer, 0.1, total_iters=2), ExponentialLR(optimizer, 0.5)])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.1, 0.05, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        first = schedulers[0].optimizer if schedulers and isinstance(schedulers[0], LRScheduler) else None
        self.schedulers = _parts("ChainedScheduler", schedulers, optimizer or first)
        super().__init__(self.schedulers[0].optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        for schedule in self.schedulers:
            base = schedule.rate(base, epoch, group)
        return base

    def write_more(self, epoch: int) -> None:
        """Write what else the schedules say."""
        for schedule in self.schedulers:
            schedule.write_more(epoch)


def _parts(op: str, schedulers: Any, optimizer: Any) -> list[LRScheduler]:
    parts = list(schedulers)
    if not parts:
        raise ValueError(f"{op}: schedulers is empty")
    for part in parts:
        if not isinstance(part, LRScheduler) or isinstance(part, ReduceLROnPlateau):
            raise TypeError(f"{op}: schedulers must be schedules that need no metric, got {type(part).__name__}")
        if part.optimizer is not optimizer:
            raise ValueError(f"{op}: schedulers must all be of one optimizer")
    return parts
