"""What Sequential runs as one: layers whose results nobody but the next one sees."""

from __future__ import annotations

from typing import NamedTuple

from fastconv.layers.activation import ReLU
from fastconv.layers.conv import Conv2d
from fastconv.layers.module import Module
from fastconv.layers.pool import MaxPool2d
from fastconv.tracing import tracing

__all__ = ["Step", "steps_of"]


class Step(NamedTuple):
    """Layers that can be run as one: a Conv2d with the ReLU, and maybe the MaxPool2d, that follow; else one alone."""

    layer: Module
    relu: Module | None = None
    pool: Module | None = None

    def is_seen(self) -> bool:
        """Whether somebody looks at what goes from one to the next."""
        return tracing() or any(layer is not None and layer._is_hooked() for layer in self)


def steps_of(layers: list[Module]) -> list[Step]:
    """Divide layers that follow each other into steps."""
    steps: list[Step] = []
    for layer in layers:
        last = steps[-1] if steps else Step(layer)
        if type(layer) is ReLU and type(last.layer) is Conv2d and last.relu is None:
            steps[-1] = last._replace(relu=layer)
        elif type(layer) is MaxPool2d and not layer.return_indices and last.relu is not None and last.pool is None:
            steps[-1] = last._replace(pool=layer)
        else:
            steps.append(Step(layer))
    return steps
