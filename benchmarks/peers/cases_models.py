"""Whole networks: their use on one image and on eight, and training steps."""

from __future__ import annotations

from functools import cache
from typing import Any

from benchmarks.peers.cases import Case, Goal

# One or two of each family, for the forward; networks and batch sizes of training steps.
FORWARD = (
    "alexnet",
    "vgg16",
    "googlenet",
    "inception_v3",
    "resnet18",
    "resnet50",
    "densenet121",
    "squeezenet1_1",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "xception",
)
STEPS = {"resnet18": 16, "mobilenet_v2": 16, "resnet50": 8, "googlenet": 8, "vgg16": 4, "densenet121": 4}
SGD = {"lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4}
FORWARD_GOALS = (Goal("mean", 1.6, 2),)
STEP_GOALS = (Goal("mean", 1.4, 2), Goal("ratio", 1.1, 2), Goal("memory", 1.0))
# What does not change what is computed, or is not the peer's to be told.
OURS = {"algorithm", "activation", "residual", "inplace", "out", "padding_mode", "return_indices", "rng"}


def _plain(argument: Any, states: dict[str, tuple[int, ...]], places: dict[Any, int]) -> Any:
    """Return an argument as plain values: a value of the graph by its place, a parameter by its key."""
    from fastconv.graph.ir import Value

    if isinstance(argument, Value):
        if argument.tensor is None:
            return {"value": places[argument]}
        states[argument.name] = argument.shape
        return {"state": argument.name}
    if isinstance(argument, slice):
        return {"slice": [argument.start, argument.stop, argument.step]}
    if isinstance(argument, (tuple, list)):
        return [_plain(each, states, places) for each in argument]
    return argument


@cache
def program(name: str, training: bool) -> dict[str, Any]:
    """Return what a network computes on any number of images, of plain values, for a peer to build it of.

    A value is a place: 0 for the images, i + 1 for the result of step i. A step is `alone` where no other takes its
    first input. Dropout is left out.
    """
    from fastconv import init, models  # the other libraries' processes do not come here
    from fastconv.graph import trace

    with init.skipped():
        model = models.create(name).train(training)
    graph = trace(model, (2, *models.input_shape(name)))
    states: dict[str, tuple[int, ...]] = {}
    places = {graph.inputs[0]: 0}
    steps: list[dict[str, Any]] = []
    consumers = graph.consumers()
    for node in graph.nodes:
        if node.op in ("dropout", "stochastic_depth"):
            places[node.output] = places[node.arguments["input"]]
            continue
        given = {key: _plain(value, states, places) for key, value in node.arguments.items() if key not in OURS}
        source = node.arguments.get("input")
        alone = source is not None and source.node is not None and len(consumers[source]) == 1
        steps.append({"op": node.op, "arguments": given, "alone": alone})
        places[node.output] = len(steps)
    return {
        "steps": steps,
        "outputs": [places[value] for value in graph.outputs],
        "states": {key: list(shape) for key, shape in states.items()},
        "trained": [key for key, _ in model.named_parameters()],
        "aux_weight": model.aux_weight,
    }


def network_case(network: str, batch: int, mode: str) -> Case:
    """A network's "forward" or "step" on a number of images."""
    from fastconv.models import input_shape

    forward = mode == "forward"
    images = f"{batch} image{'s' * (batch > 1)}"
    return Case(
        f"{network}, {'forward' if forward else 'step'}, {images}",
        "network",
        mode,
        ((batch, *input_shape(network)),),
        {"network": network} if forward else {"network": network, **SGD},
        classes=0 if forward else 1000,
        goals=FORWARD_GOALS if forward else STEP_GOALS,
        kind="forward" if forward else "training step",
        program=program(network, not forward),
    )


def network_cases() -> list[Case]:
    """All of them."""
    forward = [network_case(network, batch, "forward") for batch in (1, 8) for network in FORWARD]
    return forward + [network_case(network, batch, "step") for network, batch in STEPS.items()]
