"""Dropout of a batch of maps."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Race, randn
from fastconv import functional, no_grad, reference

SHAPES = {
    "dropout": (8, 64, 28, 28),
    "alpha_dropout": (8, 64, 28, 28),
    "feature_alpha_dropout": (8, 64, 28, 28),
    "dropout1d": (8, 64, 784),
    "dropout2d": (8, 64, 28, 28),
    "dropout3d": (8, 64, 7, 14, 8),
}


@pytest.mark.parametrize("op", SHAPES)
def test_dropout(race: Race, op: str) -> None:
    x = randn(*SHAPES[op])

    def ours() -> object:
        with no_grad():
            return getattr(functional, op)(x, 0.5, True, rng=3)

    race.run(f"{op} {'x'.join(map(str, x.shape))}", ours, lambda: getattr(reference, op)(x, 0.5, 3))


def test_stochastic_depth(race: Race) -> None:
    x = randn(*SHAPES["dropout"])

    def ours() -> object:
        with no_grad():
            return functional.stochastic_depth(x, 0.5, "row", rng=3)

    race.run("stochastic_depth 8x64x28x28", ours, lambda: reference.stochastic_depth(x, 0.5, "row", 3))
