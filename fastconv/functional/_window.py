"""Where a sliding window goes: output sizes and their checks, for pooling and convolution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from fastconv._kernels import Window, plain_ints
from fastconv.checks import axes_remedy, integers, pair
from fastconv.errors import ShapeError

__all__ = ["LAYOUTS", "Windows", "too_large", "window", "windows"]

LAYOUTS = {1: "(N, C, L) or (C, L)", 2: "(N, C, H, W) or (C, H, W)", 3: "(N, C, D, H, W) or (C, D, H, W)"}
_MOST_ELEMENTS = 2**59  # of up to eight bytes: a size in bytes fits 62 bits


def window(
    op: str,
    shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: bool = False,
    pooling: bool = False,
) -> Window:
    """Return the geometry of a window that slides over images, computed once for each shape and set of options.

    Parameters
    ----------
    op : str
        Name of the operation, for messages.
    shape : tuple of int
        The input's, (N, C, H, W).
    kernel_size, stride, padding, dilation : int or pair of int
        As the user gave them.
    ceil_mode : bool
        Whether to round the output size up, as far as every window starts inside the input or its left padding.
    pooling : bool
        Whether padding must be at most half the kernel.

    Returns
    -------
    Window
        ``out_shape`` is (N, C, H_out, W_out), H_out = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.

    Raises
    ------
    TypeError
        If an option is not an int or a pair of ints.
    ShapeError
        If an option is out of range, the input is empty in C, H or W, the kernel larger than the padded input, or a
        size beyond 2**59 elements.

    Examples
    --------
    >>> window("max_pool2d", (1, 8, 7, 7), 2, 2, 0, ceil_mode=True, pooling=True).out_shape
    (1, 8, 4, 4)
    """
    plain = plain_ints(kernel_size, stride, padding, dilation) and type(ceil_mode) is bool
    find = _known if plain else _window
    return find(op, shape, kernel_size, stride, padding, dilation, ceil_mode, pooling)


def too_large(op: str, kernel: Any, dilation: Any, spans: Sequence[int], padded: Sequence[int]) -> str:
    """Say that a window does not fit into the padded input, and what would help."""
    return (
        f"{op}: kernel_size {kernel} with dilation {dilation} spans {'x'.join(map(str, spans))} pixels, but the input "
        f"with its padding has {'x'.join(map(str, padded))}; use larger images, a smaller kernel_size or more padding"
    )


def _window(
    op: str,
    shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    pooling: bool,
) -> Window:
    kernel = pair(kernel_size, op, "kernel_size")
    stride = pair(stride, op, "stride")
    padding = pair(padding, op, "padding", 0)
    dilation = pair(dilation, op, "dilation")
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise ShapeError(f"{op}: input must be (N, C, H, W) with C, H and W of at least 1, got shape {shape}")
    if not isinstance(ceil_mode, bool):
        raise TypeError(f"{op}: ceil_mode must be True or False, got {ceil_mode!r}")
    if pooling and (2 * padding[0] > kernel[0] or 2 * padding[1] > kernel[1]):
        raise ShapeError(f"{op}: padding must be at most half of kernel_size {kernel}, got {padding}")
    batch, channels, *size = shape
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    out = []
    for n, p, s, total, span in zip(size, padding, stride, padded, spans, strict=True):
        steps, rest = divmod(total - span, s)
        if ceil_mode and rest and (steps + 1) * s < n + p:
            steps += 1
        out.append(steps + 1)
    if min(out) < 1:
        raise ShapeError(too_large(op, kernel, dilation, spans, padded))
    # No output is larger than the padded input.
    if max(batch, 1) * channels * padded[0] * padded[1] >= _MOST_ELEMENTS:
        raise ShapeError(
            f"{op}: input of shape {shape} with padding {padding} makes arrays of more than {_MOST_ELEMENTS} elements"
        )
    return Window(batch, *size, channels, *kernel, *out, *stride, *padding, *dilation)  # type: ignore[call-arg]


_known = lru_cache(maxsize=1024, typed=True)(_window)


class Windows(NamedTuple):
    """Windows over one, two or three axes, as windows over images that are slid one after the other.

    Attributes
    ----------
    stages : tuple of Window
        One, or for three axes two: over the planes (N D, C, H, W), then over the depth (N, C, D, H_out W_out). Channels
        last, each is the same memory in another shape.
    shape, out_shape : tuple of int
        The input's and the result's, (N, C, ...).
    kernel, stride, padding, dilation : tuple of int
        For each axis.
    """

    stages: tuple[Window, ...]
    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


def windows(
    op: str,
    axes: int,
    shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Windows:
    """Return where the windows of a pooling over `axes` axes lie; errors as :func:`window`.

    Parameters
    ----------
    op : str
        Name of the operation, for messages.
    axes : {1, 2, 3}
        How many axes windows slide along.
    shape : tuple of int
        The input's, (N, C, ...).
    kernel_size, stride, padding, dilation : int or sequence of int
        As the user gave them; no stride is as much as `kernel_size`.
    ceil_mode : bool
        Whether to round the output size up.
    """
    plain = plain_ints(kernel_size, 1 if stride is None else stride, padding, dilation) and type(ceil_mode) is bool
    find = _known_windows if plain else _windows
    return find(op, axes, shape, kernel_size, stride, padding, dilation, ceil_mode)


def _windows(
    op: str,
    axes: int,
    shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Windows:
    if len(shape) != axes + 2 or min(shape[1:]) < 1:
        remedy = axes_remedy(len(shape), (axes + 1, axes + 2)) if len(shape) != axes + 2 else "an axis is empty"
        raise ShapeError(
            f"{op}: input must be {LAYOUTS[axes]} with at least 1 of all but N, got shape {shape}; {remedy}"
        )
    kernel = integers(_alone(kernel_size), axes, op, "kernel_size")
    none = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    strides = kernel if none else integers(_alone(stride), axes, op, "stride")
    pads = integers(_alone(padding), axes, op, "padding", 0)
    steps = integers(_alone(dilation), axes, op, "dilation")
    batch, channels, *size = shape
    spans = [d * (k - 1) + 1 for d, k in zip(steps, kernel, strict=True)]
    padded = [n + 2 * p for n, p in zip(size, pads, strict=True)]
    if ceil_mode is False and any(span > n for span, n in zip(spans, padded, strict=True)):  # not as one of images
        raise ShapeError(too_large(op, kernel, steps, spans, padded))
    options = (kernel, strides, pads, steps)
    if axes == 3:
        images = (batch * size[0], channels, *size[1:])
        planes = window(op, images, kernel[1:], strides[1:], pads[1:], steps[1:], ceil_mode, True)
        h, w = planes.out_shape[2:]
        columns = (batch, channels, size[0], h * w)
        depth = window(op, columns, (kernel[0], 1), (strides[0], 1), (pads[0], 0), (steps[0], 1), ceil_mode, True)
        return Windows((planes, depth), shape, (batch, channels, depth.out_shape[2], h, w), *options)
    if axes == 1:
        rows = (batch, channels, 1, size[0])
        row = window(op, rows, (1, *kernel), (1, *strides), (0, *pads), (1, *steps), ceil_mode, True)
        return Windows((row,), shape, (batch, channels, row.out_shape[3]), *options)
    image = window(op, shape, *options, ceil_mode, True)
    return Windows((image,), shape, image.out_shape, *options)


def _alone(value: Any) -> Any:
    """The number in a sequence of one, which stands for all axes, as in PyTorch's pooling."""
    return value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value


_known_windows = lru_cache(maxsize=1024, typed=True)(_windows)
