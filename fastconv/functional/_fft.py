"""Convolution by Fourier transforms: where it serves and where it pays."""

from __future__ import annotations

import math

from fastconv import _kernels
from fastconv._kernels import Conv2d

__all__ = ["FFT", "pays", "serves"]

FFT = 8
"""Stands for the algorithm where Winograd's are told by the outputs an axis of their tiles, 2 and 4."""

# In nanoseconds of one thread for float32 with AVX-512, as measured; others are slower alike.
_DIRECT = 0.022  # a product
_PRODUCT = 0.12  # of two channels at one frequency of a pair of tiles
_TRANSFORM = 4.2  # a channel's transform, there or back, for each frequency of a pair
_PACK = 2.3  # a weight's, for each frequency: reckoned in full, as training does it anew in each step
_LANES = 16


def serves(conv: Conv2d) -> bool:
    """Whether there is a transform for this convolution and its input's gradient."""
    return _kernels.fft_conv2d_tile(conv) is not None and _kernels.fft_conv2d_tile(conv, True) is not None


def pays(conv: Conv2d) -> bool:
    """Rule of thumb: kernels beyond Winograd's, where transforms and fewer products cost less than all products."""
    taps = math.prod(conv.window.kernel)
    if taps <= 25 or not conv.window.plain or not serves(conv):
        return False
    batch, c_out, *out = conv.out_shape
    tile = _kernels.fft_conv2d_tile(conv)
    assert tile is not None
    steps = [size - k + 1 for size, k in zip(tile, conv.window.kernel, strict=True)]
    pairs = batch * math.ceil(math.prod(math.ceil(n / step) for n, step in zip(out, steps, strict=True)) / 2)
    channels = (conv.shape[1] // conv.groups, c_out // conv.groups)
    products = math.prod(channels)
    lanes = sum(math.ceil(count / _LANES) * _LANES for count in channels)
    transformed = math.prod(tile) * (pairs * (_PRODUCT * products + _TRANSFORM * lanes) + _PACK * products)
    return transformed < _DIRECT * batch * math.prod(out) * taps * products
