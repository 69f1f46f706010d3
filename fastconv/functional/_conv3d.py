"""Convolution of volumes: for every tap of the depth a two-dimensional convolution, added to those before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import _kernels
from fastconv._kernels import Conv2d, channels_last
from fastconv.functional import _conv2d
from fastconv.functional._fft import FFT
from fastconv.functional._padding import fold, pad
from fastconv.functional._sizes import Axis

__all__ = ["Conv3d", "adjoint", "channel_sum", "grad_input", "grad_weight", "product"]


class _Tap(NamedTuple):
    """A tap of the depth: its number, the output planes that it reaches, and the input planes that it reads there."""

    number: int
    outs: slice
    ins: slice


class Conv3d:
    """The sizes of a convolution of volumes, and which planes every tap of the depth connects.

    `padded` is the same convolution of an input that has its padding already, where the padding is not of zeros;
    `planes`, by their number, the convolution of so many planes at once.
    """

    def __init__(
        self, axes: Sequence[Axis], batch: int, channels: tuple[int, int], groups: int, mode: str = "zeros"
    ) -> None:
        self.padded: Conv3d | None = None
        if mode != "zeros":
            whole = [a._replace(size=a.size + a.before + a.after, before=0, after=0) for a in axes]
            self.padded = Conv3d(whole, batch, channels, groups)
        self.mode = mode
        self.depth, *self.plane_axes = axes
        self.channels = channels
        self.groups = groups
        self.pads = [(axis.before, axis.after) for axis in axes]
        self.shape = (batch, channels[0], *(axis.size for axis in axes))
        self.out_shape = (batch, channels[1], *(axis.out for axis in axes))
        self.weight_shape = (channels[1], channels[0] // groups, *(axis.kernel for axis in axes))
        self.taps = _taps(self.depth)
        self.planes: dict[int, Conv2d] = {}
        tile = self.of(self.depth.out).winograd_tile
        self.winograd_tile = 0 if tile == FFT else tile

    def of(self, planes: int) -> Conv2d:
        """Return the convolution of `planes` planes."""
        found = self.planes.get(planes)
        if found is None:
            found = self.planes[planes] = _conv2d.geometry(self.plane_axes, planes, self.channels, self.groups)
        return found


def _taps(depth: Axis) -> list[_Tap]:
    """The taps that reach the input, those of most planes first: the first writes, the others add."""
    found = []
    for k in range(depth.kernel):
        offset = k * depth.dilation - depth.before
        first = max(0, -(offset // depth.stride))
        last = min(depth.out, (depth.size - 1 - offset) // depth.stride + 1)
        if first < last:
            start = first * depth.stride + offset
            ins = slice(start, start + (last - first - 1) * depth.stride + 1, depth.stride)
            found.append(_Tap(k, slice(first, last), ins))
    return sorted(found, key=lambda tap: tap.outs.start - tap.outs.stop)


def _volumes(x: np.ndarray) -> np.ndarray:
    """View x (N, C, D, H, W) as (N, D, C, H, W), whose volumes are images to the kernels; a copy if need be."""
    last = np.moveaxis(x, 1, -1)
    if not last.flags.c_contiguous:
        n, c, d, h, w = x.shape
        if x.flags.c_contiguous:
            last = np.moveaxis(channels_last(x.reshape(n, c, d * h, w)), 1, -1).reshape(n, d, h, w, c)
        else:
            last = np.ascontiguousarray(last)
    return np.moveaxis(last, -1, 2)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array like those of `_volumes`, for a logical `shape` (N, C, D, H, W)."""
    n, c, *size = shape
    return np.moveaxis(_kernels.empty((n, *size, c), dtype), -1, 2)


def _run(
    conv: Conv3d,
    tile: int,
    backward: bool,
    source: np.ndarray,
    target: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray | None, Any],
) -> bool:
    """Write one volume's convolution, or the adjoint's; return whether Winograd's algorithm met no infinite value."""
    w, b, weight = weights
    if not conv.taps:
        target[...] = 0 if b is None else b[:, None, None]
        return True
    for tap in conv.taps:
        taken, written = (tap.outs, tap.ins) if backward else (tap.ins, tap.outs)
        part, later = conv.of(tap.outs.stop - tap.outs.start), tap is not conv.taps[0]
        if not later:
            untouched = np.ones(len(target), bool)
            untouched[written] = False
            target[untouched] = 0 if b is None else b[:, None, None]
        plane = np.ascontiguousarray(w[:, :, tap.number])
        pack = _conv2d.winograd_weights if tile else _conv2d.packed
        ready: Any = pack(part, tile, backward, plane, weight, tap.number)
        offset = None if later else b
        given, into = source[taken], target[written]
        if tile and backward:
            fine = _kernels.winograd_grad_input(part, tile, given, plane, ready, into, offset, later)
        elif tile:
            fine = _kernels.winograd(part, tile, given, plane, ready, offset, into, later)
        else:
            fine = True
            if backward:
                _kernels.conv2d_grad_input(part, given, ready, into, offset, later)
            else:
                _kernels.conv2d(part, given, ready, offset, into, later)
        if not fine:
            return False
    return True


def _run_all(
    conv: Conv3d, tile: int, backward: bool, x: np.ndarray, shape: tuple[int, ...], weights: Any
) -> np.ndarray:
    out = _empty(shape, x.dtype)
    for source, target in zip(_volumes(x), out, strict=True):
        if not _run(conv, tile, backward, source, target, weights):
            _run(conv, 0, backward, source, target, weights)
    return np.moveaxis(out, 2, 1)


def product(conv: Conv3d, tile: int, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, weight: Any) -> np.ndarray:
    """Return the convolution of x (N, C, D, H, W) with w (C_out, C / groups, kd, kh, kw), channels last."""
    if conv.padded is not None:
        x, conv = pad(x, conv.pads, conv.mode), conv.padded
    return _run_all(conv, tile, False, x, conv.out_shape, (w, b, weight))


def adjoint(conv: Conv3d, tile: int, grad: np.ndarray, w: np.ndarray, b: np.ndarray | None, weight: Any) -> np.ndarray:
    """Return the product with the transpose of what `product` multiplies with, zeros as padding, plus b."""
    return _run_all(conv, tile, True, grad, conv.shape, (w, b, weight))


def grad_input(conv: Conv3d, tile: int, grad: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the gradient of x."""
    if conv.padded is None:
        return adjoint(conv, tile, grad, w, None, None)
    return fold(adjoint(conv.padded, tile, grad, w, None, None), conv.pads, conv.mode)


def grad_weight(conv: Conv3d, tile: int, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """Return the gradient of w."""
    if conv.padded is not None:
        x, conv = pad(x, conv.pads, conv.mode), conv.padded
    out = np.zeros(conv.weight_shape, x.dtype)
    part = np.empty((*conv.weight_shape[:2], *conv.weight_shape[3:]), x.dtype)
    for volume, given in zip(_volumes(x), _volumes(grad), strict=True):
        for tap in conv.taps:
            outs = tap.outs
            slices = conv.of(outs.stop - outs.start)
            _kernels.conv2d_grad_weight(slices, volume[tap.ins], given[outs], part, tile == 4)
            out[:, :, tap.number] += part
    return out


def channel_sum(grad: np.ndarray) -> np.ndarray:
    """Return the gradient of a bias: the sums of grad (N, C, D, H, W) over all axes but the channels."""
    n, c, d, h, w = grad.shape
    return _conv2d.channel_sum(grad.reshape(n, c, d * h, w))
