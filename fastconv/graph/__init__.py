"""A network seen whole: traced into a small graph of operations, which everything that must see it whole reads."""

from fastconv.graph.blocks import block, block_summary
from fastconv.graph.ir import Graph, Node, Value
from fastconv.graph.receptive_field import ReceptiveField, output_size, receptive_field
from fastconv.graph.summary import Summary, summary
from fastconv.graph.trace import trace

__all__ = [
    "Graph",
    "Node",
    "ReceptiveField",
    "Summary",
    "Value",
    "block",
    "block_summary",
    "output_size",
    "receptive_field",
    "summary",
    "trace",
]
