"""Which pixels of the input a layer sees: receptive field, jump and start, through branches, dilation and pooling."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.graph._fields import Field, fields
from fastconv.graph.ir import Graph, Node, Value
from fastconv.graph.trace import trace_images

__all__ = ["ReceptiveField", "find_layer", "output_size", "receptive_field", "summarise"]


@dataclass(frozen=True)
class ReceptiveField:
    """What one element of a map sees of the input; a number for each axis of the image: (height, width).

    Pixel i covers the coordinates from i to i + 1, so that the field of element k along an axis is centred on
    ``start + k * jump`` and reaches ``size / 2`` to both sides, also beyond the image, into the padding. Where elements
    do not all see alike (after transposed convolutions and interpolation, where paths of different steps join) `size`
    is that of the largest field, `start` holds on the average, and :meth:`box` tells what an element sees.

    Attributes
    ----------
    size : tuple of int
        Pixels seen. Where an element sees the image whole (after a global pool or a fully connected layer) it is the
        image's size.
    jump : tuple of float or None
        Pixels from the field of one element to that of the next; None where the map has no positions left.
    start : tuple of float or None
        Centre of the field of element 0; 0.5 for a pixel itself.
    spans : tuple
        For each axis None or, where elements do not all see alike, first and last coordinate of each element's field.
    """

    size: tuple[int, ...]
    jump: tuple[float | None, ...]
    start: tuple[float | None, ...]
    spans: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def box(self, position: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
        """Return the first and the last coordinate, along each axis, that the element at `position` sees.

        Examples
        --------
        >>> ReceptiveField((3, 3), (2.0, 2.0), (0.5, 0.5)).box((0, 4))
        ((-1.0, 2.0), (7.0, 10.0))
        """
        if len(position) != len(self.size):
            raise ShapeError(f"receptive_field: position must have {len(self.size)} numbers, got {position!r}")
        found = []
        spans = self.spans or (None,) * len(self.size)
        for at, size, jump, start, span in zip(position, self.size, self.jump, self.start, spans, strict=True):
            if span is not None and -len(span[0]) <= at < len(span[0]):
                found.append((float(span[0][at]), float(span[1][at])))
                continue
            centre = size / 2 if jump is None or start is None else start + at * jump
            found.append((centre - size / 2, centre + size / 2))
        return tuple(found)


def receptive_field(model: Any, input_shape: tuple[int, ...] | None = None, layer: str | None = None) -> Any:
    """Return what the elements of layers see of the input.

    Statistics that normalisations take over a map do not count. Where paths of different reach join (branches, skip
    connections), the field is the smallest box around both.

    Parameters
    ----------
    model : Module or callable
        A network.
    input_shape : tuple of int, optional
        (N, C, H, W), or (C, H, W) for one image; by default what a network of `fastconv.models` was designed for.
    layer : str, optional
        Path of a layer, ``features.3``, or of a block.

    Returns
    -------
    ReceptiveField, or dict of str to ReceptiveField
        Of `layer`; without one, of every layer by its path, in the order of their last calls.

    Raises
    ------
    ShapeError
        If the network does not take such images.
    ValueError
        If it has no such layer.

    References
    ----------
    A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019.

    Examples
    --------
    >>> from fastconv.layers import Conv2d, MaxPool2d, Sequential
    >>> model = Sequential(Conv2d(3, 8, 3, padding=1), MaxPool2d(2), Conv2d(8, 8, 3, padding=1))
    >>> receptive_field(model, (1, 3, 32, 32), "2")
    ReceptiveField(size=(8, 8), jump=(2.0, 2.0), start=(1.0, 1.0))
    """
    graph = trace_images(model, input_shape)
    known = fields(graph)

    def _of(value: Value) -> ReceptiveField:
        return summarise(value, known.get(value, ()), graph.inputs[0].shape)

    if layer is not None:
        return _of(find_layer(graph, layer).output)
    found: dict[str, ReceptiveField] = {}
    for node in graph.nodes:
        if node.path and node.output in known:
            found.pop(node.path, None)
            found[node.path] = _of(node.output)
    return found


def find_layer(graph: Graph, layer: str) -> Node:
    """Return the last node of a layer or block."""
    inside = [node for node in graph.nodes if f"{node.path}.".startswith(f"{layer}.")]
    if not inside:
        paths = ", ".join(dict.fromkeys(node.path for node in graph.nodes if node.path))
        raise ValueError(f"no layer {layer!r} was called; there are {paths}")
    return inside[-1]


def summarise(value: Value, found: tuple[Field, ...], image: tuple[int, ...]) -> ReceptiveField:
    """Turn the fields of a value as they are computed into one as it is shown; empty for what is made of constants."""
    sizes, jumps, starts, spans = [], [], [], []
    for each, pixels in zip(found, image[2:], strict=bool(found)):
        low, high = each.low, each.high
        single = each.axis is None or len(low) == 1
        covers = each.whole or bool(single and low[0] <= 0 and high[0] >= pixels - 1)
        centres = (low + high + 1) / 2 - np.arange(len(low)) * each.jump
        alike = np.ptp(centres) < 1e-6 and np.ptp(high - low) < 1e-6 if len(low) else True
        sizes.append(pixels if covers else math.ceil(np.max(high - low, initial=0) + 1 - 1e-6))
        jumps.append(None if each.axis is None or (covers and single) else float(each.jump))
        starts.append(None if each.axis is None or covers or not len(low) else float(np.mean(centres)))
        spans.append(None if alike or covers else (low, high + 1))
    uneven = any(span is not None for span in spans)
    return ReceptiveField(tuple(sizes), tuple(jumps), tuple(starts), tuple(spans) if uneven else ())


def output_size(n: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return the length of what a convolution or pool makes of `n` pixels.

    ``floor((n + 2 padding - dilation (kernel - 1) - 1) / stride) + 1``

    Parameters
    ----------
    n : int
        Height or width of the input.
    kernel, stride, padding, dilation : int
        Of the window, along that axis.

    Raises
    ------
    ShapeError
        If a number is out of range or the window larger than the padded input.

    Examples
    --------
    >>> output_size(224, 11, stride=4, padding=2)
    55
    """
    n = checks.integer(n, "output_size", "n")
    kernel = checks.integer(kernel, "output_size", "kernel")
    stride = checks.integer(stride, "output_size", "stride")
    padding = checks.integer(padding, "output_size", "padding", 0)
    span = checks.integer(dilation, "output_size", "dilation") * (kernel - 1) + 1
    if span > n + 2 * padding:
        raise ShapeError(
            f"output_size: kernel {kernel} with dilation {dilation} spans {span} pixels, "
            f"but the input with its padding has {n + 2 * padding}"
        )
    return (n + 2 * padding - span) // stride + 1
