"""The rules by which optimisers change parameters."""

from __future__ import annotations

import numpy as np

__all__ = ["sgd_update"]


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
