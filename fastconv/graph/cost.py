"""What operations cost: multiplications, and memory."""

from __future__ import annotations

import math

from fastconv.graph.ir import Graph, Node, Value

__all__ = ["activation_bytes", "macs", "peak_bytes"]

# Results that share their input's memory: NumPy views, and what does nothing.
_VIEWS = {"center_crop", "flatten", "getitem", "permute", "reshape", "squeeze", "transpose", "unsqueeze"}


def macs(node: Node) -> int:
    """Return the multiply-adds of a convolution, fully connected layer or matrix product; 0 for anything else.

    Biases are not counted, nor what faster algorithms save.
    """
    arguments = node.arguments
    if node.op == "matmul":
        return node.output.size * arguments["input"].shape[-1]
    if node.op.startswith("conv_transpose"):
        return arguments["input"].size * math.prod(arguments["weight"].shape[1:])
    if node.op.startswith("locally_connected"):
        return node.output.size * math.prod(arguments["weight"].shape[-3:])
    if node.op.startswith("conv") or node.op == "linear":
        return node.output.size * math.prod(arguments["weight"].shape[1:])
    return 0


def is_view(node: Node) -> bool:
    """Whether a node's result takes no memory of its own."""
    dropout_at_rest = "dropout" in node.op and not node.arguments.get("training")
    return node.op in _VIEWS or dropout_at_rest


def activation_bytes(node: Node) -> int:
    """Return the bytes of memory a node's results take."""
    return 0 if is_view(node) else sum(value.nbytes for value in node.outputs)


def peak_bytes(graph: Graph) -> int:
    """Return the most memory that activations take at once when each goes with its last use, as in inference."""
    owner: dict[Value, Value] = {value: value for value in graph.inputs}
    for node in graph.nodes:
        base = node.inputs[0] if is_view(node) else None
        owner.update({value: owner.get(base, value) if base is not None else value for value in node.outputs})
    last = {owner[value]: i for i, node in enumerate(graph.nodes) for value in node.inputs if value in owner}
    kept = {owner[value] for value in graph.outputs if value in owner}
    live = peak = sum(value.nbytes for value in graph.inputs)
    for i, node in enumerate(graph.nodes):
        live += activation_bytes(node)
        peak = max(peak, live)
        done = {owner[v] for v in (*node.inputs, *node.outputs) if v in owner}
        live -= sum(v.nbytes for v in done if last.get(v, i) <= i and v not in kept)
    return peak
