"""What schedules have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import checks
from fastconv.errors import DataError
from fastconv.optim import Optimizer

__all__ = ["LRScheduler"]


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
        raise NotImplementedError(f"{type(self).__name__} defines no rate")

    def step(self) -> None:
        """Go to the next step and write the learning rates."""
        self.last_epoch += 1
        self.write(self.last_epoch)

    def write(self, epoch: int) -> None:
        """Write what belongs to step `epoch` to the optimiser."""
        for i, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            group["lr"] = self.rate(base, epoch, i)
        self.write_more(epoch)

    def write_more(self, epoch: int) -> None:
        """Write what a schedule has to say about other options than the rate, such as the momentum."""

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue: plain numbers. The options come from making the same schedule again."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned, and write the rates that belong there.

        Raises
        ------
        DataError
            If it lacks something or is for another number of groups; nothing is changed then.
        """
        name = type(self).__name__
        try:
            last_epoch, base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        except (KeyError, TypeError) as error:
            raise DataError(f"{name}: state_dict lacks last_epoch or base_lrs ({error!r})") from None
        if len(base_lrs) != len(self.base_lrs):
            raise DataError(f"{name}: state_dict is for {len(base_lrs)} groups, the optimiser has {len(self.base_lrs)}")
        base_lrs = [checks.number(rate, name, "base_lrs", minimum=0.0) for rate in base_lrs]
        self.last_epoch = checks.integer(last_epoch, name, "last_epoch", minimum=0)
        self.base_lrs = base_lrs
        self.write(self.last_epoch)
