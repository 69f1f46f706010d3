"""A network as a table: what each layer makes, holds, costs and sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from fastconv import checks
from fastconv.graph._fields import fields
from fastconv.graph._table import summary_table, table_text
from fastconv.graph.cost import activation_bytes, macs, peak_bytes
from fastconv.graph.ir import Graph, Node
from fastconv.graph.receptive_field import ReceptiveField, summarise
from fastconv.graph.trace import trace_images
from fastconv.parameter import Parameter

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Row", "Summary", "Totals", "summary"]


@dataclass(frozen=True)
class Row:
    """A layer, or an operation that a block calls by itself (an addition, a concatenation).

    Attributes
    ----------
    path : str
        Path of the layer or block; empty for the network itself.
    kind : str
        Class of the layer, or name of the operation.
    output_shape : tuple of int
        Shape of the result, with the batch.
    parameters : int
        Numbers it learns; those it shares count where they are used first.
    macs : int
        Multiply-adds of convolutions, fully connected layers and matrix products; 0 for all else.
    activation_bytes : int
        Memory of its results; 0 for views.
    receptive_field : ReceptiveField
        What an element of the result sees of the input.
    """

    path: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int
    receptive_field: ReceptiveField


@dataclass(frozen=True)
class Totals:
    """Sums over a network.

    Attributes
    ----------
    parameters, trainable : int
        Numbers in all parameters, and in those that are not frozen.
    unused : int
        Those that no row has, because their layer is not called (auxiliary heads outside training).
    macs : int
        Multiply-adds of one forward pass of the batch.
    parameter_bytes, buffer_bytes : int
        Memory of weights, and of running statistics.
    activation_bytes : int
        Memory of the input and of all results together.
    forward_bytes : int
        Weights, buffers, and the most that results take at once when each goes after its last use.
    training_bytes : int
        Weights, their gradients, buffers, all results (kept for the backward pass) and the gradients of the operation
        that needs most for its own. An optimiser adds what it keeps: once the weights with momentum, twice for Adam.
    """

    parameters: int
    trainable: int
    unused: int
    macs: int
    parameter_bytes: int
    buffer_bytes: int
    activation_bytes: int
    forward_bytes: int
    training_bytes: int


@dataclass(frozen=True)
class Summary:
    """What :func:`summary` returns; ``print`` it, or take it apart.

    Attributes
    ----------
    name : str
        Name of the network, or its class.
    input_shape : tuple of int
        With the batch.
    rows : tuple of Row
        In the order of the calls.
    totals : Totals
        Sums.
    """

    name: str
    input_shape: tuple[int, ...]
    rows: tuple[Row, ...] = field(repr=False)
    totals: Totals

    def to_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists and numbers, as JSON has them."""
        from dataclasses import asdict

        found = asdict(self)
        found["rows"] = list(found["rows"])
        for row in found["rows"]:
            del row["receptive_field"]["spans"]
        return found

    def table(self) -> Table:
        """Return a table for rich's console (``pip install "fastconv[cli]"``)."""
        return summary_table(self)

    def __rich__(self) -> Table:
        return self.table()

    def __str__(self) -> str:
        """The table as text."""
        return table_text(self.table())


def summary(model: Any, input_shape: tuple[int, ...] | None = None, depth: int | None = None) -> Summary:
    """Look at a network, layer by layer, without running it.

    Parameters
    ----------
    model : Module or callable
        The network; it is looked at in evaluation mode and left in the mode it was in.
    input_shape : tuple of int, optional
        (N, C, H, W), or (C, H, W) for one image; by default what a network of `fastconv.models` was designed for.
    depth : int, optional
        Join the rows of blocks so many levels below the network into one.

    Returns
    -------
    Summary
        ``print`` shows a table; ``rows``, ``totals`` and ``to_dict()`` have the numbers.

    Raises
    ------
    ShapeError
        If the network does not take such images; the message names the layer.
    MissingExtraError
        When it is printed and rich is not installed.

    Examples
    --------
    >>> from fastconv.layers import Conv2d, ReLU, Sequential
    >>> found = summary(Sequential(Conv2d(3, 64, 3, padding=1), ReLU()), (1, 3, 224, 224))
    >>> found.rows[0].output_shape, found.totals.parameters, found.totals.macs
    ((1, 64, 224, 224), 1792, 86704128)
    >>> found.rows[0].receptive_field.size
    (3, 3)
    """
    if depth is not None:
        depth = checks.integer(depth, "summary", "depth")
    graph = trace_images(model, input_shape)
    rows = tuple(_rows(graph))
    totals = _totals(model, graph, rows)
    if depth is not None:
        kinds = {path: type(module).__name__ for path, module in model.named_modules()}
        rows = tuple(_joined(rows, depth, kinds))
    return Summary(getattr(model, "name", "") or type(model).__name__, graph.inputs[0].shape, rows, totals)


def _rows(graph: Graph) -> Iterator[Row]:
    known = fields(graph)
    counted: set[Any] = set()

    def call_of(pair: tuple[int, Node]) -> tuple[int, int]:
        """Nodes of one call of a layer that holds no others belong together."""
        number, node = pair
        return (node.call, -1) if node.leaf and node.layer else (node.call, number)

    for _, group in groupby(enumerate(graph.nodes), call_of):
        nodes = [node for _, node in group]
        last = nodes[-1]
        constants = {value for node in nodes for value in node.inputs if isinstance(value.tensor, Parameter)}
        new = constants - counted
        counted |= new
        yield Row(
            last.path,
            last.layer if last.leaf and last.layer else last.op,
            last.output.shape,
            sum(value.size for value in new),
            sum(macs(node) for node in nodes),
            sum(activation_bytes(node) for node in nodes),
            summarise(last.output, known.get(last.output, ()), graph.inputs[0].shape),
        )


def _joined(rows: tuple[Row, ...], depth: int, kinds: dict[str, str]) -> Iterator[Row]:
    """Rows whose paths begin with the same `depth` names, as one."""

    def block(row: Row) -> str:
        return ".".join(row.path.split(".")[:depth])

    for path, group in groupby(rows, block):
        inside = list(group)
        if len(inside) == 1 or not path:
            yield from inside
            continue
        yield replace(
            inside[-1],
            path=path,
            kind=kinds.get(path, inside[-1].kind),
            parameters=sum(row.parameters for row in inside),
            macs=sum(row.macs for row in inside),
            activation_bytes=sum(row.activation_bytes for row in inside),
        )


def _totals(model: Any, graph: Graph, rows: tuple[Row, ...]) -> Totals:
    constants = [value.tensor for value in graph.constants() if value.tensor is not None]
    parameters: list[Any] = [tensor for tensor in constants if isinstance(tensor, Parameter)]
    buffers: list[Any] = [tensor for tensor in constants if not isinstance(tensor, Parameter)]
    if hasattr(model, "parameters"):
        parameters, buffers = list(model.parameters()), list(model.buffers())
    count = sum(p.numel() for p in parameters)
    weights, kept = sum(p.data.nbytes for p in parameters), sum(b.data.nbytes for b in buffers)
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    gradients = sum(p.data.nbytes for p in parameters if p.requires_grad)
    activations = sum(value.nbytes for value in graph.inputs) + sum(row.activation_bytes for row in rows)
    at_once = max(
        (sum(v.nbytes for v in {*node.inputs, *node.outputs} if v.tensor is None) for node in graph.nodes), default=0
    )
    return Totals(
        parameters=count,
        trainable=count - frozen,
        unused=count - sum(row.parameters for row in rows),
        macs=sum(row.macs for row in rows),
        parameter_bytes=weights,
        buffer_bytes=kept,
        activation_bytes=activations,
        forward_bytes=weights + kept + peak_bytes(graph),
        training_bytes=weights + gradients + kept + activations + at_once,
    )
