"""Joining and cropping feature maps as GoogLeNet and U-Net do, and flattening them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn, tensor
from fastconv import functional, reference

CHANNELS = (64, 128, 32, 32)  # of inception 3a


def _maps() -> list[np.ndarray]:
    return [randn(8, channels, 28, 28, seed=i) for i, channels in enumerate(CHANNELS)]


def test_cat(race: Race) -> None:
    given = [tensor(each) for each in _maps()]
    race.run("cat 8x256x28²", lambda: functional.cat(given, 1), lambda: reference.cat(*_maps(), dim=1))


def test_cat_grad(race: Race) -> None:
    maps, grad = _maps(), randn(8, sum(CHANNELS), 28, 28, seed=9)
    out, ours = functional.cat([tensor(each).requires_grad_() for each in maps], 1), tensor(grad).numpy()
    race.run("cat_grad 8x256x28²", lambda: out.node.backward(ours), lambda: reference.cat_grad(grad, *maps, dim=1))


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("center_crop", {"output_size": (24, 20)}),
        ("flatten", {"start_dim": 1}),
        ("unflatten", {"dim": 1, "sizes": (8, 8)}),
    ],
)
def test_shapes(race: Race, op: str, options: dict[str, object]) -> None:
    race.forward(op, [randn(8, 64, 28, 28)], "8x64x28²", **options)


@pytest.mark.parametrize("op", ["center_crop", "flatten", "unflatten"])
def test_shapes_grad(race: Race, op: str) -> None:
    options = {"center_crop": {"output_size": (24, 20)}, "flatten": {"start_dim": 1}}.get(
        op, {"dim": 1, "sizes": (8, 8)}
    )
    race.backward(op, [randn(8, 64, 28, 28)], "8x64x28²", **options)
