"""Convolution and its gradients, on layers of LeNet-5, VGG and ResNet, against im2col and NumPy's matrix product."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn
from fastconv import _kernels, reference
from fastconv.functional._window import window

# batch, input channels, size, output channels, kernel, stride, padding
LAYERS = {
    "LeNet 5x5 28² 1→6": (64, 1, 28, 6, 5, 1, 2),
    "LeNet 5x5 14² 6→16": (64, 6, 14, 16, 5, 1, 0),
    "U-Net 3x3 112² 64→3": (1, 64, 112, 3, 3, 1, 1),
    "VGG 3x3 56² 64→64": (1, 64, 56, 64, 3, 1, 1),
    "ResNet 3x3 14² 256→256": (1, 256, 14, 256, 3, 1, 1),
    "ResNet 1x1 14² 1024→256": (1, 1024, 14, 256, 1, 1, 0),
    "ResNet 3x3 s2 28² 128→128": (1, 128, 28, 128, 3, 2, 1),
}
cases = pytest.mark.parametrize("layer", LAYERS)


def _layer(name: str) -> tuple[list[np.ndarray], dict[str, int]]:
    batch, c_in, size, c_out, kernel, stride, padding = LAYERS[name]
    weight = randn(c_out, c_in, kernel, kernel) / np.float32(np.sqrt(c_in * kernel**2))
    return [randn(batch, c_in, size, size), weight, randn(c_out)], {"stride": stride, "padding": padding}


@cases
def test_conv2d(race: Race, layer: str) -> None:
    inputs, options = _layer(layer)
    race.forward("conv2d", inputs, layer, "conv2d_im2col", **options)


@cases
def test_conv2d_grad(race: Race, layer: str) -> None:
    inputs, options = _layer(layer)
    race.backward("conv2d", inputs, layer, "conv2d_im2col", **options)


def test_conv2d_im2col(race: Race) -> None:
    layer = "VGG 3x3 56² 64→64"
    inputs, options = _layer(layer)
    race.forward("conv2d", inputs, f"im2col {layer}", "conv2d_im2col", algorithm="im2col", **options)


def test_conv2d_columns_grad(race: Race) -> None:
    """Few pixels: the input's gradient by columns."""
    inputs = [randn(1, 192, 7, 7), randn(384, 192, 3, 3)]
    race.backward("conv2d", inputs, "GoogLeNet 3x3 7² 192→384", "conv2d_im2col", padding=1)


def test_conv2d_fft(race: Race) -> None:
    inputs = [randn(1, 64, 56, 56), randn(64, 64, 7, 7)]
    race.forward("conv2d", inputs, "fft 7x7 56² 64→64", "conv2d_im2col", padding=3, algorithm="fft")


def test_conv2d_groups(race: Race) -> None:
    inputs = [randn(1, 128, 28, 28), randn(128, 4, 3, 3)]
    race.forward("conv2d", inputs, "ResNeXt 3x3 28² 128→128, 32 groups", padding=1, groups=32)


def test_conv2d_depthwise(race: Race) -> None:
    inputs = [randn(1, 256, 28, 28), randn(256, 1, 3, 3)]
    race.forward("conv2d", inputs, "MobileNet 3x3 28² 256, depthwise", padding=1, groups=256)


def test_conv2d_row(race: Race) -> None:
    inputs = [randn(1, 128, 17, 17), randn(128, 128, 1, 7)]
    race.forward("conv2d", inputs, "Inception 1x7 17² 128→128", "conv2d_im2col", padding=(0, 3))


def test_im2col(race: Race) -> None:
    x = randn(8, 64, 28, 28)
    images, where = _kernels.channels_last(x), window("im2col", x.shape, 3, 1, 1)

    def ours() -> np.ndarray:
        columns = np.empty((8 * 28 * 28, 9 * 64), np.float32)
        _kernels.im2col(where, images, columns)
        return columns

    race.run("im2col 3x3 8x64x28²", ours, lambda: reference.im2col(x, (3, 3), 1, 1))


def test_col2im(race: Race) -> None:
    columns, shape = randn(8 * 28 * 28, 9 * 64), (8, 64, 28, 28)
    where = window("im2col", shape, 3, 1, 1)

    def ours() -> np.ndarray:
        x = _kernels.empty_channels_last(shape, columns.dtype)
        _kernels.col2im(where, columns, x)
        return x

    race.run("col2im 3x3 8x64x28²", ours, lambda: reference.col2im(columns, shape, (3, 3), 1, 1))
