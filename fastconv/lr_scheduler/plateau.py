"""A schedule that listens to how training goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv import checks
from fastconv.errors import DataError
from fastconv.lr_scheduler.schedule import LRScheduler
from fastconv.optim import Optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the learning rate by `factor` when a metric has not improved for more than `patience` steps.

    Parameters
    ----------
    optimizer : Optimizer
        Whose learning rates are reduced.
    mode : {"min", "max"}
        Whether a smaller metric (a loss) or a larger one (an accuracy) is better.
    factor : float
        In [0, 1).
    patience : int
        Steps without improvement that are let pass, >= 0.
    threshold : float
        What counts as improvement: a metric below ``best * (1 - threshold)``, or above ``best * (1 + threshold)``.
    threshold_mode : {"rel", "abs"}
        "abs": below ``best - threshold``, or above ``best + threshold``.
    cooldown : int
        Steps after a reduction that do not count, >= 0.
    min_lr : float or sequence of float
        Where reduction ends, for all groups or each.
    eps : float
        Reductions by no more than this are left out.

    Examples
    --------
    >>> from fastconv import Parameter
    >>> from fastconv.optim import SGD
    >>> schedule = ReduceLROnPlateau(SGD([Parameter([0.0])], lr=1.0), patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.5):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode must be min or max, got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"{name}: threshold_mode must be rel or abs, got {threshold_mode!r}")
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = checks.number(factor, name, "factor", 0.0, 1.0)
        if self.factor == 1:
            raise ValueError(f"{name}: factor must be below 1, got {factor!r}")
        self.patience = checks.integer(patience, name, "patience", minimum=0)
        self.threshold = checks.number(threshold, name, "threshold", minimum=0.0)
        self.cooldown = checks.integer(cooldown, name, "cooldown", minimum=0)
        self.eps = checks.number(eps, name, "eps", minimum=0.0)
        groups = len(getattr(optimizer, "param_groups", ()))
        lowest = list(min_lr) if isinstance(min_lr, (tuple, list)) else [min_lr] * groups
        if len(lowest) != groups:
            raise ValueError(f"{name}: min_lr must be one number or {groups}, one for each group")
        self.min_lrs = [checks.number(rate, name, "min_lr", minimum=0.0) for rate in lowest]
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def write(self, epoch: int) -> None:
        """Leave the rates as they are: they follow from metrics, not from the step's number."""

    def step(self, metrics: Any = None) -> None:
        """Take note of the metric, a number or a Tensor with one; NaN is no improvement.

        Raises
        ------
        TypeError
            If there is none.
        """
        if metrics is None and self.last_epoch >= 0:
            raise TypeError("ReduceLROnPlateau: step needs the metric, such as the validation loss")
        self.last_epoch += 1
        if metrics is None:  # when it is made
            return
        value = float(metrics)
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                reduced = max(group["lr"] * self.factor, lowest)
                if group["lr"] - reduced > self.eps:
                    group["lr"] = reduced

    def _is_better(self, value: float) -> bool:
        sign = -1.0 if self.mode == "min" else 1.0
        if self.threshold_mode == "abs":
            return sign * value > sign * self.best + self.threshold
        return sign * value > sign * self.best * (1 + sign * self.threshold)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue, the present rates included."""
        return {
            **super().state_dict(),
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
            "lrs": self.get_last_lr(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned; errors as for other schedules."""
        name = type(self).__name__
        try:
            best, lrs = float(state_dict["best"]), list(state_dict["lrs"])
            counters = [state_dict["num_bad_epochs"], state_dict["cooldown_counter"]]
        except (KeyError, TypeError) as error:
            raise DataError(f"{name}: state_dict is not that of such a schedule ({error!r})") from None
        bad, cooldown = (checks.integer(value, name, "state", minimum=0) for value in counters)
        rates = [checks.number(rate, name, "lrs", minimum=0.0) for rate in lrs]
        if len(rates) != len(self.optimizer.param_groups):
            raise DataError(f"{name}: state_dict is for {len(rates)} groups, not {len(self.optimizer.param_groups)}")
        super().load_state_dict(state_dict)
        self.best, self.num_bad_epochs, self.cooldown_counter = best, bad, cooldown
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
