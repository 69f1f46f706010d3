"""PyTorch, in each of its memory layouts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run, _torch_network

FORMATS = {
    4: {"nchw": torch.contiguous_format, "channels_last": torch.channels_last},
    5: {"ncdhw": torch.contiguous_format, "channels_last": torch.channels_last_3d},
}


def version() -> str:
    """PyTorch's."""
    return str(torch.__version__)


def prepare(case: Case, threads: int, only: str | None = None) -> dict[str, Run]:
    """Both layouts of images; oneDNN's own blocked one for convolutions; compiled forms if asked for. Or one layout."""
    torch.set_num_threads(threads)
    if case.mode == "update":
        return _update(case)
    prepare_one = {"lenet5": _lenet, "network": _torch_network.prepare}.get(case.op, _function)
    formats = FORMATS.get(len(case.shapes[0]), {"": torch.contiguous_format})
    if only is not None:
        return {only: prepare_one(case, formats[only])}
    runs = {name: prepare_one(case, layout) for name, layout in formats.items()}
    if case.op == "conv2d" and case.mode == "forward" and not {"groups", "dilation"} & case.options.keys():
        runs["blocked"] = _blocked(case)
    if os.environ.get("FASTCONV_PEERS_COMPILE") and case.mode in ("forward", "step"):
        for name, layout in formats.items():
            runs[f"compiled {name}".strip()] = prepare_one(case, layout, compiled=True)
    return runs


def _tensor(array: np.ndarray, layout: torch.memory_format) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.contiguous(memory_format=layout) if array.ndim in FORMATS else tensor


def _arrays(tensors: Sequence[torch.Tensor | None]) -> list[np.ndarray]:
    return [tensor.detach().numpy() for tensor in tensors if tensor is not None]


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _find(op: str) -> Any:
    """Return the function itself rather than Python's wrapper around it, where there is one."""
    if op in ("relu", "sigmoid", "tanh", "max_pool2d", "conv2d"):
        return getattr(torch, op)
    return getattr(nn.functional, op)


def _update(case: Case) -> dict[str, Run]:
    """Each way PyTorch has of updating many parameters; not every optimiser has every one."""

    def prepare_one(**way: bool) -> Run:
        params = [nn.Parameter(torch.from_numpy(array)) for array in case.arrays()]
        for p in params:
            p.grad = torch.from_numpy(case.gradient(tuple(p.shape)))
        step = getattr(torch.optim, case.op)(params, **case.options, **way).step
        return Run(step, lambda: [step(), step(), *(p.detach().numpy().copy() for p in params)][2:])

    ways = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    has_fused = case.op in ("SGD", "Adam", "AdamW", "Adagrad")
    return {name: prepare_one(**way) for name, way in ways.items() if name != "fused" or has_fused}


def _function(case: Case, layout: torch.memory_format, compiled: bool = False) -> Run:
    x, *weights = case.arrays()
    inputs: list[Any] = [_tensor(x, layout), *(nn.Parameter(_tensor(w, layout)) for w in weights)]
    if case.classes:
        inputs.append(torch.from_numpy(case.labels()))
    function = _find(case.op)
    args, options = case.arguments(inputs)
    call = partial(torch.compile(function) if compiled else function, *args, **options)
    if case.mode == "forward":
        return Run(call, lambda: _arrays([call()]), torch.inference_mode())
    inputs[0].requires_grad_()
    if case.mode == "tape":
        return Run(call, lambda: _arrays([call()]))
    out = call()
    grad = _tensor(case.gradient(tuple(out.shape)), layout)
    leaves = [tensor for tensor in inputs if tensor.requires_grad]
    if case.mode == "both":
        both = partial(_forward_and_backward, call, leaves, grad)
        return Run(both, lambda: _arrays(both()))
    if all(type(source).__name__ == "AccumulateGrad" for source, _ in out.grad_fn.next_functions if source):
        backward = partial(out.grad_fn, grad)
    else:  # a function made of several, such as linear, needs the walk
        backward = partial(torch.autograd.grad, out, leaves, grad, retain_graph=True)

    def gradients() -> list[np.ndarray]:
        found = backward()
        return _arrays(found if isinstance(found, tuple) else [found])

    return Run(backward, gradients, torch.no_grad())


def _forward_and_backward(call: Any, leaves: list[torch.Tensor], grad: torch.Tensor) -> Sequence[torch.Tensor]:
    return torch.autograd.grad(call(), leaves, grad)


def _blocked(case: Case) -> Run:
    """oneDNN's own layout on both sides and packed weights, as inside a network converted by torch.utils.mkldnn."""
    x, w, *b = (torch.from_numpy(a) for a in case.arrays())
    stride, padding = _pair(case.options.get("stride", 1)), _pair(case.options.get("padding", 0))
    channels = x.shape[1]
    identity = torch.eye(channels).reshape(channels, channels, 1, 1)
    # Only oneDNN knows the layout: the result of a convolution has it, here of one that changes nothing.
    images = torch.mkldnn_convolution(x.to_mkldnn(), identity.to_mkldnn(), None, [0, 0], [1, 1], [1, 1], 1)
    packed = torch._C._nn.mkldnn_reorder_conv2d_weight(w.to_mkldnn(), padding, stride, [1, 1], 1, list(x.shape))
    bias = b[0].to_mkldnn() if b else None
    call = partial(torch.mkldnn_convolution, images, packed, bias, padding, stride, [1, 1], 1)
    return Run(call, lambda: _arrays([call().to_dense()]), torch.inference_mode())


def _lenet5(weights: Sequence[np.ndarray], layout: torch.memory_format) -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    with torch.no_grad():
        for parameter, values in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(values))
    return model.to(memory_format=layout)


def _lenet(case: Case, layout: torch.memory_format, compiled: bool = False) -> Run:
    x, *weights = case.arrays()
    model = _lenet5(weights, layout)
    images = _tensor(x, layout)
    if case.mode == "forward":
        call = partial(torch.compile(model) if compiled else model, images)
        return Run(call, lambda: _arrays([call()]), torch.inference_mode())
    labels = torch.from_numpy(case.labels())
    sgd = torch.optim.SGD(model.parameters(), fused=True, **case.options)

    def compute_loss() -> torch.Tensor:
        return nn.functional.cross_entropy(model(images), labels)

    forward = torch.compile(compute_loss) if compiled else compute_loss

    def step() -> torch.Tensor:
        sgd.zero_grad()
        loss = forward()
        loss.backward()
        sgd.step()
        return loss

    def two_steps() -> list[np.ndarray]:
        losses = [step().detach().numpy(), step().detach().numpy()]
        return [*losses, *(p.detach().numpy().copy() for p in model.parameters())]

    return Run(step, two_steps)
