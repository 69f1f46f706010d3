"""Exchange of elements between channels and pixels: each gradient is the opposite exchange."""

from __future__ import annotations

import numpy as np

__all__ = [
    "channel_shuffle",
    "channel_shuffle_grad",
    "pixel_shuffle",
    "pixel_shuffle_grad",
    "pixel_unshuffle",
    "pixel_unshuffle_grad",
]


def channel_shuffle(x: np.ndarray, groups: int) -> np.ndarray:
    return x[:, np.arange(x.shape[1]).reshape(groups, -1).T.ravel()]


def channel_shuffle_grad(grad: np.ndarray, x: np.ndarray, groups: int) -> np.ndarray:
    grad_x = np.empty_like(x)
    grad_x[:, np.arange(x.shape[1]).reshape(groups, -1).T.ravel()] = grad
    return grad_x


def pixel_shuffle(x: np.ndarray, upscale_factor: int) -> np.ndarray:
    r = upscale_factor
    *batch, c, h, w = x.shape
    out = np.empty((*batch, c // r**2, h * r, w * r), x.dtype)
    for i in range(r):
        for j in range(r):
            out[..., i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return out


def pixel_unshuffle(x: np.ndarray, downscale_factor: int) -> np.ndarray:
    r = downscale_factor
    *batch, c, h, w = x.shape
    out = np.empty((*batch, c * r**2, h // r, w // r), x.dtype)
    for i in range(r):
        for j in range(r):
            out[..., i * r + j :: r * r, :, :] = x[..., i::r, j::r]
    return out


def pixel_shuffle_grad(grad: np.ndarray, x: np.ndarray, upscale_factor: int) -> np.ndarray:
    return pixel_unshuffle(grad, upscale_factor)


def pixel_unshuffle_grad(grad: np.ndarray, x: np.ndarray, downscale_factor: int) -> np.ndarray:
    return pixel_shuffle(grad, downscale_factor)
