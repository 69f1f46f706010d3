"""Schedules that go one way: down, or up at a warm-up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from fastconv import checks
from fastconv.lr_scheduler.schedule import LRScheduler
from fastconv.optim import Optimizer

__all__ = ["ConstantLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class StepLR(LRScheduler):
    """Multiply the learning rate by `gamma` every `step_size` steps.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.optim import SGD
    >>> optimizer = SGD([Parameter([0.0])], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = checks.integer(step_size, "StepLR", "step_size")
        self.gamma = checks.number(gamma, "StepLR", "gamma")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply the learning rate by `gamma` at each of the steps `milestones`."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(checks.integer(m, "MultiStepLR", "milestones", minimum=0) for m in milestones)
        self.gamma = checks.number(gamma, "MultiStepLR", "gamma")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, epoch)


class LambdaLR(LRScheduler):
    """Multiply the initial learning rate by what a function, or one for each group, returns for the step's number."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(getattr(optimizer, "param_groups", ()))
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: lr_lambda must have one function for each of {groups} groups")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.lr_lambdas[group](epoch)


class ExponentialLR(LRScheduler):
    """Multiply the learning rate by `gamma` at every step.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.optim import SGD
    >>> schedule = ExponentialLR(SGD([Parameter([0.0])], lr=1.0), gamma=0.5)
    >>> schedule.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = checks.number(gamma, "ExponentialLR", "gamma", minimum=0.0)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma**epoch


class ConstantLR(LRScheduler):
    """Multiply the initial learning rate by `factor` until step `total_iters`: a warm-up in one stair."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor = checks.number(factor, "ConstantLR", "factor", minimum=0.0, maximum=1.0)
        self.total_iters = checks.integer(total_iters, "ConstantLR", "total_iters")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.factor if epoch < self.total_iters else base


class PolynomialLR(LRScheduler):
    """Go from the initial learning rate to 0 in `total_iters` steps, as ``(1 - step / total_iters) ** power``.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.optim import SGD
    >>> schedule = PolynomialLR(SGD([Parameter([0.0])], lr=1.0), total_iters=4, power=2.0)
    >>> schedule.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = checks.integer(total_iters, "PolynomialLR", "total_iters")
        self.power = checks.number(power, "PolynomialLR", "power", minimum=0.0)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * (1 - min(epoch, self.total_iters) / self.total_iters) ** self.power


class LinearLR(LRScheduler):
    """Go from `start_factor` to `end_factor` times the initial learning rate in `total_iters` steps: a warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = checks.number(start_factor, "LinearLR", "start_factor", minimum=0.0, maximum=1.0)
        self.end_factor = checks.number(end_factor, "LinearLR", "end_factor", minimum=0.0, maximum=1.0)
        self.total_iters = checks.integer(total_iters, "LinearLR", "total_iters")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)
