"""Pooling by powers, by a Gaussian and by chance, on a feature map of VGG."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.conftest import Race, randn
from fastconv import functional, reference

SHAPE = (2, 64, 56, 56)
POOLS: dict[str, dict[str, Any]] = {
    "lp_pool2d": {"norm_type": 2, "kernel_size": 2},
    "gaussian_pool2d": {"kernel_size": 3, "sigma": 1.0, "stride": 2, "padding": 1},
    "stochastic_pool2d": {"kernel_size": 2},
    "mixed_pool2d": {"kernel_size": 2, "alpha": 0.25},
}


@pytest.mark.parametrize("op", POOLS)
def test_pool(race: Race, op: str) -> None:
    race.forward(op, [np.abs(randn(*SHAPE))], "2x64x56²", **POOLS[op])


@pytest.mark.parametrize("op", [op for op in POOLS if op != "mixed_pool2d"])
def test_pool_grad(race: Race, op: str) -> None:
    race.backward(op, [np.abs(randn(*SHAPE))], "2x64x56²", **POOLS[op])


def test_trainable_pool(race: Race) -> None:
    inputs = [randn(*SHAPE), randn(64), randn(64, seed=1)]
    race.forward("trainable_pool2d", inputs, "2x64x56²", kernel_size=2)


def test_weighted_pool(race: Race) -> None:
    race.forward("weighted_pool2d", [randn(*SHAPE), randn(64, 2, 2), randn(64, seed=1)], "2x64x56²", stride=2)


def test_unpooling(race: Race) -> None:
    largest, indices = functional.max_pool2d(randn(*SHAPE), 2, return_indices=True)
    race.run(
        "max_unpool2d 2x64x28²",
        lambda: functional.max_unpool2d(largest, indices, 2),
        lambda: reference.max_unpool2d(largest.numpy(), indices.numpy(), SHAPE[2:]),
    )
