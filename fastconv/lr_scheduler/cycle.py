"""Schedules along cosines and cycles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv import checks
from fastconv.lr_scheduler.schedule import LRScheduler
from fastconv.optim import Optimizer

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts", "OneCycleLR"]


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


class CosineAnnealingWarmRestarts(LRScheduler):
    """Go from the initial learning rate to `eta_min` along half a cosine, again and again.

    Parameters
    ----------
    optimizer : Optimizer
        Whose learning rates are set.
    T_0 : int
        Steps to the first restart.
    T_mult : int
        Each cycle is so many times as long as the one before.
    eta_min : float
        Where every cycle would end.
    last_epoch : int
        Number of the last step taken; -1 starts anew.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.optim import SGD
    >>> schedule = CosineAnnealingWarmRestarts(SGD([Parameter([0.0])], lr=1.0), T_0=2, T_mult=2)
    >>> rates = []
    >>> for _ in range(7):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> [round(rate, 3) for rate in rates]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    >>> schedule.step(2.5)
    >>> [round(rate, 3) for rate in schedule.get_last_lr()]
    [0.962]
    """

    between = 0.0

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = checks.integer(T_0, "CosineAnnealingWarmRestarts", "T_0")
        self.T_mult = checks.integer(T_mult, "CosineAnnealingWarmRestarts", "T_mult")
        self.eta_min = checks.number(eta_min, "CosineAnnealingWarmRestarts", "eta_min", minimum=0.0)
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or to the place `epoch`, between two steps as well: ``step(epoch + batch / batches)``.

        From such a place later steps go on, one at a time.
        """
        if epoch is None:
            super().step()
            return
        place = checks.number(epoch, "CosineAnnealingWarmRestarts", "epoch", minimum=0.0)
        self.last_epoch = math.floor(place)
        self.between = place - self.last_epoch
        self.write(self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue."""
        return {**super().state_dict(), "between": self.between}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned; errors as for other schedules."""
        before = self.between
        try:
            self.between = checks.number(dict(state_dict).get("between", 0.0), type(self).__name__, "between", 0.0, 1.0)
            super().load_state_dict(state_dict)
        except Exception:
            self.between = before
            raise

    def rate(self, base: float, epoch: int, group: int) -> float:
        length, done = self.T_0, epoch + self.between
        if self.T_mult == 1:
            done %= length
        while done >= length:
            done -= length
            length *= self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * done / length)) / 2


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
        Move the momentum, or Adam's first beta, from `max_momentum` to `base_momentum` and back.
    base_momentum, max_momentum : float or sequence of float
        The ends of that way, of all groups or of each.
    div_factor : float
        ``max_lr / div_factor`` is where the cycle begins.
    final_div_factor : float
        The cycle ends at where it began, divided by this.
    three_phase : bool
        Fall to where the cycle began as long as it rose, and then to its end.

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
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: needs total_steps, or epochs and steps_per_epoch")
            total_steps = checks.integer(epochs, "OneCycleLR", "epochs") * checks.integer(
                steps_per_epoch, "OneCycleLR", "steps_per_epoch"
            )
        self.total_steps = checks.integer(total_steps, "OneCycleLR", "total_steps")
        rising = checks.number(pct_start, "OneCycleLR", "pct_start", 0.0, 1.0) * self.total_steps - 1
        self.three_phase = bool(three_phase)
        self.ends = [rising, *([2 * rising] if three_phase else []), self.total_steps - 1]
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be cos or linear, got {anneal_strategy!r}")
        self.cosine = anneal_strategy == "cos"
        self.cycle_momentum = cycle_momentum
        self.div_factor = checks.number(div_factor, "OneCycleLR", "div_factor", minimum=1.0)
        self.final_div_factor = checks.number(final_div_factor, "OneCycleLR", "final_div_factor", minimum=1.0)
        groups = getattr(optimizer, "param_groups", [])
        rates = _of_groups("max_lr", max_lr, len(groups))
        self.momenta = list(
            zip(
                _of_groups("max_momentum", max_momentum, len(groups), 1.0),
                _of_groups("base_momentum", base_momentum, len(groups), 1.0),
                strict=True,
            )
        )
        if cycle_momentum and any("momentum" not in group and "betas" not in group for group in groups):
            raise ValueError("OneCycleLR: the optimiser has no momentum; pass cycle_momentum=False")
        for group, rate in zip(groups, rates, strict=True):
            group["initial_lr"] = rate / self.div_factor
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        if epoch > self.total_steps:  # a step after the last batch, as every training loop makes it, is no error
            raise ValueError(f"OneCycleLR: the cycle of {self.total_steps} steps is over")
        back = [base] if self.three_phase else []
        return self._on_cycle([base, base * self.div_factor, *back, base / self.final_div_factor], epoch)

    def write_more(self, epoch: int) -> None:
        """Write the momenta."""
        if self.cycle_momentum:
            for group, (most, least) in zip(self.optimizer.param_groups, self.momenta, strict=True):
                momentum = self._on_cycle([most, least, most, *([most] if self.three_phase else [])], epoch)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def _on_cycle(self, values: Sequence[float], epoch: int) -> float:
        """Return where something is that goes from value to value, one at the end of each phase."""
        phase = next((i for i, end in enumerate(self.ends) if epoch <= end), len(self.ends) - 1)
        begin, end = self.ends[phase - 1] if phase else 0.0, self.ends[phase]
        done = (epoch - begin) / (end - begin) if end > begin else 1.0
        return self._between(values[phase], values[phase + 1], done)

    def _between(self, start: float, end: float, done: float) -> float:
        if self.cosine:
            return end + (start - end) / 2 * (1 + math.cos(math.pi * done))
        return start + (end - start) * done


def _of_groups(argument: str, value: float | Sequence[float], count: int, maximum: float = math.inf) -> list[float]:
    """One number for each of `count` groups, from one for all or one for each."""
    values = list(value) if isinstance(value, (tuple, list)) else [value] * count
    if len(values) != count:
        raise ValueError(f"OneCycleLR: {argument} must be one number or {count}, one for each group, got {value!r}")
    return [checks.number(each, "OneCycleLR", argument, 0.0, maximum) for each in values]
