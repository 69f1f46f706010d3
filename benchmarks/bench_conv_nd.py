"""Convolution along one and three axes, transposed, of other paddings, and windows as columns, against the twins."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn

# function, input, weight, options
LAYERS = {
    "k9 64→64, 4x1000": ("conv1d", (4, 64, 1000), (64, 64, 9), {"padding": 4}),
    "3x3x3 8x28² 16→16": ("conv3d", (1, 16, 8, 28, 28), (16, 16, 3, 3, 3), {"padding": 1}),
    "3x3 28² 64→64 reflected": ("conv2d", (1, 64, 28, 28), (64, 64, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    "3x3 28² 64→64 dilated": ("conv2d", (1, 64, 28, 28), (64, 64, 3, 3), {"padding": 2, "dilation": 2}),
    "k4 s2 32→32, 4x500": ("conv_transpose1d", (4, 32, 500), (32, 32, 4), {"stride": 2}),
    "4x4 s2 14² 64→32": ("conv_transpose2d", (1, 64, 14, 14), (64, 32, 4, 4), {"stride": 2, "padding": 1}),
    "2x2x2 s2 4x14² 32→16": ("conv_transpose3d", (1, 32, 4, 14, 14), (32, 16, 2, 2, 2), {"stride": 2}),
    "3x3 14² 16→16": ("locally_connected2d", (8, 16, 14, 14), (12, 12, 16, 16, 3, 3), {}),
}
OTHERS = {
    "3x3 4x32x28²": ("unfold", (4, 32, 28, 28), {"kernel_size": 3, "padding": 1}),
    "3x3 4x288x784": ("fold", (4, 288, 784), {"output_size": 28, "kernel_size": 3, "padding": 1}),
    "2x2 4x32x28²": ("zero_insert", (4, 32, 28, 28), {"factors": 2}),
}
layers = pytest.mark.parametrize("layer", LAYERS)
others = pytest.mark.parametrize("name", OTHERS)


def _inputs(layer: str) -> list[np.ndarray]:
    _, x, w, _ = LAYERS[layer]
    return [randn(*x), randn(*w) / np.float32(np.sqrt(np.prod(w[1:])))]


@layers
def test_convolution(race: Race, layer: str) -> None:
    op, _, _, options = LAYERS[layer]
    race.forward(op, _inputs(layer), layer, **options)


@layers
def test_convolution_grad(race: Race, layer: str) -> None:
    op, _, _, options = LAYERS[layer]
    race.backward(op, _inputs(layer), layer, **options)


@others
def test_patches(race: Race, name: str) -> None:
    op, shape, options = OTHERS[name]
    race.forward(op, [randn(*shape)], name, **options)


@others
def test_patches_grad(race: Race, name: str) -> None:
    op, shape, options = OTHERS[name]
    race.backward(op, [randn(*shape)], name, **options)
