"""The rules by which optimisers change parameters."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["adadelta_update", "adagrad_update", "adam_update", "lars_update", "rmsprop_update", "sgd_update"]


def sgd_update(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    first: bool,
) -> None:
    """Take one step of stochastic gradient descent; writes to `param` and `velocity`.

    At the `first` step the velocity is the gradient itself. Nesterov's step looks ahead along the velocity
    (Sutskever et al., ICML 2013).
    """
    step = grad + weight_decay * param
    if velocity is not None:
        velocity[...] = step if first else momentum * velocity + (1 - dampening) * step
        step = step + momentum * velocity if nesterov else velocity
    param -= lr * step


def lars_update(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray,
    lr: float,
    momentum: float,
    weight_decay: float,
    trust_coefficient: float,
) -> None:
    """Take a step at a rate that suits this parameter; writes to `param` and `velocity`, which starts as 0.

    You, Gitman and Ginsburg, 2017, algorithm 1. A parameter or gradient of length 0 takes the common rate.
    """
    length, slope = np.linalg.norm(param), np.linalg.norm(grad)
    rate = trust_coefficient * length / (slope + weight_decay * length) if length and slope else 1.0
    velocity[...] = momentum * velocity + lr * rate * (grad + weight_decay * param)
    param -= velocity


def adam_update(
    param: np.ndarray,
    grad: np.ndarray,
    exp_avg: np.ndarray,
    exp_avg_sq: np.ndarray,
    max_exp_avg_sq: np.ndarray | None,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
) -> None:
    """Take step number `step`, counted from 1; writes to `param` and to the averages, which start as 0.

    Kingma and Ba, ICLR 2015; decoupled weight decay: Loshchilov and Hutter, ICLR 2019; the maximum: Reddi et al., ICLR
    2018.
    """
    beta1, beta2 = betas
    if decoupled_weight_decay:
        param *= 1 - lr * weight_decay
    else:
        grad = grad + weight_decay * param
    exp_avg[...] = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg_sq[...] = beta2 * exp_avg_sq + (1 - beta2) * grad**2
    if max_exp_avg_sq is not None:
        exp_avg_sq = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    scale = np.sqrt(exp_avg_sq) / math.sqrt(1 - beta2**step) + eps
    param -= lr / (1 - beta1**step) * exp_avg / scale


def rmsprop_update(
    param: np.ndarray,
    grad: np.ndarray,
    square_avg: np.ndarray,
    grad_avg: np.ndarray | None,
    momentum_buffer: np.ndarray | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None:
    """Take one step; writes to `param` and to what is kept, which starts as 0. With `grad_avg` it is the centered form.

    Tieleman and Hinton, 2012; Graves, 2013.
    """
    grad = grad + weight_decay * param
    square_avg[...] = alpha * square_avg + (1 - alpha) * grad**2
    variance = square_avg
    if grad_avg is not None:
        grad_avg[...] = alpha * grad_avg + (1 - alpha) * grad
        variance = np.maximum(square_avg - grad_avg**2, 0)
    step = grad / (np.sqrt(variance) + eps)
    if momentum_buffer is not None:
        step = momentum_buffer[...] = momentum * momentum_buffer + step
    param -= lr * step


def adagrad_update(
    param: np.ndarray,
    grad: np.ndarray,
    total: np.ndarray,
    step: int,
    lr: float,
    lr_decay: float,
    eps: float,
    weight_decay: float,
) -> None:
    """Take step number `step`, counted from 1; writes to `param` and to the sum of squares `total`.

    Duchi, Hazan and Singer, JMLR 2011.
    """
    grad = grad + weight_decay * param
    total += grad**2
    param -= lr / (1 + (step - 1) * lr_decay) * grad / (np.sqrt(total) + eps)


def adadelta_update(
    param: np.ndarray,
    grad: np.ndarray,
    square_avg: np.ndarray,
    acc_delta: np.ndarray,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
) -> None:
    """Take one step; writes to `param` and to the averages of squared gradients and steps, which start as 0.

    Zeiler, 2012.
    """
    grad = grad + weight_decay * param
    square_avg[...] = rho * square_avg + (1 - rho) * grad**2
    step = np.sqrt(acc_delta + eps) / np.sqrt(square_avg + eps) * grad
    acc_delta[...] = rho * acc_delta + (1 - rho) * step**2
    param -= lr * step
