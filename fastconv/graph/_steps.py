"""Which elements of its input an operation takes, along one axis.

Each function returns, for the elements of the output in order, the first and the last element of the input, not cut off
at its ends, and the mean distance between them from one element of the output to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.graph.ir import Node

__all__ = ["STEPS", "family", "kernel_of", "option"]

Step = tuple[np.ndarray, np.ndarray, float]


def family(node: Node) -> tuple[str, int]:
    """Return the name of an operation without its dimensions, and how many there are."""
    name = node.op
    if name[-2:] in ("1d", "2d", "3d"):
        return name[:-2], int(name[-2])
    return name, max(len(node.output.shape) - 2, 0)


def option(node: Node, name: str, i: int, default: Any) -> Any:
    """Return an option for the i-th axis, given as one number or one for each."""
    value = node.arguments.get(name)
    if isinstance(value, (tuple, list)):
        value = value[i] if len(value) > 1 else value[0]
    return default if value is None else value


def kernel_of(node: Node, i: int, axes: int) -> int:
    """Return the length of the window along the i-th of the last axes."""
    if "kernel_size" in node.arguments:
        return option(node, "kernel_size", i, 1)
    return node.arguments["weight"].shape[i - axes]


def _before(node: Node, i: int, span: int, stride: int, n: int, m: int) -> int:
    """Return the padding before the first element along the i-th axis, given as a number, a pair or a name."""
    padding = node.arguments.get("padding", 0)
    if isinstance(padding, str):
        total = max((m - 1) * stride + span - n, 0)
        return {"valid": 0, "full": span - 1, "same": total // 2, "same_lower": (total + 1) // 2}[padding]
    before = option(node, "padding", i, 0)
    return before[0] if isinstance(before, (tuple, list)) else before


def _window(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    kernel, dilation = kernel_of(node, i, axes), option(node, "dilation", i, 1)
    stride = option(node, "stride", i, kernel if "pool" in node.op else 1)
    reach = dilation * (kernel - 1)
    first = np.arange(m) * stride - _before(node, i, reach + 1, stride, n, m)
    return first, first + reach, stride


def _transposed(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    kernel, dilation = kernel_of(node, i, axes), option(node, "dilation", i, 1)
    stride = option(node, "stride", i, kernel if "pool" in node.op else 1)
    padding = option(node, "padding", i, 0)
    if isinstance(padding, str):  # what does not fit is cut off evenly
        padding = max((n - 1) * stride + dilation * (kernel - 1) + 1 - m, 0) // 2
    at = np.arange(m) + (padding[0] if isinstance(padding, (tuple, list)) else padding)
    return np.ceil((at - dilation * (kernel - 1)) / stride), at // stride, 1 / stride


def _bins(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    at = np.arange(m)
    return at * n // m, -(-(at + 1) * n // m) - 1, n / m


def _interpolated(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    mode, at = node.arguments.get("mode", "nearest"), np.arange(m)
    if mode == "area":
        return _bins(node, i, axes, n, m)
    if mode.startswith("nearest"):
        first = at * n // m
        return first, first, n / m
    aligned = node.arguments.get("align_corners") and m > 1
    ratio = (n - 1) / (m - 1) if aligned else n / m
    source = at * ratio if aligned else (at + 0.5) * ratio - 0.5
    first = np.floor(source)
    extra = 1 if mode == "bicubic" else 0
    return first - extra, np.where(source == first, first, first + 1) + extra, ratio


def _padded(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    pads = node.arguments["pad"]  # last axis first, as in PyTorch
    at = 2 * (axes - 1 - i)
    first = np.arange(m) - (pads[at] if at < len(pads) else 0)
    return first, first, 1.0


def _cropped(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    first = np.arange(m) + (n - m) // 2
    return first, first, 1.0


def _shuffled(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    first = np.arange(m) * n // m
    return first, first, n / m


def _spread(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    factor = option(node, "factors", i, 1)
    first = np.arange(m) / factor
    return first, first, 1 / factor


def _unshuffled(node: Node, i: int, axes: int, n: int, m: int) -> Step:
    first = np.arange(m) * (n // m)
    return first, first + n // m - 1, n // m


STEPS: dict[str, Callable[[Node, int, int, int, int], Step]] = {
    **dict.fromkeys(("conv", "locally_connected"), _window),
    **dict.fromkeys(("max_pool", "avg_pool", "lp_pool", "trainable_pool", "weighted_pool"), _window),
    **dict.fromkeys(("mixed_pool", "stochastic_pool", "gaussian_pool"), _window),
    **dict.fromkeys(("conv_transpose", "max_unpool"), _transposed),
    **dict.fromkeys(("adaptive_avg_pool", "adaptive_max_pool"), _bins),
    "interpolate": _interpolated,
    "upsample": _interpolated,
    "pad": _padded,
    "center_crop": _cropped,
    "pixel_shuffle": _shuffled,
    "zero_insert": _spread,
    "pixel_unshuffle": _unshuffled,
}
