"""What Sequential runs as one: layers whose results nobody but the next one sees."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.layers._fold import normalised, normed
from fastconv.layers.activation import ReLU, ReLU6
from fastconv.layers.conv import Conv2d
from fastconv.layers.linear import Linear
from fastconv.layers.module import Module
from fastconv.layers.norm import BatchNorm2d
from fastconv.layers.pool import MaxPool2d
from fastconv.tracing import tracing

__all__ = ["Step", "run", "steps_of"]


class Step(NamedTuple):
    """Layers that can be run as one: a Conv2d with the BatchNorm2d and the activation that follow, or with a ReLU and
    maybe a MaxPool2d; a BatchNorm2d with an activation; a Linear with a ReLU; else one alone.
    """

    layer: Module
    relu: Module | None = None
    pool: Module | None = None
    norm: Module | None = None

    def pools_next(self) -> bool:
        """Whether a pool may follow."""
        return self.relu is not None and type(self.layer) is Conv2d and self.norm is None and self.pool is None

    def is_seen(self) -> bool:
        """Whether somebody looks at what goes from one to the next."""
        return tracing() or any(layer is not None and layer._is_hooked() for layer in self)


def steps_of(layers: list[Module]) -> list[Step]:
    """Divide layers that follow each other into steps."""
    steps: list[Step] = []
    for layer in layers:
        last = steps[-1] if steps else Step(layer)
        after_conv = type(last.layer) is Conv2d and last.relu is None
        after_norm = last.relu is None and BatchNorm2d in (type(last.layer), type(last.norm))
        after_linear = type(last.layer) is Linear and last.relu is None
        after_any = after_conv or after_norm or after_linear
        if (after_norm and type(layer) is ReLU6) or (after_any and type(layer) is ReLU):
            steps[-1] = last._replace(relu=layer)
        elif after_conv and type(layer) is BatchNorm2d and last.norm is None:
            steps[-1] = last._replace(norm=layer)
        elif type(layer) is MaxPool2d and not layer.return_indices and last.pools_next():
            steps[-1] = last._replace(pool=layer)
        else:
            steps.append(Step(layer))
    return steps


def run(steps: list[Step], input: Any) -> Any:
    """Return what the layers make of `input`, one after the other."""
    for step in steps:
        layer, relu, pool, norm = step
        if norm is not None:
            input = normed(layer, norm, input, relu)
        elif relu is not None and type(layer) is BatchNorm2d:
            input = normalised(layer, input, relu)
        elif relu is None:
            input = layer(input)
        elif step.is_seen():
            input = relu(layer(input))
            input = input if pool is None else pool(input)
        elif pool is None:
            input = layer(input, activation="relu")
        else:  # rectifying maxima is the same, and less
            input = pool(layer(input), activation="relu")
    return input
