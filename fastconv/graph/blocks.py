"""Blocks of convolutions written in a line, and networks beside each other: what textbooks compare by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastconv import checks
from fastconv.errors import require
from fastconv.graph._table import amount, field_text, shape_text
from fastconv.graph.summary import Summary, summary
from fastconv.init import skipped
from fastconv.layers import Conv2d, Sequential

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["block", "block_summary", "comparison"]

_STEP = re.compile(r"(?P<depthwise>dw)?(?P<height>\d+)x(?P<width>\d+)(/(?P<stride>\d+))?( (?P<channels>\d+))?")
_GRAMMAR = '"192 -> 1x1 16 -> 5x5 32": input channels, then kernels and channels; 3x3/2 strides, dw3x3 is depthwise'


def block(text: str) -> Sequential:
    """Return convolutions after each other, without biases, padded by half their kernels.

    Parameters
    ----------
    text : str
        ``"192 -> 1x1 16 -> 5x5 32"``: the channels of the input, then for each convolution its kernel and its channels.
        ``3x3/2 64`` has stride 2, ``dw3x3`` is depthwise and keeps the channels.

    Raises
    ------
    ValueError
        If the text is none of that.

    Examples
    --------
    >>> block("192 -> dw5x5 -> 1x1 32")
    Sequential(
      (0): Conv2d(192, 192, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=192, bias=False)
      (1): Conv2d(192, 32, kernel_size=(1, 1), stride=(1, 1), bias=False)
    )
    """
    first, *steps = (part.strip() for part in text.split("->"))
    if not first.isdecimal() or not steps:
        raise ValueError(f"block: expected {_GRAMMAR}; got {text!r}")
    channels = checks.integer(int(first), "block", "channels")
    layers = Sequential()
    for step in steps:
        found = _STEP.fullmatch(step)
        if found is None or bool(found["depthwise"]) == bool(found["channels"]):
            raise ValueError(f"block: {step!r} is no convolution; expected {_GRAMMAR}")
        kernel = int(found["height"]), int(found["width"])
        width = channels if found["depthwise"] else int(found["channels"])
        with skipped():
            layers.append(
                Conv2d(
                    channels,
                    width,
                    kernel,
                    int(found["stride"] or 1),
                    (kernel[0] // 2, kernel[1] // 2),
                    groups=channels if found["depthwise"] else 1,
                    bias=False,
                )
            )
        channels = width
    return layers


def block_summary(text: str, size: int = 28) -> Summary:
    """Return the summary of a block for one image of `size` x `size` pixels.

    Examples
    --------
    >>> block_summary("192 -> 5x5 32").totals.macs, block_summary("192 -> 1x1 16 -> 5x5 32").totals.macs
    (120422400, 12443648)
    """
    made = block(text)
    size = checks.integer(size, "block_summary", "size")
    return summary(made, (1, made[0].in_channels, size, size))


def comparison(names: Sequence[str], found: Sequence[Summary]) -> Table:
    """Return a table for rich's console: networks below each other, costs also as shares of the first one's."""
    table = require("rich.table", "cli").Table(box=require("rich.box", "cli").SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for head in ("output", "parameters", "of first", "MACs", "of first", "memory", "field"):
        table.add_column(head, justify="right", no_wrap=True)
    first = found[0].totals
    for name, each in zip(names, found, strict=True):
        totals, last = each.totals, each.rows[-1]
        table.add_row(
            name,
            shape_text(last.output_shape),
            f"{totals.parameters:,}",
            _share(totals.parameters, first.parameters),
            amount(totals.macs),
            _share(totals.macs, first.macs),
            amount(totals.forward_bytes, "B"),
            field_text(last.receptive_field, each.input_shape)[0],
        )
    return table


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""
