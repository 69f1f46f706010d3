"""What losses do with the values of single elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.autograd import needs_grad, record
from fastconv.tensor import Tensor

__all__ = ["REDUCTIONS", "reduced", "reduction_of"]

REDUCTIONS = ("mean", "sum", "none")


def reduction_of(op: str, size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction that PyTorch's former arguments mean, or `reduction` if neither is given.

    Examples
    --------
    >>> reduction_of("mse_loss", None, None, "mean"), reduction_of("mse_loss", False, None, "mean")
    ('mean', 'sum')
    """
    if size_average is None and reduce is None:
        return reduction
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value not in (None, True, False):
            raise TypeError(f"{op}: {name} must be a bool or None, got {value!r}; reduction takes the words")
    return "none" if reduce is False else "sum" if size_average is False else "mean"


def reduced(
    inputs: tuple[Any, ...], losses: np.ndarray, slopes: tuple[Callable[[], np.ndarray], ...], reduction: str
) -> Tensor:
    """Reduce losses; `slopes` compute their derivatives with respect to each input."""
    count = {"mean": losses.size, "batchmean": len(losses) if losses.ndim else 1}.get(reduction, 1)
    needed = [needs_grad(each) for each in inputs]
    dtype = losses.dtype
    with np.errstate(all="ignore"):
        out = losses if reduction == "none" else np.asarray(losses.sum(dtype=np.float64) / np.float64(count), dtype)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        with np.errstate(all="ignore"):
            scale = grad if reduction == "none" else np.asarray(grad / np.float64(count), dtype)
            return tuple(slope() * scale if need else None for slope, need in zip(slopes, needed, strict=True))

    return record(out, backward, inputs)
