"""What a traced network is: values, and nodes that compute them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.errors import ShapeError
from fastconv.tensor import Tensor

__all__ = ["Graph", "Node", "Value"]


@dataclass(eq=False, slots=True)
class Value:
    """An array of the graph: an input, a constant, or the result of a node.

    Attributes
    ----------
    name : str
        ``input``, the path of a parameter or buffer, or that of the layer that computed it; for people to read.
    shape : tuple of int
        Length of every axis.
    dtype : numpy.dtype
        Type of the elements.
    node : Node or None
        What computes it.
    tensor : Tensor or None
        The values of a constant: a Parameter, a buffer or an array that the network made by itself.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    node: Node | None = field(default=None, repr=False)
    tensor: Tensor | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.size * self.dtype.itemsize


@dataclass(eq=False, slots=True)
class Node:
    """A call of a function of `fastconv.functional`.

    Attributes
    ----------
    op : str
        Name of the function.
    arguments : dict
        All its arguments by name, defaults filled in; a Value wherever an array belongs, also inside lists.
    outputs : tuple of Value
        What it computes; one, as a rule.
    path : str
        Path of the layer whose ``forward`` made the call, ``features.3``; empty in the network's own.
    layer : str
        Class of that layer.
    call : int
        Which call of a layer it was: equal for the nodes of one call only.
    leaf : bool
        Whether that layer contains no others.
    """

    op: str
    arguments: dict[str, Any]
    outputs: tuple[Value, ...]
    path: str = ""
    layer: str = ""
    call: int = 0
    leaf: bool = True

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The Values among the arguments, in order."""
        return tuple(value for _, value in self.named_inputs())

    def named_inputs(self) -> Iterator[tuple[str, Value]]:
        """Yield the Values among the arguments, with the arguments' names."""
        for name, argument in self.arguments.items():
            for value in argument if isinstance(argument, (tuple, list)) else (argument,):
                if isinstance(value, Value):
                    yield name, value

    @property
    def attributes(self) -> dict[str, Any]:
        """The arguments that hold no array."""
        arrays = {name for name, _ in self.named_inputs()}
        return {name: argument for name, argument in self.arguments.items() if name not in arrays}

    @property
    def output(self) -> Value:
        """The only result, or the first."""
        return self.outputs[0]


@dataclass(eq=False, slots=True)
class Graph:
    """A network as the operations it calls, in the order it calls them.

    Attributes
    ----------
    inputs : tuple of Value
        What the network takes.
    outputs : tuple of Value
        What it returns, from nested tuples, lists and dicts in their order.
    nodes : list of Node
        Each after those whose results it takes.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: list[Node]

    def constants(self) -> list[Value]:
        """Return parameters, buffers and other arrays the network brings along, each once."""
        found = {value: None for node in self.nodes for value in node.inputs if value.tensor is not None}
        found.update({value: None for value in self.outputs if value.tensor is not None})
        return list(found)

    def consumers(self) -> dict[Value, list[Node]]:
        """Return which nodes take each value."""
        found: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(node)
        return found

    def run(self, *inputs: Any) -> tuple[Tensor, ...]:
        """Call the operations again, on real arrays, and return the outputs.

        Parameters
        ----------
        *inputs : array_like
            Of the shapes the network was traced with.

        Raises
        ------
        ShapeError
            If number or shapes differ.
        """
        tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in inputs]
        shapes, wanted = [x.shape for x in tensors], [value.shape for value in self.inputs]
        if shapes != wanted:
            raise ShapeError(f"run: this graph takes inputs of shapes {wanted}, got {shapes}")
        known: dict[Value, Any] = dict(zip(self.inputs, tensors, strict=True))

        def real(argument: Any) -> Any:
            if isinstance(argument, (tuple, list)):
                return type(argument)(real(each) for each in argument)
            if isinstance(argument, Value):
                return known[argument] if argument.tensor is None else argument.tensor
            return argument

        for node in self.nodes:
            result = getattr(functional, node.op)(**{name: real(value) for name, value in node.arguments.items()})
            results = result if isinstance(result, tuple) else (result,)
            known.update(zip(node.outputs, results, strict=True))
        return tuple(real(value) for value in self.outputs)
