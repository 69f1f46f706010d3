"""Resizing a feature map as U-Net and FCN do."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.conftest import Race, randn

SHAPE = (1, 64, 28, 28)
MODES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "bicubic": {"mode": "bicubic", "align_corners": False},
}


@pytest.mark.parametrize("mode", MODES)
def test_resize(race: Race, mode: str) -> None:
    race.forward("interpolate", [randn(*SHAPE)], f"1x64x28² {mode}", scale_factor=2, **MODES[mode])


@pytest.mark.parametrize("mode", MODES)
def test_resize_grad(race: Race, mode: str) -> None:
    race.backward("interpolate", [randn(*SHAPE)], f"1x64x28² {mode}", scale_factor=2, **MODES[mode])
