"""Geometric transforms of images."""

from __future__ import annotations

import numpy as np

__all__ = ["affine_warp"]


def affine_warp(images: np.ndarray, matrices: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """Resample every image by its own affine map, bilinearly.

    Output pixel (x, y) shows the input at (u, v) = matrix @ (x, y, 1), the mean of the four pixels around that
    point weighted by how near they are. What lies outside the image, or at no finite point, is `fill`.

    Parameters
    ----------
    images : (N, C, H, W)
    matrices : (N, 2, 3)

    Examples
    --------
    >>> import numpy as np
    >>> half_a_pixel_right = np.array([[[1, 0, 0.5], [0, 1, 0]]])
    >>> affine_warp(np.array([[[[1.0, 3.0, 5.0]]]]), half_a_pixel_right)
    array([[[[2. , 4. , 2.5]]]])
    """
    n, _, h, w = images.shape
    y, x = np.mgrid[:h, :w]
    with np.errstate(invalid="ignore", over="ignore"):
        u, v = np.tensordot(matrices.astype(float), [x, y, np.ones_like(x)], 1).swapaxes(0, 1)
    # Two pixels outside, all four neighbours are `fill`: further out, or nowhere, is the same.
    u = np.where(np.isfinite(u), np.clip(u, -2, w), -2)
    v = np.where(np.isfinite(v), np.clip(v, -2, h), -2)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    right_part, bottom_part = u - left, v - top

    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=fill).transpose(0, 2, 3, 1)
    image = np.arange(n)[:, None, None]

    def lerp(a, b, part):
        return a + (b - a) * part[..., None].astype(images.dtype)

    def row(y):
        return lerp(padded[image, y + 2, left + 2], padded[image, y + 2, left + 3], right_part)

    return lerp(row(top), row(top + 1), bottom_part).transpose(0, 3, 1, 2)
