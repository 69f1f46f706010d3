"""fastconv.signal against its twin, which adds one copy of the signal for each tap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.conftest import Race, randn
from fastconv import reference, signal


def _race(race: Race, name: str, what: str, x: np.ndarray, taps: np.ndarray, **options: Any) -> None:
    ours, twin = getattr(signal, name), getattr(reference, name)
    race.run(f"{name} {what}", lambda: ours(x, taps, **options), lambda: twin(x, taps, **options))


@pytest.mark.parametrize("size", [3, 7, 15, 31])
def test_convolve2d(race: Race, size: int) -> None:
    _race(race, "convolve2d", f"{size}x{size} 512²", randn(512, 512), randn(size, size), mode="same")


def test_correlate2d(race: Race) -> None:
    _race(race, "correlate2d", "5x5 512², mirrored", randn(512, 512), randn(5, 5), mode="same", boundary="symm")


@pytest.mark.parametrize("taps", [31, 1000])
def test_convolve(race: Race, taps: int) -> None:
    _race(race, "convolve", f"{taps} of 100,000", randn(100_000), randn(taps))


def test_correlate(race: Race) -> None:
    _race(race, "correlate", "3x3x3 of 32x64x64", randn(32, 64, 64), randn(3, 3, 3), mode="same")
