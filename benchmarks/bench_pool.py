"""Pooling on the feature maps of LeNet-5, VGG and ResNet."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.conftest import Race, randn

# operation, shape of the input, options
POOLS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "LeNet 2x2 64x6x28²": ("max_pool2d", (64, 6, 28, 28), {"kernel_size": 2}),
    "VGG 2x2 2x64x56²": ("max_pool2d", (2, 64, 56, 56), {"kernel_size": 2}),
    "ResNet 3x3 s2 1x64x112²": ("max_pool2d", (1, 64, 112, 112), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "LeNet 2 64x6x784": ("max_pool1d", (64, 6, 784), {"kernel_size": 2}),
    "mean of 2 64x6x784": ("avg_pool1d", (64, 6, 784), {"kernel_size": 2}),
    "2x2x2 1x32x28³": ("max_pool3d", (1, 32, 28, 28, 28), {"kernel_size": 2}),
    "3x3x3 s2 1x32x28³": ("avg_pool3d", (1, 32, 28, 28, 28), {"kernel_size": 3, "stride": 2}),
    "DenseNet 2x2 1x128x56²": ("avg_pool2d", (1, 128, 56, 56), {"kernel_size": 2}),
    "Inception 3x3 s1 1x192x28²": ("avg_pool2d", (1, 192, 28, 28), {"kernel_size": 3, "stride": 1, "padding": 1}),
}
cases = pytest.mark.parametrize("pool", POOLS)


@cases
def test_pool(race: Race, pool: str) -> None:
    op, shape, options = POOLS[pool]
    race.forward(op, [randn(*shape)], pool, **options)


@cases
def test_pool_grad(race: Race, pool: str) -> None:
    op, shape, options = POOLS[pool]
    race.backward(op, [randn(*shape)], pool, **options)
