"""A network as PyTorch would have it, of the program that `cases_models` writes."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run, training_steps
from tests.networks import fill

# Functions that nn.functional wraps, or has not.
FUNCTIONS: dict[str, Any] = {
    "add": operator.add,
    "cat": torch.cat,
    "flatten": torch.flatten,
    "getitem": operator.getitem,
    "max_pool2d": torch.max_pool2d,
    "mul": operator.mul,
    "sigmoid": torch.sigmoid,
}
# What torchvision does in place, where nobody else takes the input; sums as well.
IN_PLACE = ("relu", "relu6", "hardswish", "silu")


def build(program: dict[str, Any], layout: torch.memory_format) -> nn.Module:
    """Return a module that makes the program's calls, in code that torch.fx writes, as torch.compile likes it."""
    root, graph = nn.Module(), fx.Graph()
    names: dict[str, str] = {}
    for key, shape in program["states"].items():
        array = torch.from_numpy(fill(key, tuple(shape)))
        names[key] = key.replace(".", "_")
        if key in program["trained"]:
            root.register_parameter(names[key], nn.Parameter(array))
        else:
            root.register_buffer(names[key], array)
    values = [graph.placeholder("images")]

    def real(argument: Any) -> Any:
        if isinstance(argument, list):
            return tuple(real(each) for each in argument)
        if isinstance(argument, dict):
            kind, value = next(iter(argument.items()))
            if kind == "state":
                return graph.get_attr(names[value])
            return values[value] if kind == "value" else slice(*value)
        return argument

    for step in program["steps"]:
        op, arguments = step["op"], {name: real(value) for name, value in step["arguments"].items()}
        if op in FUNCTIONS:
            function = operator.iadd if op == "add" and step["alone"] else FUNCTIONS[op]
            values.append(graph.call_function(function, tuple(arguments.values())))
        else:
            in_place = {"inplace": True} if op in IN_PLACE and step["alone"] else {}
            values.append(graph.call_function(getattr(nn.functional, op), (), {**arguments, **in_place}))
    outputs = tuple(values[place] for place in program["outputs"])
    graph.output(outputs if len(outputs) > 1 else outputs[0])
    return fx.GraphModule(root, graph).to(memory_format=layout)


def prepare(case: Case, layout: torch.memory_format, compiled: bool = False) -> Run:
    """Forward without a tape, or training steps."""
    module = build(case.program, layout)
    images = torch.from_numpy(case.arrays()[0]).contiguous(memory_format=layout)
    model = torch.compile(module) if compiled else module
    if case.mode == "forward":
        call = partial(model, images)
        return Run(call, lambda: [call().numpy()], torch.inference_mode())
    labels = torch.from_numpy(case.labels())
    options = {key: value for key, value in case.options.items() if key != "network"}
    sgd = torch.optim.SGD(module.parameters(), fused=True, **options)
    return training_steps(model, sgd, images, labels, nn.functional.cross_entropy, case.program["aux_weight"])
