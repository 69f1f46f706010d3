"""What Sequential runs as one: layers whose results nobody but the next one sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple, cast

import numpy as np

from fastconv import functional as F
from fastconv._kernels import channels_last, copy_channels, empty_channels_last
from fastconv.autograd import as_array, is_grad_enabled
from fastconv.layers._fold import FOLLOWING, halves_of, normalised, normed
from fastconv.layers._images import by_images, is_large, is_light
from fastconv.layers.activation import ReLU
from fastconv.layers.conv import Conv2d
from fastconv.layers.linear import Linear
from fastconv.layers.module import Module
from fastconv.layers.norm import BatchNorm2d
from fastconv.layers.pool import MaxPool2d
from fastconv.tensor import wrap
from fastconv.tracing import tracing

__all__ = ["Step", "in_a_row", "run", "side_by_side", "steps_of", "with_shortcut"]


class Step(NamedTuple):
    """Layers that can be run as one: a Conv2d with the BatchNorm2d and the activation that follow, or with a ReLU and
    maybe a MaxPool2d; a depthwise separable convolution with a BatchNorm2d and an activation; a BatchNorm2d with an
    activation; a Linear with a ReLU; else one alone.
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
        normable = after_conv or (last.relu is None and halves_of(last.layer) is not None)
        if (after_norm and type(layer) in FOLLOWING) or (after_any and type(layer) is ReLU):
            steps[-1] = last._replace(relu=layer)
        elif normable and type(layer) is BatchNorm2d and last.norm is None:
            steps[-1] = last._replace(norm=layer)
        elif type(layer) is MaxPool2d and not layer.return_indices and last.pools_next():
            steps[-1] = last._replace(pool=layer)
        else:
            steps.append(Step(layer))
    return steps


def run(steps: Sequence[Step], input: Any, residual: Any = None) -> Any:
    """Return what the layers make of `input`, one after the other, and the `residual` added to it.

    Several large images go through the first layers one by one, as far as those are small and their maps large: what
    one layer writes the next one finds in a cache.
    """
    done = 0
    while done < len(steps):
        if done < len(steps) - 1 and is_large(input):
            light = list(takewhile(is_light, steps[done:-1]))
            if len(light) > 1 or (light and light[0].pool is not None):
                input, more = by_images([partial(_run_step, step) for step in light], input)
                done += more
                continue
        last = done == len(steps) - 1
        input = _run_step(steps[done], input, residual if last else None)
        done += 1
    return input


def _run_step(step: Step, input: Any, residual: Any = None) -> Any:
    layer, relu, pool, norm = step
    if norm is not None:
        return normed(layer, norm, input, relu, residual)
    if relu is not None and type(layer) is BatchNorm2d:
        return normalised(layer, input, relu, residual)
    if residual is not None or relu is None:
        x = layer(input)
        if residual is not None:
            x = x + residual
        return x if relu is None else relu(x)
    if step.is_seen():
        x = relu(layer(input))
        return x if pool is None else pool(x)
    if pool is None:
        return layer(input, activation="relu")
    return pool(layer(input), activation="relu")  # rectifying maxima is the same, and less


def in_a_row(layers: list[Module], input: Any) -> Any:
    """Return what layers in a row make of `input`; for modules that are no Sequential."""
    return run(steps_of(layers), input)


def with_shortcut(layer: Module, input: Any, shortcut: Any) -> Any:
    """Return ``layer(input) + shortcut``, the sum done by the last convolution inside where no hook would see it."""
    steps = [] if tracing() else steps_of(row_of(layer))
    if len(steps) < 2 or steps[-1].relu is not None or steps[-1].pool is not None:
        return layer(input) + shortcut
    return run(steps, input, shortcut)


def row_of(module: Module) -> list[Module]:
    """Return what a module runs in a row, if its very class names that, and the last of them likewise; else itself."""
    named = vars(type(module)).get("_in_a_row")
    if named is None or module._is_hooked():
        return [module]
    row = [getattr(module, name) for name in named] or list(cast("Iterable[Module]", module))
    return row if len(row) < 2 else [*row[:-1], *row_of(row[-1])]


def side_by_side(rows: Sequence[list[Module]], inputs: Sequence[Any]) -> Any:
    """Return what rows of layers make of `inputs`, one for each row, joined along the channels.

    Where nothing is recorded, and no hook would see it, the convolutions that rows end with write to their places in
    the result.
    """
    plain = is_grad_enabled() or tracing() or any(np.ndim(x) != 4 for x in inputs)
    divided = [] if plain else [steps_of([*row[:-1], *row_of(row[-1])]) for row in rows]
    if not any(steps and _ends(steps[-1]) for steps in divided):
        return F.cat([in_a_row(row, x) for row, x in zip(rows, inputs, strict=True)], 1)
    parts: list[tuple[Any, Any, tuple[int, ...]]] = []  # the last convolution or None, its input or the result, a shape
    for steps, x in zip(divided, inputs, strict=True):
        last: Any = steps[-1] if steps and _ends(steps[-1]) else None
        x = run(steps if last is None else steps[:-1], x)
        parts.append((last, x, np.shape(x) if last is None else last.layer.output_shape(np.shape(x))))
    n, _, *size = parts[0][2]
    if any((batch, *rest) != (n, *size) for _, _, (batch, _, *rest) in parts):
        return F.cat([x if last is None else run([last], x) for last, x, _ in parts], 1)
    dtype = next(last.layer.weight.dtype for last, _, _ in parts if last is not None)
    whole = empty_channels_last((n, sum(shape[1] for _, _, shape in parts), *size), dtype)
    end = 0
    for last, x, shape in parts:
        place, end = whole[:, end : end + shape[1]], end + shape[1]
        if last is None:
            copy_channels(channels_last(as_array(x, "cat", "tensors")), place)
        elif last.norm is not None:
            normed(last.layer, last.norm, x, last.relu, out=place)
        else:
            last.layer(x, activation=None if last.relu is None else "relu", out=place)
    return wrap(whole)


def _ends(step: Step) -> bool:
    """Whether a step is a convolution that may write anywhere."""
    return type(step.layer) is Conv2d and step.pool is None and not step.is_seen()
