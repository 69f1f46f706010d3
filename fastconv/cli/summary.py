"""``fastconv summary``: a network, or several, as tables."""

from __future__ import annotations

import click
from rich.table import Table

from fastconv.cli.common import print_json, stdout
from fastconv.cli.networks import input_option, made, variant_option
from fastconv.graph._table import table_text
from fastconv.graph.blocks import block_summary, comparison
from fastconv.graph.summary import Summary, summary

__all__ = ["command"]

# What texts compute by hand: a bottleneck, a separable convolution, two small kernels for a large one.
CLASSICAL = (
    ("192 -> 5x5 32", "192 -> 1x1 16 -> 5x5 32", "192 -> dw5x5 -> 1x1 32"),
    ("64 -> 5x5 64", "64 -> 3x3 64 -> 3x3 64"),
)


@click.argument("networks", metavar="NETWORK...", nargs=-1)
@input_option
@variant_option
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Join the layers of blocks N levels down.")
@click.option("--compare", is_flag=True, help="Print a line for each NETWORK; without any, what textbooks compare.")
@click.option(
    "--size", type=click.IntRange(1), metavar="N", default=28, show_default=True, help="Pixels a side, of blocks."
)
def command(
    networks: tuple[str, ...],
    input_shape: tuple[int, ...] | None,
    variant: str | None,
    depth: int | None,
    compare: bool,
    size: int,
    seed: int,
    as_json: bool,
) -> None:
    """Print the layers of NETWORK: outputs, parameters, multiply-adds, memory, receptive fields.

    NETWORK is a name, such as resnet50, or a block of convolutions, such as "192 -> 1x1 16 -> 5x5 32": the channels
    of its input, then kernels with their channels; 3x3/2 has stride 2, dw3x3 is depthwise.

    "field" is the side of what an element sees of the input, "jump" the pixels from one element's field to the next,
    "start" the centre of the first.
    """
    if not networks and not compare:
        raise click.UsageError("Missing argument 'NETWORK...'.")
    groups = (networks,) if networks else CLASSICAL
    found = [[_summary(name, input_shape, variant, depth, size) for name in names] for names in groups]
    if as_json:
        documents = [
            {"network": name, **each.to_dict()}
            for names, summaries in zip(groups, found, strict=True)
            for name, each in zip(names, summaries, strict=True)
        ]
        print_json(documents if compare or len(documents) > 1 else documents[0])
    elif compare:
        for names, summaries in zip(groups, found, strict=True):
            _print(comparison(names, summaries))
    else:
        for each in found[0]:
            _print(each.table())


def _summary(
    name: str, input_shape: tuple[int, ...] | None, variant: str | None, depth: int | None, size: int
) -> Summary:
    if "->" in name:
        return block_summary(name, size)
    model, shape = made(name, variant, input_shape)
    return summary(model, shape, depth)


def _print(table: Table) -> None:
    """Print to a terminal as it is wide, else as wide as the table is."""
    console = stdout()
    if console.is_terminal:
        console.print(table)
    else:
        click.echo(table_text(table))
