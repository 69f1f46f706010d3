"""Local response normalisation: large responses quiet their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import dense_like
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional.elementwise import mul, pow
from fastconv.functional.pool import avg_pool2d
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["local_response_norm"]


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, *, within_channel: bool = False
) -> Tensor:
    """Return ``input / (k + alpha * mean) ** beta`` with the mean of the squares of `size` neighbouring channels.

    Channels that do not exist count as 0. As in PyTorch the sum of squares is divided by `size`, which the papers do
    not: AlexNet's ``k=2, n=5, alpha=1e-4, beta=0.75`` is ``size=5, alpha=5e-4, beta=0.75, k=2`` here.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, ...), float32 or float64.
    size : int
        Neighbours: channels from ``c - size // 2`` to ``c + (size - 1) // 2``.
    alpha, beta, k : float
        As in the formula. Fastest for a `beta` of 0.75, 0.5 or 1.
    within_channel : bool
        Take the neighbours of a pixel in its own channel instead, a window of `size` x `size`: images only, `size` odd.

    Raises
    ------
    ShapeError
        If the shape does not fit.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", NeurIPS 2012.

    Examples
    --------
    >>> local_response_norm(np.ones((1, 3, 1)), size=3, alpha=3.0, beta=1.0, k=0.0).reshape(-1)
    tensor([0.5   , 0.3333, 0.5   ], dtype=float64)
    """
    op = "local_response_norm"
    x = as_array(input, op, "input")
    axes, layout = ((4,), "(N, C, H, W)") if within_channel else ((3, 4, 5), "(N, C, ...)")
    checks.ndim(x, axes, op, "input", layout)
    size = checks.integer(size, op, "size")
    alpha, beta, k = (checks.number(value, op, name) for value, name in ((alpha, "alpha"), (beta, "beta"), (k, "k")))
    if within_channel and size % 2 == 0:
        raise ShapeError(f"{op}: size must be odd within a channel, got {size}")
    if not within_channel and size > 2 * x.shape[1] + 1:
        size, alpha = 2 * x.shape[1] + 1, alpha * (2 * x.shape[1] + 1) / size  # the rest does not exist
    if tracing():
        return traced(op, locals(), x.shape, x.dtype)
    if within_channel:
        squares = avg_pool2d(mul(input, input), size, 1, size // 2)
        return mul(input, pow(squares * alpha + k, -beta))

    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    out = _kernels.empty(last.shape, x.dtype)
    if last.size:
        _kernels.local_response_norm(last, out, size, alpha, beta, k)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = _kernels.empty(last.shape, last.dtype)
        if last.size:
            given = dense_like(np.moveaxis(grad, 1, -1), last)
            _kernels.local_response_norm_grad(last, given, grad_x, size, alpha, beta, k)
        return (np.moveaxis(grad_x, -1, 1),)

    return record(np.moveaxis(out, -1, 1), backward, (input,))
