"""Steps scaled by what squared gradients were so far: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.optim.optimizer import Optimizer, below_one, nonnegative
from fastconv.parameter import Parameter

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """Gradients divided by the root of their average square.

    With g the gradient plus `weight_decay` times the parameter and ``v = alpha v + (1 - alpha) g²``, at first 0, the
    step is ``d = g / (sqrt(v) + eps)`` and the parameter changes by ``-lr * d``, or with `momentum` by ``-lr * b``
    where ``b = momentum b + d``.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Learning rate, >= 0.
    alpha : float
        Share of the average that stays, in [0, 1).
    eps : float
        Keeps the divisor from 0, >= 0. TensorFlow's RMSprop adds it under the root instead.
    weight_decay : float
        Strength of the pull towards 0, >= 0.
    momentum : float
        Share of the steps before that stays, >= 0.
    centered : bool
        Divide by the root of the variance, ``v - m²`` with m the average gradient. Where rounding leaves that below 0,
        PyTorch gives NaN and this takes 0.
    maximize : bool
        Climb instead of descending.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: RMSprop", Coursera 2012; Graves, "Generating sequences with recurrent neural
    networks", 2013 (centered).

    Examples
    --------
    >>> weight = Parameter([1.0])
    >>> weight.grad = Parameter([100.0]).detach()
    >>> RMSprop([weight], lr=0.01).step()
    >>> weight.numpy()
    array([0.9], dtype=float32)
    """

    keeps = ("step", "square_avg", "grad_avg", "momentum_buffer")
    LIMITS = nonnegative("lr", "eps", "weight_decay", "momentum")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong."""
        super().check(options)
        options["alpha"] = below_one("RMSprop", "alpha", options["alpha"])

    def kept(self, group: dict[str, Any]) -> tuple[str, ...]:
        wanted = {"grad_avg": group["centered"], "momentum_buffer": group["momentum"]}
        return tuple(name for name in self.keeps if wanted.get(name, True))

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter."""
        state = self.remembered(p, group)
        state["step"] += 1
        with p.writing() as array:
            _kernels.optim_update(
                "rmsprop",
                array,
                grad,
                (
                    state["square_avg"],
                    state["grad_avg"] if group["centered"] else None,
                    state["momentum_buffer"] if group["momentum"] else None,
                ),
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                beta2=group["alpha"],
                eps=group["eps"],
                maximize=group["maximize"],
            )


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Learning rate, >= 0.
    lr_decay : float
        The rate at step t is ``lr / (1 + (t - 1) * lr_decay)``; >= 0.
    weight_decay : float
        Strength of the pull towards 0, >= 0.
    initial_accumulator_value : float
        What the sums start from, >= 0.
    eps : float
        Keeps the divisor from 0, >= 0.
    maximize : bool
        Climb instead of descending.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 2011.

    Examples
    --------
    >>> weight = Parameter([1.0])
    >>> weight.grad = Parameter([100.0]).detach()
    >>> Adagrad([weight], lr=0.1).step()
    >>> weight.numpy()
    array([0.9], dtype=float32)
    """

    keeps = ("step", "sum")
    LIMITS = nonnegative("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter."""
        state = self.remembered(p, group)
        if not state["step"]:
            state["sum"][...] = group["initial_accumulator_value"]
        rate = group["lr"] / (1 + int(state["step"]) * group["lr_decay"])
        state["step"] += 1
        with p.writing() as array:
            _kernels.optim_update(
                "adagrad",
                array,
                grad,
                (state["sum"],),
                lr=rate,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
            )


class Adadelta(Optimizer):
    """Gradients times the root of the average square of past steps, divided by that of past gradients.

    With g the gradient plus `weight_decay` times the parameter, ``v = rho v + (1 - rho) g²`` and
    ``d = g sqrt(u + eps) / sqrt(v + eps)``, then ``u = rho u + (1 - rho) d²``; the parameter changes by ``-lr * d``.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Factor of the steps, >= 0; 1 is the method as published.
    rho : float
        Share of the averages that stays, in [0, 1).
    eps : float
        What the first steps are made of, >= 0.
    weight_decay : float
        Strength of the pull towards 0, >= 0.
    maximize : bool
        Climb instead of descending.

    References
    ----------
    Zeiler, "ADADELTA: an adaptive learning rate method", 2012 (arXiv 1212.5701).

    Examples
    --------
    >>> weight = Parameter([1.0])
    >>> weight.grad = Parameter([100.0]).detach()
    >>> Adadelta([weight], eps=1e-3).step()
    >>> weight.numpy().round(3)
    array([0.9], dtype=float32)
    """

    keeps = ("step", "square_avg", "acc_delta")
    LIMITS = nonnegative("lr", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong."""
        super().check(options)
        options["rho"] = below_one("Adadelta", "rho", options["rho"])

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter."""
        state = self.remembered(p, group)
        state["step"] += 1
        with p.writing() as array:
            _kernels.optim_update(
                "adadelta",
                array,
                grad,
                (state["square_avg"], state["acc_delta"]),
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                beta2=group["rho"],
                eps=group["eps"],
                maximize=group["maximize"],
            )
