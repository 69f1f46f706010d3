"""Learning-rate schedules, under PyTorch's names and with its values.

A schedule sets the learning rate of every group of an optimiser when it is made and at every ``step()``, which is
called after ``optimizer.step()`` or once an epoch. Rates are computed from the number of steps alone: no drift.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from fastconv import checks
from fastconv.optim import Optimizer

__all__ = [
    "CosineAnnealingLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "SequentialLR",
    "StepLR",
]


class LRScheduler:
    """Base of schedules; a subclass defines ``rate``.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups' "lr" is written. The rate each group had at first is kept as its "initial_lr".
    last_epoch : int
        Number of the last step taken; -1 starts anew.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{name}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.last_epoch = checks.integer(last_epoch, name, "last_epoch", minimum=-1)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.step()

    def rate(self, base: float, epoch: int, group: int) -> float:
        """Return the learning rate of a group at step `epoch`, given its initial rate; every schedule defines it."""
        raise NotImplementedError

    def step(self) -> None:
        """Go to the next step and write the learning rates."""
        self.last_epoch += 1
        self.write(self.last_epoch)

    def write(self, epoch: int) -> None:
        """Write what belongs to step `epoch` to the optimiser."""
        for i, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            group["lr"] = self.rate(base, epoch, i)

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self.last_epoch = checks.integer(state_dict["last_epoch"], type(self).__name__, "last_epoch", minimum=0)
        self.base_lrs = [float(rate) for rate in state_dict["base_lrs"]]
        self.write(self.last_epoch)


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


class CosineAnnealingLR(LRScheduler):
    """Go from the initial learning rate to `eta_min` in `T_max` steps, along half a cosine.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = checks.integer(T_max, "CosineAnnealingLR", "T_max")
        self.eta_min = checks.number(eta_min, "CosineAnnealingLR", "eta_min", minimum=0.0)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class OneCycleLR(LRScheduler):
    """Rise to `max_lr`, then fall far below where the cycle began; the momentum goes the other way.

    Parameters
    ----------
    optimizer : Optimizer
        Its initial learning rates are replaced.
    max_lr : float or sequence of float
        The highest learning rate, of all groups or of each.
    total_steps : int, optional
        Length of the cycle; or else `epochs` and `steps_per_epoch`, whose product it is.
    pct_start : float
        Share of the cycle that rises.
    anneal_strategy : {"cos", "linear"}
        Shape of both slopes.
    cycle_momentum : bool
        Move the momentum from `max_momentum` to `base_momentum` and back.
    div_factor : float
        ``max_lr / div_factor`` is where the cycle begins.
    final_div_factor : float
        The cycle ends at where it began, divided by this.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: needs total_steps, or epochs and steps_per_epoch")
            total_steps = checks.integer(epochs, "OneCycleLR", "epochs") * checks.integer(
                steps_per_epoch, "OneCycleLR", "steps_per_epoch"
            )
        self.total_steps = checks.integer(total_steps, "OneCycleLR", "total_steps")
        self.rising = checks.number(pct_start, "OneCycleLR", "pct_start", 0.0, 1.0) * self.total_steps - 1
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be cos or linear, got {anneal_strategy!r}")
        self.cosine = anneal_strategy == "cos"
        self.momenta = (
            checks.number(max_momentum, "OneCycleLR", "max_momentum", 0.0, 1.0),
            checks.number(base_momentum, "OneCycleLR", "base_momentum", 0.0, 1.0),
        )
        self.cycle_momentum = cycle_momentum
        self.div_factor = checks.number(div_factor, "OneCycleLR", "div_factor", minimum=1.0)
        self.final_div_factor = checks.number(final_div_factor, "OneCycleLR", "final_div_factor", minimum=1.0)
        groups = getattr(optimizer, "param_groups", [])
        rates = list(max_lr) if isinstance(max_lr, (tuple, list)) else [max_lr] * len(groups)
        if len(rates) != len(groups):
            raise ValueError(f"OneCycleLR: max_lr must be one number or {len(groups)}, one for each group")
        if cycle_momentum and any("momentum" not in group for group in groups):
            raise ValueError("OneCycleLR: the optimiser has no momentum; pass cycle_momentum=False")
        for group, rate in zip(groups, rates, strict=True):
            group["initial_lr"] = checks.number(rate, "OneCycleLR", "max_lr", minimum=0.0) / self.div_factor
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return self._on_cycle(base, base * self.div_factor, base / self.final_div_factor, epoch)

    def write(self, epoch: int) -> None:
        """Write learning rates and momenta."""
        if epoch > self.total_steps:  # a step after the last batch, as every training loop makes it, is no error
            raise ValueError(f"OneCycleLR: the cycle of {self.total_steps} steps is over")
        super().write(epoch)
        if self.cycle_momentum:
            most, least = self.momenta
            for group in self.optimizer.param_groups:
                group["momentum"] = self._on_cycle(most, least, most, epoch)

    def _on_cycle(self, start: float, top: float, end: float, epoch: int) -> float:
        if epoch <= self.rising or self.rising >= self.total_steps - 1:
            return self._between(start, top, epoch / self.rising if self.rising else 1.0)
        return self._between(top, end, (epoch - self.rising) / (self.total_steps - 1 - self.rising))

    def _between(self, start: float, end: float, done: float) -> float:
        if self.cosine:
            return end + (start - end) / 2 * (1 + math.cos(math.pi * done))
        return start + (end - start) * done


class SequentialLR(LRScheduler):
    """Schedules one after the other, such as a warm-up and a decay; each begins at its milestone."""

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.schedulers = list(schedulers)
        self.milestones = [checks.integer(m, "SequentialLR", "milestones") for m in milestones]
        if len(self.milestones) != len(self.schedulers) - 1 or self.milestones != sorted(self.milestones):
            raise ValueError(f"SequentialLR: {len(self.schedulers)} schedulers need one rising milestone less")
        super().__init__(optimizer, last_epoch)

    def write(self, epoch: int) -> None:
        """Write what the schedule in charge says."""
        current = bisect_right(self.milestones, epoch)
        self.schedulers[current].write(epoch - (self.milestones[current - 1] if current else 0))
