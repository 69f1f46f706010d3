"""Padding, and exchange of channels and pixels."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.conftest import Race, randn

MAP = (2, 64, 56, 56)
OPS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "zeros 2x64x56²": ("pad", MAP, {"pad": (0, 1, 0, 1)}),
    "channels 2x240x28²": ("channel_shuffle", (2, 240, 28, 28), {"groups": 4}),
    "pixels 2x64x56²": ("pixel_shuffle", MAP, {"upscale_factor": 2}),
    "pixels back 2x64x56²": ("pixel_unshuffle", MAP, {"downscale_factor": 2}),
}


@pytest.mark.parametrize("what", OPS)
def test_op(race: Race, what: str) -> None:
    op, shape, options = OPS[what]
    race.forward(op, [randn(*shape)], what, **options)


@pytest.mark.parametrize("what", OPS)
def test_op_grad(race: Race, what: str) -> None:
    op, shape, options = OPS[what]
    race.backward(op, [randn(*shape)], what, **options)
