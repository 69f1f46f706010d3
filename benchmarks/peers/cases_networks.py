"""Every distinct convolution of the classic networks, as the networks' own graphs have them."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

from benchmarks.peers.cases import Case, Goal

# Networks and the size of their images.
NETWORKS = {
    "alexnet": 224,
    "vgg16": 224,
    "googlenet": 224,
    "inception_v3": 299,
    "resnet18": 224,
    "resnet50": 224,
    "densenet121": 224,
    "mobilenet_v1": 224,
    "mobilenet_v2": 224,
}
FORWARD = Goal("ratio", 0.9)
BACKWARD = Goal("ratio", 1.0)

Layer = tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[str, Any], ...]]


def _short(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value[0] == value[1] else value


@cache
def layers() -> tuple[Layer, ...]:
    """Input shape without the batch, weight shape and options of every convolution, each once."""
    from fastconv import models  # the other libraries' processes do not come here
    from fastconv.graph import trace

    found: dict[Layer, None] = {}
    for name, size in NETWORKS.items():
        for node in trace(models.create(name).eval(), (1, 3, size, size)).nodes:
            if node.op == "conv2d":
                given = node.arguments
                options = (("stride", (1, 1)), ("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1))
                chosen = tuple((key, _short(given[key])) for key, default in options if given[key] != default)
                found[given["input"].shape[1:], given["weight"].shape, chosen] = None
    return tuple(found)


def kind(shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any]) -> str:
    """The class of layers whose mean is judged together."""
    if options.get("groups", 1) == shape[0]:
        return "depthwise"
    if weight[2:] == (1, 1):
        return "1x1"
    if weight[2:] != (3, 3) or "stride" in options or min(shape[0], weight[0]) < 64:
        return "other"
    return "3x3, 28² and larger" if min(shape[1:]) >= 28 else "3x3, 14² and about" if min(shape[1:]) >= 12 else "other"


def _name(shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any]) -> str:
    size = f"{shape[1]}²" if shape[1] == shape[2] else f"{shape[1]}x{shape[2]}"
    steps = f" s{options['stride']}" if "stride" in options else ""
    groups = f" g{options['groups']}" if "groups" in options else ""
    return f"{weight[2]}x{weight[3]}{steps}{groups} {size} {shape[0]}→{weight[0]}"


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def layer_cases(batch: int, mode: str) -> list[Case]:
    """All layers for a number of images; mode "forward" or "backward"."""
    cases = []
    for shape, weight, chosen in layers():
        options = dict(chosen)
        pad, stride = (_pair(options.get(key, value)) for key, value in (("padding", 0), ("stride", 1)))
        out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape[1:], pad, weight[2:], stride, strict=True)]
        case = Case(
            _name(shape, weight, options),
            "conv2d",
            mode,
            ((batch, *shape), weight, weight[:1]),
            options,
            flops=2.0 * batch * math.prod(out) * math.prod(weight) * (2 if mode == "backward" else 1),
            goals=(BACKWARD if mode == "backward" else FORWARD,),
            kind=kind(shape, weight, options),
        )
        cases.append(case)
    return cases


LAYER_GROUPS = {
    "layers": partial(layer_cases, 1, "forward"),
    "layers8": partial(layer_cases, 8, "forward"),
    "layers_grad": partial(layer_cases, 1, "backward"),
    "layers8_grad": partial(layer_cases, 8, "backward"),
}
