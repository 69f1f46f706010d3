"""A network seen whole: traced into a small graph of operations, which everything that must see it whole reads."""

from fastconv.graph.ir import Graph, Node, Value
from fastconv.graph.trace import trace

__all__ = ["Graph", "Node", "Value", "trace"]
