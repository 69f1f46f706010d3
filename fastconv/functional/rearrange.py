"""Exchange of elements between channels and pixels: each is one copy, and its gradient the opposite exchange."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def channel_shuffle(input: Any, groups: int) -> Tensor:
    """Deal the channels of `groups` groups out like cards, so that the next grouped convolution sees all groups.

    Channel ``g * (C / groups) + i`` becomes channel ``i * groups + g`` (ShuffleNet: Zhang et al., 2018).

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, (N, C, ...).
    groups : int
        A divisor of C.

    Raises
    ------
    ShapeError
        If `groups` does not divide the channels.

    Examples
    --------
    >>> channel_shuffle([[[0.0], [1.0], [2.0], [3.0]]], 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    x = as_array(input, "channel_shuffle", "input")
    groups = checks.integer(groups, "channel_shuffle", "groups")
    if x.ndim < 3 or x.shape[1] % groups:
        raise ShapeError(
            f"channel_shuffle: input must be (N, C, ...) with channels in {groups} groups, got shape {x.shape}; "
            "groups must divide the channels"
        )
    if tracing():
        return traced("channel_shuffle", locals(), x.shape, x.dtype)
    each = x.shape[1] // groups
    return record(_dealt(x, groups), lambda grad: (_dealt(grad, max(each, 1)),), (input,))


@lru_cache(maxsize=64)
def _dealing(channels: int, groups: int) -> np.ndarray:
    """Which channel becomes the first, the second and so on."""
    return np.ascontiguousarray(np.arange(channels, dtype=np.int64).reshape(groups, -1).T).ravel()


def interleaved(first: Any, second: Any) -> Tensor:
    """Return ``channel_shuffle(cat((first, second), 1), 2)`` of two image batches of one shape, in one pass.

    Nobody records or traces it.
    """
    x, y = (_kernels.channels_last(as_array(each, "channel_shuffle", "input")) for each in (first, second))
    batch, channels, height, width = x.shape
    out = _kernels.empty_channels_last((batch, 2 * channels, height, width), x.dtype)
    _kernels.interleave(x, y, out)
    return wrap(out)


def _dealt(x: np.ndarray, groups: int) -> np.ndarray:
    if x.ndim == 4 and groups == 2:
        half = x.shape[1] // 2
        return interleaved(x[:, :half], x[:, half:]).data
    if x.ndim == 4 and x.size:
        out = _kernels.empty_channels_last(x.shape, x.dtype)
        _kernels.copy_channels(_kernels.channels_last(x), out, _dealing(x.shape[1], groups))
        return out
    last = np.moveaxis(x, 1, -1)
    apart = last.reshape(*last.shape[:-1], groups, last.shape[-1] // groups)
    return np.moveaxis(apart.swapaxes(-1, -2).reshape(last.shape), -1, 1)


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Make every pixel a square of pixels out of its channels.

    ``out[c, h * r + i, w * r + j] = input[c * r * r + i * r + j, h, w]``, r the factor (Shi et al., 2016).

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, (..., C r r, H, W).
    upscale_factor : int
        r.

    Returns
    -------
    Tensor
        (..., C, H r, W r).

    Raises
    ------
    ShapeError
        If r * r does not divide the channels.

    Examples
    --------
    >>> pixel_shuffle([[[1.0]], [[2.0]], [[3.0]], [[4.0]]], 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    x = as_array(input, "pixel_shuffle", "input")
    r = checks.integer(upscale_factor, "pixel_shuffle", "upscale_factor")
    if x.ndim < 3 or x.shape[-3] % (r * r):
        fit = (
            f"{-(-x.shape[-3] // (r * r)) * r * r} channels would fit"
            if x.ndim > 2
            else checks.axes_remedy(x.ndim, (3,))
        )
        raise ShapeError(
            f"pixel_shuffle: input must be (..., C, H, W) with C a multiple of {r}², got shape {x.shape}; {fit}"
        )
    if tracing():
        shape = (*x.shape[:-3], x.shape[-3] // (r * r), x.shape[-2] * r, x.shape[-1] * r)
        return traced("pixel_shuffle", locals(), shape, x.dtype)
    return record(_spread(x, r), lambda grad: (_gathered(grad, r),), (input,))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Make every square of pixels one pixel with as many times more channels: undoes :func:`pixel_shuffle`.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, (..., C, H r, W r).
    downscale_factor : int
        r.

    Returns
    -------
    Tensor
        (..., C r r, H, W).

    Raises
    ------
    ShapeError
        If r does not divide height and width.

    Examples
    --------
    >>> pixel_unshuffle([[[1.0, 2.0], [3.0, 4.0]]], 2).flatten()
    tensor([1., 2., 3., 4.])
    """
    x = as_array(input, "pixel_unshuffle", "input")
    r = checks.integer(downscale_factor, "pixel_unshuffle", "downscale_factor")
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(
            f"pixel_unshuffle: input must be (..., C, H, W) with H and W multiples of {r}, got shape {x.shape}; "
            "pad or crop it in front"
        )
    if tracing():
        shape = (*x.shape[:-3], x.shape[-3] * r * r, x.shape[-2] // r, x.shape[-1] // r)
        return traced("pixel_unshuffle", locals(), shape, x.dtype)
    return record(_gathered(x, r), lambda grad: (_spread(grad, r),), (input,))


def _spread(x: np.ndarray, r: int) -> np.ndarray:
    *batch, channels, h, w = x.shape
    apart = x.reshape(-1 if x.size else 0, channels // (r * r), r, r, h, w)
    last = apart.transpose(0, 4, 2, 5, 3, 1).reshape(len(apart), h * r, w * r, channels // (r * r))
    return last.transpose(0, 3, 1, 2).reshape(*batch, channels // (r * r), h * r, w * r)


def _gathered(x: np.ndarray, r: int) -> np.ndarray:
    *batch, channels, h, w = x.shape
    apart = x.reshape(-1 if x.size else 0, channels, h // r, r, w // r, r)
    last = apart.transpose(0, 2, 4, 1, 3, 5).reshape(len(apart), h // r, w // r, channels * r * r)
    return last.transpose(0, 3, 1, 2).reshape(*batch, channels * r * r, h // r, w // r)
