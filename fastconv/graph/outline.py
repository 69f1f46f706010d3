"""A graph as people draw it: a box for each layer or block, an arrow for each map that passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from fastconv.graph._steps import family, kernel_of, option
from fastconv.graph.ir import Graph, Node, Value

__all__ = ["Box", "outline"]

_KINDS = {
    "conv": "conv",
    "conv_transpose": "conv",
    "linear": "linear",
    "matmul": "linear",
    "rbf": "linear",
    "locally_connected": "conv",
    "mean": "pool",
    "interpolate": "pool",
    "cat": "join",
    "concat": "join",
    "add": "join",
    "mul": "join",
    "stack": "join",
}
_RANKS = ("conv", "linear", "pool", "join", "other")  # what names a box of several operations
_RESHAPES = {"flatten", "getitem", "permute", "reshape", "squeeze", "transpose", "unsqueeze"}
_WORDS = {"add": "+", "mul": "x", "cat": "concatenate", "concat": "concatenate"}


@dataclass(eq=False, slots=True)
class Box:
    """A layer or block of a drawing.

    Attributes
    ----------
    path : str
        Its path, that of the first layer where several share a box.
    kind : str
        ``input``, ``conv``, ``linear``, ``pool``, ``join``, ``block`` or ``other``.
    lines : list of str
        What it does: ``3x3 conv, 64, /2``, then the layers that follow in the same box.
    shape : tuple of int
        What it makes.
    sources : list of Box
        Where its input comes from.
    level : int
        Longest way from the input.
    """

    path: str
    kind: str
    lines: list[str]
    shape: tuple[int, ...]
    sources: list[Box] = field(default_factory=list)
    level: int = 0


def outline(graph: Graph, model: Any = None, depth: int | None = None) -> list[Box]:
    """Return the boxes of a network in the order they are computed.

    Normalisation, activation and dropout share the box of the layer they follow.

    Parameters
    ----------
    graph : Graph
        The network.
    model : Module, optional
        The same; blocks take the names of its classes.
    depth : int, optional
        Draw what is so many levels below the network, or deeper, as one box a block.
    """
    classes = {} if model is None else {path: type(module).__name__ for path, module in model.named_modules()}
    made: dict[Value, Box] = {value: Box(value.name, "input", [value.name], value.shape) for value in graph.inputs}
    boxes = list(made.values())
    uses = {value: len(nodes) for value, nodes in graph.consumers().items()}
    for value in graph.outputs:
        uses[value] = uses.get(value, 0) + 1

    for path, nodes in _grouped(graph, depth):
        inside = {value for node in nodes for value in node.outputs}
        outer = dict.fromkeys(value for node in nodes for value in node.inputs if value not in inside and value in made)
        sources = list(dict.fromkeys(made[value] for value in outer))
        last = nodes[-1].output
        if not sources:
            continue  # made of constants alone
        if nodes[-1].op in _RESHAPES and len(nodes) == 1:
            made[last] = sources[0]
            continue
        lines, kind = _described(nodes, classes.get(path, nodes[-1].layer), path)
        single = next(iter(outer)) if len(outer) == 1 else None
        if kind == "other" and single is not None and uses[single] == 1 and sources[0].kind != "input":
            sources[0].lines += lines
            made[last] = sources[0]
            continue
        box = Box(path or nodes[-1].op, kind, lines, last.shape, sources, 1 + max(source.level for source in sources))
        boxes.append(box)
        made.update(dict.fromkeys(inside, box))
    return boxes


def _grouped(graph: Graph, depth: int | None) -> Iterator[tuple[str, list[Node]]]:
    """Nodes that share a box: those of a call of a layer, or of a block at `depth`."""

    def key(pair: tuple[int, Node]) -> tuple[str, int]:
        number, node = pair
        names = node.path.split(".")
        if depth is not None and node.path and len(names) >= depth:
            return ".".join(names[:depth]), -1
        return node.path, node.call if node.leaf and node.layer else -2 - number

    for (path, _), group in groupby(enumerate(graph.nodes), key):
        yield path, [node for _, node in group]


def _described(nodes: list[Node], name: str, path: str) -> tuple[list[str], str]:
    """The lines and the kind of a box."""
    if (len(nodes) > 1 and not nodes[-1].leaf) or len({node.path for node in nodes}) > 1:
        return [name], "block"
    node = min(nodes, key=lambda each: _RANKS.index(_kind(each)))
    op, axes = family(node)
    kind = _kind(node)
    if kind == "conv":
        groups = node.arguments.get("groups", 1)
        channels = node.output.shape[1]
        depthwise = groups > 1 and groups == node.arguments["input"].shape[1]
        text = f"{_size(node, axes)} {'depthwise ' if depthwise else ''}{'up-' if 'transpose' in op else ''}conv"
        text += f", {channels}" + (f", {groups} groups" if groups > 1 and not depthwise else "")
        return [text + _steps(node, axes, 1)], kind
    if op.endswith("_pool") and not op.startswith("adaptive"):
        steps = _steps(node, axes, kernel_of(node, 0, axes))
        what = "trainable pool" if name.startswith("TrainablePool") else op.replace("_", " ")
        return [f"{_size(node, axes)} {what}{steps}"], kind
    if op.startswith("adaptive") or op == "mean":
        what = "max" if "max" in op else "mean"
        return [f"{what} over the map" if all(n == 1 for n in node.output.shape[2:]) else f"adaptive {what} pool"], kind
    if op in ("linear", "rbf"):
        return [f"{'RBF' if op == 'rbf' else op}, {node.output.shape[-1]}"], kind
    if kind == "join":
        return [_WORDS.get(node.op, node.op)], kind
    return [_short(node)], kind


def _kind(node: Node) -> str:
    op = family(node)[0]
    return "pool" if op.endswith("_pool") else _KINDS.get(op, "other")


def _size(node: Node, axes: int) -> str:
    return "x".join(str(kernel_of(node, i, axes)) for i in range(axes))


def _steps(node: Node, axes: int, default: int) -> str:
    """Stride and dilation where they are not 1."""
    text = ""
    for name, sign in (("stride", "/"), ("dilation", "dilated ")):
        steps = [option(node, name, i, default if name == "stride" else 1) for i in range(axes)]
        if any(step != 1 for step in steps):
            text += f", {sign}{steps[0] if len(set(steps)) == 1 else 'x'.join(map(str, steps))}"
    return text


def _short(node: Node) -> str:
    return {"batch_norm": "norm", "local_response_norm": "LRN", "relu": "ReLU"}.get(node.op, node.op.replace("_", " "))
