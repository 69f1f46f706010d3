"""Pooling by powers, by a Gaussian and by chance, on a feature map of VGG and as many numbers in a row or a volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.conftest import Race, randn
from fastconv import Tensor, functional, reference

SHAPES = {1: (2, 64, 3136), 2: (2, 64, 56, 56), 3: (2, 64, 14, 14, 16)}
POOLS: dict[str, dict[str, Any]] = {
    "lp_pool": {"norm_type": 2, "kernel_size": 2},
    "gaussian_pool": {"kernel_size": 3, "sigma": 1.0, "stride": 2, "padding": 1},
    "stochastic_pool": {"kernel_size": 2},
    "mixed_pool": {"kernel_size": 2, "alpha": 0.25},
    "trainable_pool": {"kernel_size": 2},
    "weighted_pool": {"stride": 2},
}


def _case(name: str, axes: int) -> tuple[str, list[np.ndarray], str]:
    """The operation, its arrays, and what they are."""
    channels, more = SHAPES[axes][1], []
    if name in ("trainable_pool", "weighted_pool"):
        kernel = (2,) * axes if name == "weighted_pool" else ()
        more = [randn(channels, *kernel), randn(channels, seed=1)]
    return f"{name}{axes}d", [np.abs(randn(*SHAPES[axes])), *more], "x".join(map(str, SHAPES[axes]))


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("name", POOLS)
def test_pool(race: Race, name: str, axes: int) -> None:
    race.forward(*_case(name, axes), **POOLS[name])


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("name", ["lp_pool", "gaussian_pool", "stochastic_pool"])
def test_pool_grad(race: Race, name: str, axes: int) -> None:
    race.backward(*_case(name, axes), **POOLS[name])


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("name", ["mixed_pool", "trainable_pool", "weighted_pool"])
def test_pool_with_gradient(race: Race, name: str, axes: int) -> None:
    """Both together, for these are made of several operations."""
    op, arrays, what = _case(name, axes)
    given = [Tensor(each, requires_grad=True) for each in arrays]

    def ours() -> list[Tensor]:
        out = getattr(functional, op)(*given, **POOLS[name])
        for each in given:
            each.grad = None
        out.backward(randn(*out.shape, seed=2))
        return [out, *(each.grad for each in given)]

    def twin() -> list[np.ndarray]:
        out = getattr(reference, op)(*arrays, **POOLS[name])
        found = getattr(reference, f"{op}_grad")(randn(*out.shape, seed=2), *arrays, **POOLS[name])
        return [out, *(found if isinstance(found, list | tuple) else [found])]

    race.run(f"{op} with gradient {what}", ours, twin)


@pytest.mark.parametrize("axes", SHAPES)
def test_unpooling(race: Race, axes: int) -> None:
    shape, pool = SHAPES[axes], getattr(functional, f"max_pool{axes}d")
    largest, indices = pool(randn(*shape), 2, return_indices=True)
    race.run(
        f"max_unpool{axes}d to {'x'.join(map(str, shape))}",
        lambda: getattr(functional, f"max_unpool{axes}d")(largest, indices, 2),
        lambda: getattr(reference, f"max_unpool{axes}d")(largest.numpy(), indices.numpy(), shape[2:]),
    )
