"""Sums and extrema over feature maps, and the matrix product."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Race, randn
from fastconv import functional, reference


@pytest.mark.parametrize("op", ["sum", "mean", "amax"])
def test_over_maps(race: Race, op: str) -> None:
    x = randn(8, 64, 28, 28)
    race.run(f"{op} 8x64x28²", lambda: getattr(functional, op)(x, (2, 3)), lambda: getattr(reference, op)(x, (2, 3)))


def test_matmul(race: Race) -> None:
    x, y = randn(128, 256), randn(256, 64)
    race.run("matmul 128x256 256x64", lambda: functional.matmul(x, y), lambda: reference.matmul(x, y))
