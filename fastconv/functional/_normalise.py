"""Normalising arrays that have been checked, with what comes after it, and the gradients of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import _kernels
from fastconv.autograd import needs_grad, record
from fastconv.functional._epilogue import Clamp, clamp_of, residual_of
from fastconv.tensor import Tensor

__all__ = ["After", "normalise"]


class After(NamedTuple):
    """What is added to a normalised array, as the user gave it and as an array, and the bounds it is held within."""

    given: Any = None
    residual: np.ndarray | None = None
    clamp: Clamp | None = None

    @classmethod
    def of(cls, op: str, x: np.ndarray, residual: Any, activation: Any) -> After:
        """Check both for a result like x."""
        r = None if residual is None else residual_of(op, residual, x.shape, x)
        return cls(residual, r, None if activation is None else clamp_of(op, activation))


_NOTHING = After()


def normalise(
    inputs: Sequence[Any],
    x: np.ndarray,
    parameters: Sequence[np.ndarray | None],
    moments: np.ndarray,
    groups: int,
    per_image: bool,
    eps: float,
    fixed: bool = False,
    after: After = _NOTHING,
) -> Tensor:
    """Normalise `x` by means and variances, which are computed and written to `moments` unless they are `fixed`.

    There is one of each for every group of channels, of the batch or, with `per_image`, of every image. `inputs` are
    input, weight and bias as the user gave them.
    """
    w, b = parameters
    mean, var = moments
    clamp = after.clamp
    images = _kernels.pixels(_images(x))
    out = _kernels.empty_channels_last(images.shape, x.dtype)
    if images.size:
        if not fixed:
            _kernels.norm_moments(images, mean, var, groups, per_image)
        residual = None if after.residual is None else _kernels.dense(_kernels.channels_last(_images(after.residual)))
        _kernels.norm(images, mean, var, w, b, out, groups, per_image, eps, residual, clamp)
    summed = after.given is not None
    if summed:
        inputs = (*inputs, after.given)
    needed = [needs_grad(each) for each in inputs]
    shape, kept = x.shape, out if clamp is not None and (summed or fixed) else None

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad_x = _kernels.empty_channels_last(images.shape, images.dtype) if needed[0] else None
        grad_w, grad_b = (np.zeros(images.shape[1], images.dtype) if need else None for need in needed[1:3])
        grad_r = grad
        if images.size:
            given = _kernels.pixels(_images(grad))
            masked = None if kept is None else _kernels.empty_channels_last(images.shape, images.dtype)
            _kernels.norm_grad(
                *(images, given, mean, var, w, grad_x, grad_w, grad_b, groups, per_image, eps, fixed),
                *(b, clamp, kept, masked),
            )
            grad_r = grad if masked is None else masked.reshape(shape)
        grads = (None if grad_x is None else grad_x.reshape(shape), grad_w, grad_b)
        return (*grads, grad_r if needed[3] else None) if summed else grads

    return record(out.reshape(shape), backward, inputs)


def _images(x: np.ndarray) -> np.ndarray:
    """A view (N, C, H, W) of data with up to three axes of pixels; a copy only where memory is in another order.

    What has a single axis is empty: no images without channels.
    """
    if x.ndim == 4:
        return x
    n, channels, *size = x.shape if x.ndim > 1 else (0, 0)
    return x.reshape(n, channels, *((1, 1, *size)[-2:] if len(size) < 2 else (size[0] * size[1], size[2])))
