"""Steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.errors import ShapeError
from fastconv.optim.optimizer import Optimizer, below_one, nonnegative
from fastconv.parameter import Parameter

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Steps along the average gradient, divided by the root of its average square.

    With g the gradient plus `weight_decay` times the parameter, ``m = beta1 m + (1 - beta1) g`` and
    ``v = beta2 v + (1 - beta2) g²``, both 0 at first; step t changes the parameter by
    ``-lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)``.

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Learning rate, >= 0: about how far a parameter moves in a step.
    betas : pair of float
        Shares of the two averages that stay, each in [0, 1).
    eps : float
        Keeps the divisor from 0, >= 0.
    weight_decay : float
        Strength of the pull towards 0, >= 0, as part of the gradient.
    amsgrad : bool
        Divide by the root of the largest v there was.
    maximize : bool
        Climb instead of descending.
    decoupled_weight_decay : bool
        Multiply parameters by ``1 - lr * weight_decay`` instead: what :class:`AdamW` does.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015; Reddi, Kale and Kumar, "On the convergence
    of Adam and beyond", ICLR 2018 (amsgrad).

    Examples
    --------
    >>> weight = Parameter([1.0, 1.0])
    >>> optimizer = Adam([weight], lr=0.1)
    >>> (weight * [0.001, 1000.0]).sum().backward()
    >>> optimizer.step()
    >>> weight.numpy().round(4)
    array([0.9, 0.9], dtype=float32)
    """

    keeps = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    LIMITS = nonnegative("lr", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong."""
        super().check(options)
        name, betas = type(self).__name__, options["betas"]
        if not isinstance(betas, (tuple, list)):
            raise TypeError(f"{name}: betas must be a pair of numbers, got {betas!r}")
        if len(betas) != 2:
            raise ShapeError(f"{name}: betas must be a pair of numbers, got {betas!r}")
        options["betas"] = tuple(below_one(name, "betas", beta) for beta in betas)

    def kept(self, group: dict[str, Any]) -> tuple[str, ...]:
        return self.keeps if group["amsgrad"] else self.keeps[:3]

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter."""
        state = self.remembered(p, group)
        state["step"] += 1
        step = int(state["step"])
        beta1, beta2 = group["betas"]
        rate, decay, decoupled = group["lr"], group["weight_decay"], group["decoupled_weight_decay"]
        with p.writing() as array:
            _kernels.optim_update(
                "adam",
                array,
                grad,
                (state["exp_avg"], state["exp_avg_sq"], state["max_exp_avg_sq"] if group["amsgrad"] else None),
                lr=rate / (1 - beta1**step),
                weight_decay=0.0 if decoupled else decay,
                beta1=beta1,
                beta2=beta2,
                shrink=1 - rate * decay if decoupled else 1.0,
                correction=math.sqrt(1 - beta2**step),
                eps=group["eps"],
                maximize=group["maximize"],
            )


class AdamW(Adam):
    """Adam whose weight decay multiplies the parameters by ``1 - lr * weight_decay`` and does not enter the averages.

    The arguments are those of :class:`Adam`.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> weight = Parameter([1.0])
    >>> weight.grad = Parameter([0.0]).detach()
    >>> AdamW([weight], lr=0.1, weight_decay=0.5).step()
    >>> weight.numpy()
    array([0.95], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
