"""Convolution in two dimensions and its gradients, on checked arrays: what the other dimensions are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv._kernels import PADDING_MODES, Conv2d, Window, active_isa, channels_last, empty_channels_last
from fastconv.functional import _fft
from fastconv.functional._fft import FFT
from fastconv.functional._padding import fold, pad
from fastconv.functional._sizes import Axis
from fastconv.parameter import Parameter

__all__ = [
    "IM2COL",
    "adjoint",
    "channel_sum",
    "columns_pay",
    "geometry",
    "grad_input",
    "grad_weight",
    "packed",
    "pads",
    "product",
    "winograd_doubt",
]

IM2COL = -1
"""Stands for the algorithm where 0 is direct convolution, 2, 3 and 4 are Winograd's tiles."""

_LONGEST_LINE = 25
_LINE_CHANNELS = 64
_SQUARE_CHANNELS = 16
_FEWEST_TILES = 16
_FEWEST_STRIDED_TILES = 36
_FEWEST_PRODUCTS = 20_000  # tiles times input and output channels, where one of the latter is fewer than 32
_COLUMNS_LINE = 100  # pixels that a line's Winograd tiles are too few for
_COLUMNS_TAPS = 64
_FEW = 8  # channels: several pixels share a vector


def geometry(axes: Sequence[Axis], batch: int, channels: tuple[int, int], groups: int, mode: str = "zeros") -> Conv2d:
    """Return the sizes as kernels want them, of `channels` input and output channels."""
    padded = None
    if mode != "zeros":
        whole = [a._replace(size=a.size + a.before + a.after, before=0, after=0) for a in axes]
        padded = geometry(whole, batch, channels, groups)
    y, x = axes
    where = Window(
        *(batch, y.size, x.size, channels[0], y.kernel, x.kernel, y.out, x.out, y.stride, x.stride),
        *(y.before, x.before, y.dilation, x.dilation, PADDING_MODES.index(mode)),
    )
    tile = 0 if winograd_doubt(where, channels, groups) else _winograd_tile(where)
    conv = Conv2d(where, channels[1], groups, tile, padded)
    return Conv2d(where, channels[1], groups, FFT, padded) if _fft.pays(conv) else conv


def _winograd_tile(where: Window) -> int:
    """Outputs an axis of the tile of fewest products: a line's are 6 for every part of 7 - tile taps."""
    if where.kernel == (3, 3):
        return 4
    if where.kernel == (5, 5):
        return 2
    if where.kernel == (4, 4):
        return 3
    axis = where.kernel.index(max(where.kernel))
    size, taps = -(-where.out_shape[2 + axis] // where.dilation[axis]), where.kernel[axis]
    return min((4, 3), key=lambda tile: -(-size // tile) * -(-taps // (7 - tile)))


def winograd_doubt(where: Window, channels: tuple[int, int], groups: int) -> str:
    """Say why Winograd's algorithm is slower than direct convolution, by rule of thumb; nothing where it is faster.

    A dilated convolution is several of images that are smaller by the dilation; small groups fill vectors badly else.
    """
    line = min(where.kernel) == 1
    strided = where.kernel == (4, 4) and where.stride == (2, 2) and where.dilation == (1, 1)
    if where.kernel not in ((3, 3), (5, 5)) and not strided and not (line and 3 <= max(where.kernel) <= _LONGEST_LINE):
        return f"the kernel is neither 3x3 nor 5x5, 4x4 of stride 2, nor a row or column of 3 to {_LONGEST_LINE}"
    least = _LINE_CHANNELS if line else _SQUARE_CHANNELS
    if where.stride != (1, 1) and not strided:
        return "the stride is not 1"
    if min(channels) // groups < least:
        return f"there are fewer than {least} channels"
    tile = _winograd_tile(where)
    batch, _, *size = where.out_shape
    outputs = [tile if k > 1 else 1 for k in where.kernel]
    tiles = [-(-n // (m * d)) * d for n, m, d in zip(size, outputs, where.dilation, strict=True)]
    fewest = _FEWEST_STRIDED_TILES if strided else _FEWEST_TILES
    if batch * math.prod(tiles) < fewest:
        return f"there are fewer than {fewest} tiles of {' x '.join(map(str, outputs))} outputs"
    few = where.kernel == (3, 3) and groups == 1 and min(channels) < 32
    if few and batch * math.prod(tiles) * math.prod(channels) < _FEWEST_PRODUCTS:
        return f"there are fewer than {_FEWEST_PRODUCTS} products of tiles, input and output channels"
    if math.prod(tiles) * math.prod(outputs) > (1.3 if line else 1.5 if strided else 3.2) * math.prod(size):
        return "the tiles would be too large for the map"
    return (
        "" if where.plain or where.padding_mode == 0 else "the padding of the dilated or strided input is not of zeros"
    )


def columns_pay(conv: Conv2d, tile: int) -> bool:
    """Whether the input's gradient comes sooner by columns than with weights packed for this once, by rule of thumb.

    Columns take time to turn and add, packing and products for pixels beyond the border are saved.
    """
    where, (batch, c_out, *size) = conv.window, conv.out_shape
    pixels, taps = batch * math.prod(size), math.prod(where.kernel)
    if conv.groups > 1 or pixels == 0 or not 1 < taps <= _COLUMNS_TAPS or min(conv.shape[1], c_out) < _SQUARE_CHANNELS:
        return False
    if tile:
        return tile != FFT and min(where.kernel) == 1 and pixels <= _COLUMNS_LINE
    axes = zip(conv.shape[2:], where.kernel, where.stride, where.padding, where.dilation, strict=True)
    waste = math.prod(_products(*axis) for axis in axes) / (math.prod(size) * taps) - 1
    return pixels * (0.75 - waste * c_out / 32) < 0.55 * c_out + 16


def _products(size: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Along an axis, the products of direct convolution's adjoint: each tap's with every stride-th input."""
    return sum(len(range((tap * dilation - before) % stride, size, stride)) for tap in range(kernel))


def packed(conv: Conv2d, tile: int, backward: bool, w: np.ndarray, weight: Any, tap: int = 0) -> np.ndarray:
    """Weights as the kernels want them; those of a Parameter `weight` are kept until it is written to."""
    if type(weight) is not Parameter:
        return _pack(conv, tile, backward, np.ascontiguousarray(w))
    key = (tile, active_isa(), backward, tap)
    fit: Any = conv.adjoint_packing if backward and not tile else conv.packing
    if tile == FFT:
        fit = _kernels.fft_conv2d_tile(conv, backward)
    kept = weight.cache.get(key)
    if kept is None or kept[0] != fit:
        kept = weight.cache[key] = (fit, _pack(conv, tile, backward, np.ascontiguousarray(w)))
    return kept[1]


def winograd_weights(
    conv: Conv2d, tile: int, backward: bool, w: np.ndarray, weight: Any, tap: int = 0
) -> np.ndarray | None:
    """Winograd's, or None for those that its kernel had better transform in passing."""
    fleeting = _kernels.winograd_fleeting(conv, tile, backward, type(weight) is not Parameter)
    return None if fleeting else packed(conv, tile, backward, w, weight, tap)


def _pack(conv: Conv2d, tile: int, backward: bool, w: np.ndarray) -> np.ndarray:
    if tile == FFT:
        return _kernels.fft_conv2d_pack(conv, w, backward)
    return _kernels.winograd_pack(conv, tile, w, backward) if tile else _kernels.conv2d_pack(conv, w, backward)


def product(
    conv: Conv2d,
    tile: int,
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    weight: Any,
    residual: np.ndarray | None = None,
    clamp: tuple[float, float] | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the convolution of x (N, C, H, W) with w (C_out, C / groups, kh, kw), channels last.

    `residual` is added to it before it is held within `clamp`, all while it is in registers. It goes to `out`, whose
    pixels may have gaps between them, if the kernel can do that: if not, to an array of its own.
    """
    whole = tile == FFT or conv.groups > 1 or conv.out_shape[1] <= _FEW or residual is not None
    if out is not None and (whole or np.may_share_memory(x, out)):
        out = None
    x = channels_last(x)
    if residual is not None:
        residual = channels_last(residual)
    if not tile:
        return _kernels.conv2d(conv, x, packed(conv, 0, False, w, weight), b, out, False, residual, clamp)
    if out is None:
        out = empty_channels_last(conv.out_shape, x.dtype)
    if tile == FFT:
        ready = packed(conv, tile, False, w, weight)
        _kernels.fft_conv2d(conv, x, np.ascontiguousarray(w), ready, b, out, residual, clamp)
    else:
        weights = winograd_weights(conv, tile, False, w, weight)
        _kernels.winograd(conv, tile, x, np.ascontiguousarray(w), weights, b, out, False, residual, clamp)
    return out


def adjoint(conv: Conv2d, tile: int, grad: np.ndarray, w: np.ndarray, b: np.ndarray | None, weight: Any) -> np.ndarray:
    """Return the product with the transpose of what `product` multiplies with, zeros as padding, plus b."""
    grad = channels_last(grad)
    out = empty_channels_last(conv.shape, grad.dtype)
    if tile == FFT:
        ready = packed(conv, tile, True, w, weight)
        _kernels.fft_conv2d_grad_input(conv, grad, np.ascontiguousarray(w), ready, out, b)
    elif tile:
        weights = winograd_weights(conv, tile, True, w, weight)
        _kernels.winograd_grad_input(conv, tile, grad, np.ascontiguousarray(w), weights, out, b)
    elif not _by_plain_weights(conv, grad, w, b, weight, out):
        _kernels.conv2d_grad_input(conv, grad, packed(conv, tile, True, w, weight), out, b)
    return out


def _by_plain_weights(
    conv: Conv2d, grad: np.ndarray, w: np.ndarray, b: np.ndarray | None, weight: Any, out: np.ndarray
) -> bool:
    """Write the adjoint to `out` without packed weights, where that is quicker; return whether it is."""
    if not conv.matrix_input or b is not None or type(weight) is Parameter:
        return False
    return _kernels.conv2d_matrix_grad_input(conv, grad, np.ascontiguousarray(w), out)


def pads(conv: Conv2d) -> tuple[list[tuple[int, int]], str]:
    """Padding before and after both axes, and its mode, where that is not zeros."""
    where, padded = conv.window, conv.padded
    assert padded is not None
    rest = [p - n - b for p, n, b in zip(padded.shape[2:], conv.shape[2:], where.padding, strict=True)]
    return list(zip(where.padding, rest, strict=True)), PADDING_MODES[where.padding_mode]


def grad_input(conv: Conv2d, tile: int, grad: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the gradient of x."""
    whole = conv if conv.padded is None else conv.padded
    out = _by_columns(whole, grad, w) if tile == IM2COL else adjoint(whole, tile, grad, w, None, None)
    return out if conv.padded is None else fold(out, *pads(conv))


def _by_columns(conv: Conv2d, grad: np.ndarray, w: np.ndarray) -> np.ndarray:
    out = empty_channels_last(conv.shape, grad.dtype)
    _kernels.conv2d_columns_grad_input(conv, channels_last(grad), np.ascontiguousarray(w), out)
    return out


def grad_weight(conv: Conv2d, tile: int, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """Return the gradient of w."""
    if conv.padded is not None:
        x = pad(x, *pads(conv))
        conv = conv.padded
    out = _kernels.empty(conv.weight_shape, x.dtype)
    _kernels.conv2d_grad_weight(conv, channels_last(x), channels_last(grad), out, tile in (3, 4))
    return out


def channel_sum(grad: np.ndarray) -> np.ndarray:
    """Return the gradient of a bias: the sums of grad (N, C, H, W) over all axes but the channels."""
    grad = channels_last(grad)
    sums = _kernels.empty((grad.shape[1],), grad.dtype)
    _kernels.channel_sum(grad, sums)
    return sums
