"""Adaptive pooling on the last feature maps of ResNet and GoogLeNet, and where windows overlap."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Race, randn

POOLS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "ResNet 8x2048x7² to 1": ("adaptive_avg_pool2d", (8, 2048, 7, 7), 1),
    "VGG 2x512x10² to 7": ("adaptive_avg_pool2d", (2, 512, 10, 10), 7),
    "AlexNet 2x256x13² to 6": ("adaptive_max_pool2d", (2, 256, 13, 13), 6),
    "2x512x100 to 7": ("adaptive_avg_pool1d", (2, 512, 100), 7),
    "largest of 2x512x100 to 7": ("adaptive_max_pool1d", (2, 512, 100), 7),
    "mean of 2x64x14³ to 7": ("adaptive_avg_pool3d", (2, 64, 14, 14, 14), 7),
    "2x64x14³ to 7": ("adaptive_max_pool3d", (2, 64, 14, 14, 14), 7),
}
cases = pytest.mark.parametrize("pool", POOLS)


@cases
def test_pool(race: Race, pool: str) -> None:
    op, shape, size = POOLS[pool]
    race.forward(op, [randn(*shape)], pool, output_size=size)


@cases
def test_pool_grad(race: Race, pool: str) -> None:
    op, shape, size = POOLS[pool]
    race.backward(op, [randn(*shape)], pool, output_size=size)
