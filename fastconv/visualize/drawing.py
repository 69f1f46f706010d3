"""A network as a drawing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastconv.errors import require
from fastconv.graph.outline import Box, outline
from fastconv.graph.trace import trace_images
from fastconv.visualize._layout import WIDTH, Place, arrange
from fastconv.visualize.style import BLUE, GREY, INK, ORANGE, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["architecture"]

MOST = 100  # boxes; larger networks are drawn block by block
ROW, PAD, PITCH = 0.155, 0.09, 0.19  # inches: a line of text, above and below, from box to box
GREEN, PURPLE = "#009E73", "#7a5195"
COLOURS = {"conv": BLUE, "linear": ORANGE, "pool": GREEN, "block": PURPLE, "join": GREY, "input": INK, "other": GREY}


def architecture(
    model: Any,
    input_shape: tuple[int, ...] | None = None,
    depth: int | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw a network: a box for each layer with the shape of what it makes, lines for what passes.

    Normalisation, activation and dropout stand in the box of the layer that they follow.

    Parameters
    ----------
    model : Module or callable
        The network.
    input_shape : tuple of int, optional
        (N, C, H, W), or (C, H, W) for one image; by default what a network of `fastconv.models` was designed for.
    depth : int, optional
        Draw blocks so many levels below the network as one box each. By default the drawing is as deep as a hundred
        boxes allow.
    path : str or path-like, optional
        Where to save a PNG file.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        When the network does not take such images.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> from fastconv.layers import Conv2d, MaxPool2d, ReLU, Sequential
    >>> figure = architecture(Sequential(Conv2d(3, 8, 3), ReLU(), MaxPool2d(2)), (3, 32, 32))
    >>> [text.get_text() for text in figure.axes[0].texts][3:6]
    ['3x3 conv, 8', 'ReLU', '8 x 30 x 30']
    """
    graph = trace_images(model, input_shape)
    module = model if hasattr(model, "named_modules") else None
    boxes = outline(graph, module, depth)
    deepest = max((node.path.count(".") + 1 for node in graph.nodes), default=1)
    while depth is None and len(boxes) > MOST and deepest > 1:
        deepest -= 1
        boxes = outline(graph, module, deepest)
    title = f"{getattr(model, 'name', '') or type(model).__name__}"
    if module is not None:
        title += f", {sum(parameter.numel() for parameter in model.parameters()):,} parameters"
    return finish(_draw(boxes, title), path)


def _draw(boxes: list[Box], title: str) -> Figure:
    levels, edges = arrange(boxes)
    middles: list[float] = []  # of the levels, from the top
    heights: list[float] = []
    depths = [0.0] * len(edges)
    for row in levels:
        column = row[0].column
        heights.append(max(_height(place.box) for place in row if place.box is not None))
        middles.append(depths[column] + heights[-1] / 2)
        depths[column] += heights[-1] + PITCH
    margin, top = 0.3, 0.75
    width, height = edges[-1][1] + 2 * margin, max(depths) + top + margin
    width = max(width, 0.105 * len(title) + 2 * margin)
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-margin, width - margin), ylim=(height - top, -top))
    axes.axis("off")
    axes.text(0, -0.48, title, size=11, weight="bold", color=INK, va="center")
    for row in levels:
        for place in row:
            for source in place.sources:
                _line(axes, source, place, list(zip(middles, heights, strict=True)), edges, depths)
    for row in levels:
        for place in row:
            if place.box is not None:
                _box(axes, place.box, place.x, middles[place.level])
    return figure


def _texts(box: Box) -> list[str]:
    """What stands in a box: what it is, what follows in it, its shape."""
    first = box.lines[0] if box.kind != "block" else f"{box.lines[0]}  {box.path}"
    shape = " x ".join(map(str, box.shape[1:])) or "1"
    rest = " · ".join(dict.fromkeys(box.lines[1:]))
    if box.kind == "join":
        return [" · ".join([first, *([rest] if rest else [])]), shape]
    return [first, *([rest] if rest else []), shape]


def _height(box: Box | None) -> float:
    return 0.0 if box is None else 2 * PAD + ROW * len(_texts(box))


def _box(axes: Axes, box: Box, x: float, y: float) -> None:
    patches: Any = require("matplotlib.patches", "cli")
    colour, height, texts = COLOURS[box.kind], _height(box), _texts(box)
    face = require("matplotlib.colors", "cli").to_rgb(colour)
    pale = [1 - 0.13 * (1 - part) for part in face]
    style = "round,pad=0,rounding_size=0.05"
    patch = patches.FancyBboxPatch(
        (x - WIDTH / 2, y - height / 2), WIDTH, height, boxstyle=style, facecolor=pale, edgecolor=colour, linewidth=0.9
    )
    axes.add_patch(patch)
    for i, text in enumerate(texts):
        at = y - height / 2 + PAD + ROW * (i + 0.5)
        weight, ink = ("bold", INK) if i == 0 else ("normal", colour if i == len(texts) - 1 else GREY)
        size = min(7.5 if i == 0 else 7, 7.5 * 27 / max(len(text), 1))
        axes.text(x, at, text, ha="center", va="center", size=size, color=ink, weight=weight)


def _line(
    axes: Axes,
    source: Place,
    target: Place,
    levels: list[tuple[float, float]],
    edges: list[tuple[float, float]],
    depths: list[float],
) -> None:
    """Draw the line from a place to one a level below, which may be in the next column."""
    (above, tall), (below, deep) = levels[source.level], levels[target.level]
    points = [(source.x, above + _height(source.box) / 2), (source.x, above + tall / 2 + 0.02)]
    if source.column != target.column:
        gutter = (edges[source.column][1] + edges[target.column][0]) / 2
        low, high = depths[source.column] - PITCH / 2, -0.16
        points += [(source.x, low), (gutter, low), (gutter, high), (target.x, high)]
    end = below - _height(target.box) / 2
    points += [(target.x, below - deep / 2 - 0.06), (target.x, end)]
    axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.9, solid_joinstyle="round", zorder=0)
    if target.box is not None:
        axes.plot(target.x, end - 0.03, marker="v", color=GREY, markersize=3.2, zorder=0.5)
