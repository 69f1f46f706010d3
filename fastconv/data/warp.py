"""Resampling images by affine maps."""

from __future__ import annotations

import numpy as np

from fastconv import _kernels, checks
from fastconv.arrays import standardize
from fastconv.errors import ShapeError

_LARGEST = 2**31 - 4  # the kernel counts columns in 32 bits, two pixels outside included


def affine_warp(images: np.ndarray, matrices: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """Resample every image by its own affine map, bilinearly.

    Output pixel (x, y) shows the input at ``matrix @ (x, y, 1)``, the mean of the four pixels around that point
    weighted by how near they are.

    Parameters
    ----------
    images
        (N, C, H, W), float32 or float64, any strides.
    matrices
        (N, 2, 3): row 0 gives the input's x (column), row 1 its y (row), in pixels; pixel centres are whole
        numbers. Where a map leads to no finite point the output is `fill`.
    fill
        The value of everything outside the image; finite.

    Returns
    -------
    numpy.ndarray
        Of the images' shape and type.

    Raises
    ------
    ShapeError
        If `images` is not 4-d, or `matrices` not (N, 2, 3).
    TypeError
        If `images` is not float32 or float64, or `matrices` does not hold real numbers.
    ValueError
        If `fill` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> to_the_left = np.array([[[1, 0, 1], [0, 1, 0]]])
    >>> affine_warp(np.array([[[[1.0, 2.0, 3.0]]]]), to_the_left)
    array([[[[2., 3., 0.]]]])
    """
    images = check_images("affine_warp", images)
    matrices = standardize(matrices, "affine_warp: matrices")
    if matrices.shape != (len(images), 2, 3):
        raise ShapeError(f"affine_warp: matrices must have shape ({len(images)}, 2, 3), got {matrices.shape}")
    largest = float(np.finfo(images.dtype).max)
    fill = checks.number(fill, "affine_warp", "fill", -largest, largest)
    if max(images.shape) > _LARGEST:
        raise ShapeError(f"affine_warp: images must have at most {_LARGEST} rows and columns, got shape {images.shape}")
    out = _kernels.empty_channels_last(images.shape, images.dtype)
    if out.size:
        matrices = np.ascontiguousarray(matrices, np.float64)
        _kernels.affine_warp(_kernels.channels_last(images), matrices, fill, out)
    return out


def check_images(op: str, images: np.ndarray) -> np.ndarray:
    """Return `images` as an array, or raise unless it is float32 or float64 and (N, C, H, W)."""
    images = standardize(images, f"{op}: images")
    if images.dtype.kind != "f":
        raise TypeError(f"{op}: images must be float32 or float64, got {images.dtype}")
    checks.ndim(images, (4,), op, "images", "(N, C, H, W)")
    return images
