"""One look for all figures: sizes, colours, and how they are made and saved."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from fastconv.errors import require
from fastconv.serialization import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and orange of Okabe and Ito (2008): told apart by people with any kind of colour vision.
BLUE, ORANGE, INK, GREY, RULE = "#0072B2", "#D55E00", "#222222", "#6b6b6b", "#dddddd"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, drawn by Agg, known to nobody else.

    Axes are placed by hand: an automatic layout would draw everything twice.
    """
    figure = require("matplotlib.figure", "cli").Figure(figsize=(width, height), facecolor="white")
    require("matplotlib.backends.backend_agg", "cli").FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, **options: Any) -> None:
    """Take away the box, keep thin axes and a horizontal grid; ``options`` go to ``axes.set``."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set(**options)
    axes.title.set(color=INK, size=11, weight="bold")


def finish(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """Save ``figure`` as a PNG file, atomically, when there is a path; return it."""
    if path is not None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
        write_atomically(path, buffer.getvalue())
    return figure
