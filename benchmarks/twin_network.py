"""Whole networks in NumPy: the functions that a network's graph names, by their slow twins."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from fastconv import reference
from fastconv.graph import trace
from fastconv.graph.ir import Node, Value
from fastconv.layers import Module
from fastconv.reference.optim import sgd_update

SAME = ("dropout", "stochastic_depth")  # while not training


class TwinNetwork:
    """A network's graph, run on NumPy's arrays.

    Parameters
    ----------
    model : Module
        Traced in the mode it is in; its parameters and buffers are copied.
    images : ndarray
        What it will be given.
    """

    def __init__(self, model: Module, images: np.ndarray) -> None:
        self.graph = trace(model, images.shape)
        self.values: dict[Value, np.ndarray] = {v: v.tensor.numpy().copy() for v in self.graph.constants()}
        self.parameters = {v: self.values[v] for v in self.graph.constants() if v.tensor.requires_grad}
        self.velocities: dict[Value, np.ndarray] = {}

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Return the scores."""
        self.values[self.graph.inputs[0]] = images
        for node in self.graph.nodes:
            if node.op in SAME:
                self.values[node.output] = self.values[node.inputs[0]]
            else:
                function, arrays, options = self._call(node, "")
                self.values[node.output] = function(*arrays, **options)
        return self.values[self.graph.outputs[0]]

    def step(self, images: np.ndarray, labels: np.ndarray, lr: float, momentum: float) -> np.ndarray:
        """Take a step of stochastic gradient descent; return the loss before it."""
        scores = self.forward(images)
        grads = {self.graph.outputs[0]: reference.cross_entropy_grad(1.0, scores, labels)}
        for node in reversed(self.graph.nodes):
            function, arrays, options = self._call(node, "_grad")
            found = function(grads.pop(node.output), *arrays, **options)
            found = found if isinstance(found, (tuple, list)) else (found,)
            for value, grad in zip(self._differentiable(node), found, strict=True):
                grads[value] = grads[value] + grad if value in grads else grad
        for value, parameter in self.parameters.items():
            first = value not in self.velocities
            velocity = self.velocities.setdefault(value, np.empty_like(parameter))
            sgd_update(parameter, grads[value], velocity, lr, momentum, 0.0, 0.0, False, first)
        return reference.cross_entropy(scores, labels)

    def _call(self, node: Node, suffix: str) -> tuple[Any, list[Any], dict[str, Any]]:
        """The twin of a node, its arrays in order, and its options without those that only the kernels have."""
        if node.op == "flatten":
            function = getattr(reference, f"reshape{suffix}")
            return function, [self.values[node.inputs[0]]], {"shape": node.output.shape}
        twin = getattr(reference, node.op)
        known = inspect.signature(twin).parameters
        several = any(
            isinstance(argument, list | tuple) and any(isinstance(each, Value) for each in argument)
            for argument in node.arguments.values()
        )
        arrays = [self.values[value] for value in node.inputs]
        options = {key: value for key, value in node.attributes.items() if key in known}
        if not several:  # by position, as the twins have their own names for arrays
            count = 1 + max(i for i, each in enumerate(node.arguments.values()) if isinstance(each, Value))
            given = list(node.arguments.values())[:count]
            arrays = [self.values[each] if isinstance(each, Value) else each for each in given]
            options = {key: value for key, value in options.items() if key not in list(node.arguments)[:count]}
            if "other" in node.attributes:
                arrays.append(node.attributes["other"])
        return getattr(reference, f"{node.op}{suffix}"), arrays, options

    def _differentiable(self, node: Node) -> list[Value]:
        return [value for name, value in node.named_inputs() if not name.startswith("running_")]
