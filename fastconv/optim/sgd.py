"""Gradient descent with momentum, and its layer-wise form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.optim.clip import norm
from fastconv.optim.optimizer import Optimizer, nonnegative
from fastconv.parameter import Parameter

__all__ = ["LARS", "SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    With g the gradient plus `weight_decay` times the parameter: the velocity starts as g and becomes
    ``momentum * v + (1 - dampening) * g``; the parameter changes by ``-lr * v``, or with `nesterov` by
    ``-lr * (g + momentum * v)``.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Learning rate, >= 0.
    momentum : float
        Share of the velocity that stays, >= 0.
    dampening : float
        Share of the gradient that does not enter the velocity.
    weight_decay : float
        Strength of the pull towards 0, >= 0.
    nesterov : bool
        Look ahead along the velocity; needs momentum > 0 and dampening 0.
    maximize : bool
        Climb instead of descending.

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> weight = Parameter([1.0])
    >>> optimizer = SGD([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([0.8], dtype=float32)
    """

    keeps = ("momentum_buffer",)
    LIMITS = nonnegative("lr", "momentum", "weight_decay") | {"dampening": (-np.inf, np.inf)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong."""
        super().check(options)
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening 0")

    def kept(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.keeps if group["momentum"] else ()

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter."""
        first = "momentum_buffer" not in self.state.get(p, ())
        velocity = self.remembered(p, group)["momentum_buffer"] if group["momentum"] else None
        with p.writing() as array:
            _kernels.optim_update(
                "sgd",
                array,
                grad,
                (velocity,),
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                fresh=1 - group["dampening"],
                nesterov=group["nesterov"],
                first=first,
                maximize=group["maximize"],
            )


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling, which keeps training with very large batches stable.

    Every parameter w with gradient g has a rate of its own,
    ``r = lr * trust_coefficient * |w| / (|g| + weight_decay * |w|)``; the velocity, at first 0, becomes
    ``momentum * v + r * (g + weight_decay * w)``, and w changes by ``-v``.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Learning rate of the whole network, >= 0.
    momentum : float
        Share of the velocity that stays, >= 0.
    weight_decay : float
        Strength of the pull towards 0, >= 0.
    trust_coefficient : float
        How far a step may change a parameter relative to its length, at a learning rate of 1.
    adapt : bool
        False gives a group the rule of plain momentum, ``r = lr``: usual for biases and normalisation.
    maximize : bool
        Climb instead of descending.

    Notes
    -----
    Where ``|w|`` or ``|g|`` is 0 the formula would keep a parameter at 0 for ever; r is `lr` there.

    References
    ----------
    You, Gitman and Ginsburg, "Large batch training of convolutional networks", 2017 (arXiv 1708.03888), algorithm 1.

    Examples
    --------
    >>> weight = Parameter([3.0, 4.0])
    >>> weight.grad = Parameter([0.0, 100.0]).detach()
    >>> LARS([weight], lr=1.0, trust_coefficient=0.1).step()
    >>> weight.numpy()
    array([3. , 3.5], dtype=float32)
    """

    keeps = ("momentum_buffer",)
    LIMITS = nonnegative("lr", "momentum", "weight_decay", "trust_coefficient")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        *,
        adapt: bool = True,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapt": adapt,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def kept(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.keeps if group["momentum"] else ()

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter."""
        rate = group["lr"]
        if group["adapt"]:
            length, slope = norm(p.data), norm(grad)
            if length and slope:
                rate *= group["trust_coefficient"] * length / (slope + group["weight_decay"] * length)
        momentum = group["momentum"]
        velocity = self.remembered(p, group)["momentum_buffer"] if momentum else None
        # SGD's rule with the rate on what enters the velocity, or where there is none on the step.
        with p.writing() as array:
            _kernels.optim_update(
                "sgd",
                array,
                grad,
                (velocity,),
                lr=1.0 if momentum else rate,
                weight_decay=group["weight_decay"],
                momentum=momentum,
                fresh=rate,
                maximize=group["maximize"],
            )
