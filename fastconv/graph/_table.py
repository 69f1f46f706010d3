"""Summaries as tables for rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastconv.errors import require

if TYPE_CHECKING:
    from rich.table import Table

    from fastconv.graph.receptive_field import ReceptiveField

_PREFIXES = "kMGTP"

__all__ = ["amount", "field_text", "shape_text", "summary_table", "table_text"]


def amount(number: float, unit: str = "") -> str:
    """Return a number with three digits and a prefix: ``1.23 G``.

    Examples
    --------
    >>> amount(4_089_184_256), amount(3_211_264 * 4, "B"), amount(12)
    ('4.09 G', '12.8 MB', '12')
    """
    if number < 1000:
        return f"{number:.0f} {unit}".rstrip()
    power = 1
    while number >= 999.5 * 1000**power and power < len(_PREFIXES):
        power += 1
    number /= 1000**power
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f} {_PREFIXES[power - 1]}{unit}"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape without its batch: ``64 x 112 x 112``."""
    return " x ".join(str(n) for n in shape[1:]) or "-"


def field_text(found: ReceptiveField, image: tuple[int, ...]) -> tuple[str, str, str]:
    """Return size, jump and start; one number where all axes have the same."""

    def text(numbers: tuple[Any, ...]) -> str:
        shown = ["-" if n is None else f"{n:g}" for n in numbers]
        return "" if not shown else shown[0] if len(set(shown)) == 1 else " x ".join(shown)

    whole = found.size and found.size == image[2:] and all(start is None for start in found.start)
    return "all" if whole else text(found.size), text(found.jump), text(found.start)


def table_text(table: Table) -> str:
    """Return a table as plain text, as wide as it needs to be."""
    console = require("rich.console", "cli").Console(width=200, color_system=None, force_jupyter=False)
    with console.capture() as text:
        console.print(table)
    return "\n".join(line.rstrip() for line in text.get().splitlines())


def summary_table(found: Any) -> Table:
    """Return the table of a Summary: a row for each layer, and the totals below."""
    totals = found.totals
    caption = [
        f"{totals.parameters:,} parameters ({amount(totals.parameter_bytes, 'B')}), "
        f"{amount(totals.macs)} multiply-adds",
        f"memory: {amount(totals.forward_bytes, 'B')} forward, {amount(totals.training_bytes, 'B')} training "
        "(without the optimiser's)",
    ]
    if totals.trainable < totals.parameters:
        caption.insert(1, f"{totals.trainable:,} of the parameters are trained, the others frozen")
    if totals.unused:
        caption.insert(1, f"{totals.unused:,} of the parameters are in layers that were not called")
    table = require("rich.table", "cli").Table(
        title=f"{found.name}, input {' x '.join(map(str, found.input_shape))}",
        caption="\n".join(caption),
        title_justify="left",
        caption_justify="left",
        caption_style="",
        title_style="bold",
        box=require("rich.box", "cli").SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("layer", overflow="fold")
    table.add_column("kind")
    for head in ("output", "parameters", "MACs", "memory", "field", "jump", "start"):
        table.add_column(head, justify="right", no_wrap=head != "output")
    for row in found.rows:
        table.add_row(
            row.path,
            row.kind,
            shape_text(row.output_shape),
            f"{row.parameters:,}" if row.parameters else "",
            amount(row.macs) if row.macs else "",
            amount(row.activation_bytes, "B") if row.activation_bytes else "",
            *field_text(row.receptive_field, found.input_shape),
        )
    return table
