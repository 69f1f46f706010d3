"""Updates of a million parameters, and the norm of their gradient."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn
from fastconv import Parameter, Tensor, _kernels, optim
from fastconv.reference import optim as twin

N = 1_000_000
RATE = {"lr": 1e-3, "eps": 1e-8}


def _twins(rule: str, p: np.ndarray, g: np.ndarray, state: list[np.ndarray]) -> None:
    if rule == "sgd":
        twin.sgd_update(p, g, state[0], 1e-3, 0.9, 0.0, 0.0, False, False)
    elif rule == "adam":
        twin.adam_update(p, g, state[0], state[1], None, 1, 1e-3, (0.9, 0.999), 1e-8, 0.0, False)
    elif rule == "rmsprop":
        twin.rmsprop_update(p, g, state[0], None, state[2], 1e-3, 0.99, 1e-8, 0.0, 0.9)
    elif rule == "adagrad":
        twin.adagrad_update(p, g, state[0], 1, 1e-3, 0.0, 1e-8, 0.0)
    else:
        twin.adadelta_update(p, g, state[0], state[1], 1e-3, 0.9, 1e-8, 0.0)


OURS = {
    "sgd": ((0,), {"lr": 1e-3, "momentum": 0.9}),
    "adam": ((0, 1, None), {"lr": 1e-3 / 0.1, "beta1": 0.9, "beta2": 0.999, "correction": 0.001**0.5, "eps": 1e-8}),
    "rmsprop": ((0, None, 2), {"beta2": 0.99, "momentum": 0.9, **RATE}),
    "adagrad": ((0,), RATE),
    "adadelta": ((0, 1), {"beta2": 0.9, **RATE}),
}


@pytest.mark.parametrize("rule", OURS)
def test_update(race: Race, rule: str) -> None:
    grad = randn(N)
    ours = [randn(N, seed=1), *(abs(randn(N, seed=2 + i)) + 0.1 for i in range(3))]
    theirs = [array.copy() for array in ours]
    kept, options = OURS[rule]
    state = tuple(None if i is None else ours[1 + i] for i in kept)

    def step() -> list[np.ndarray]:
        _kernels.optim_update(rule, ours[0], grad, state, **options)
        return ours

    def twins_step() -> list[np.ndarray]:
        _twins(rule, theirs[0], grad, theirs[1:])
        return theirs

    race.run(f"{rule} update 10⁶", step, twins_step)


def test_lars(race: Race) -> None:
    grad, p = randn(N), Parameter(randn(N, seed=1))
    theirs, velocity = p.numpy().copy(), np.zeros(N, np.float32)
    optimizer = optim.LARS([p], lr=0.1, weight_decay=1e-4)
    p.grad = Tensor(grad)

    def step() -> np.ndarray:
        optimizer.step()
        return p.numpy()

    def twins_step() -> np.ndarray:
        twin.lars_update(theirs, grad, velocity, 0.1, 0.9, 1e-4, 1e-3)
        return theirs

    race.run("lars update 10⁶", step, twins_step)


def test_norm(race: Race) -> None:
    x = randn(N)
    race.run("sum of squares 10⁶", lambda: np.float64(_kernels.sum_squares(x)), lambda: np.square(x).sum())
