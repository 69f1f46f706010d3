"""Arithmetic on the feature maps of a ResNet stage."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Race, randn
from fastconv import functional, reference

SHAPE = (8, 64, 28, 28)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_arithmetic(race: Race, op: str) -> None:
    x, y = randn(*SHAPE), abs(randn(*SHAPE, seed=1)) + 1
    race.run(f"{op} 8x64x28²", lambda: getattr(functional, op)(x, y), lambda: getattr(reference, op)(x, y))


def test_exp(race: Race) -> None:
    race.forward("exp", [randn(*SHAPE)], "8x64x28²")
