"""The groups of cases that the command line names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from benchmarks.peers.cases import Case, Goal, conv, lenet
from benchmarks.peers.cases_conv import other_cases
from benchmarks.peers.cases_layers import activation_cases, loss_cases, norm_cases
from benchmarks.peers.cases_models import network_cases
from benchmarks.peers.cases_networks import LAYER_GROUPS
from benchmarks.peers.cases_optim import optim_cases
from benchmarks.peers.cases_pool import pool_cases

# (name, input channels, size, output channels, kernel, stride), and the goal for the direct algorithm's share of the
# FMA peak on one thread, 0 for none: the layers that the kernels were designed by.
LAYERS = (
    ("3x3 56² 64→64", 64, 56, 64, 3, 1, 0.85),
    ("3x3 112² 128→128", 128, 112, 128, 3, 1, 0),
    ("3x3 28² 128→128", 128, 28, 128, 3, 1, 0.85),
    ("3x3 56² 256→256", 256, 56, 256, 3, 1, 0),
    ("3x3 28² 512→512", 512, 28, 512, 3, 1, 0),
    ("3x3 14² 256→256", 256, 14, 256, 3, 1, 0.85),
    ("3x3 7² 512→512", 512, 7, 512, 3, 1, 0),
    ("1x1 14² 1024→256", 1024, 14, 256, 1, 1, 0.85),
    ("1x1 56² 64→256", 64, 56, 256, 1, 1, 0),
    ("3x3 s2 56² 128→128", 128, 56, 128, 3, 2, 0),
)


def lenet_cases() -> list[Case]:
    """LeNet-5's training step and its use on one image."""
    return [
        lenet("training step, 64 images", "step", 64, (Goal("ratio", 2.0, 2), Goal("numpy", 15.0, 2))),
        lenet("forward, 1 image", "forward", 1, (Goal("ratio", 3.0),)),
        lenet("forward, 64 images", "forward", 64),
    ]


def conv_cases() -> list[Case]:
    """Forward convolutions of VGG and ResNet, one image."""
    return [conv(layer[0], 1, *layer[1:], goals=(Goal("ratio", 1.0),)) for *layer, _ in LAYERS]


def direct_cases() -> list[Case]:
    """The same by the direct algorithm, whose share of the peak says how good the kernel is."""
    cases = []
    for *layer, share in LAYERS:
        case = conv(layer[0], 1, *layer[1:], goals=(Goal("peak", share, 1),) if share else ())
        cases.append(replace(case, ours={"algorithm": "direct"}))
    return cases


def grad_cases() -> list[Case]:
    """The same layers' gradients: of input, weight and bias together."""
    return [conv(layer[0], 1, *layer[1:], mode="backward") for *layer, _ in LAYERS]


def small_cases() -> list[Case]:
    """What a call costs where there is next to nothing to compute."""
    silent = conv("conv2d 1x8x8x8 3x3", 1, 8, 8, 8, 3, goals=(Goal("seconds", 8e-6),))
    taped = conv("conv2d 1x8x8x8 3x3, tape", 1, 8, 8, 8, 3, mode="tape", goals=(Goal("seconds", 15e-6),))
    return [replace(case, flops=0.0) for case in (silent, taped)]


def op_cases() -> list[Case]:
    """Everything between convolutions."""
    return [*pool_cases(), *norm_cases(), *activation_cases(), *loss_cases()]


def linear_cases() -> list[Case]:
    """Fully connected layers of LeNet-5, of VGG-16 for a batch and for an image."""
    sizes = ((64, 400, 120), (8, 4096, 1000), (1, 4096, 1000))
    return [
        Case(f"linear {n}x{i}→{o}, {mode}", "linear", mode, ((n, i), (o, i), (o,)))
        for n, i, o in sizes
        for mode in ("forward", "backward")
    ]


def signal_cases() -> list[Case]:
    """One plane of 2048x2048 with kernels of every size."""
    goals = {3: 1.0, 7: 1.0, 15: 1.5, 31: 1.5, 101: 1.0}
    return [
        Case(
            f"{k}x{k} 2048²",
            "convolve2d",
            "forward",
            ((2048, 2048), (k, k)),
            {"mode": "same"},
            goals=(Goal("ratio", g, 2),),
        )
        for k, g in goals.items()
    ]


class Group(NamedTuple):
    """Cases, and the contenders beside fastconv that take part unless the command line says otherwise.

    `mean` is what the geometric mean of the ratios to the best peer shall reach, 0 for no such goal.
    """

    cases: Callable[[], list[Case]]
    contenders: tuple[str, ...]
    mean: float = 0.0


GROUPS = {
    "lenet": Group(lenet_cases, ("pytorch", "twin")),
    "small": Group(small_cases, ("pytorch", "twin")),
    "conv": Group(conv_cases, ("pytorch",)),
    "conv_other": Group(other_cases, ("pytorch",)),
    "direct": Group(direct_cases, ()),
    "grads": Group(grad_cases, ("pytorch",)),
    "ops": Group(op_cases, ("pytorch",), mean=1.5),
    "linear": Group(linear_cases, ("pytorch", "twin")),
    "signal": Group(signal_cases, ("opencv", "scipy")),
    **{name: Group(cases, ("pytorch", "onnx_runtime", "openvino")) for name, cases in LAYER_GROUPS.items()},
    "networks": Group(network_cases, ("pytorch",)),
    "optim": Group(optim_cases, ("pytorch",)),
}
DEFAULT = ("lenet", "small", "conv", "direct")
