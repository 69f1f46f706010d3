"""The groups of cases that the command line names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from benchmarks.peers.cases import Case, Goal, conv, lenet
from benchmarks.peers.cases_conv import other_cases
from benchmarks.peers.cases_layers import layer_cases
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
    """Every other function, forward and backward, at sizes of LeNet-5, VGG and ResNet."""
    maps = ((8, 64, 56, 56),)
    scores = ((256, 1000),)
    shapes = {
        "linear 64x400→120": ("linear", ((64, 400), (120, 400), (120,)), {}, 0),
        "linear 8x4096→1000": ("linear", ((8, 4096), (1000, 4096), (1000,)), {}, 0),
        "max_pool2d 2x2 8x64x56²": ("max_pool2d", maps, {"kernel_size": 2}, 0),
        "max_pool2d 3x3 s2 8x64x56²": ("max_pool2d", maps, {"kernel_size": 3, "stride": 2, "padding": 1}, 0),
        "avg_pool2d 2x2 8x64x56²": ("avg_pool2d", maps, {"kernel_size": 2}, 0),
        "softmax 256x1000": ("softmax", scores, {"dim": 1}, 0),
        "log_softmax 256x1000": ("log_softmax", scores, {"dim": 1}, 0),
        "cross_entropy 256x1000": ("cross_entropy", scores, {}, 1000),
    }
    cases = [
        Case(name if mode == "forward" else f"{name}, {mode}", op, mode, inputs, options, classes=classes)
        for name, (op, inputs, options, classes) in shapes.items()
        for mode in ("forward", "both" if classes else "backward")
    ]
    return [*cases, *pool_cases()]


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
    """Cases, and the contenders beside fastconv that take part unless the command line says otherwise."""

    cases: Callable[[], list[Case]]
    contenders: tuple[str, ...]


GROUPS = {
    "lenet": Group(lenet_cases, ("pytorch", "twin")),
    "small": Group(small_cases, ("pytorch", "twin")),
    "conv": Group(conv_cases, ("pytorch",)),
    "conv_other": Group(other_cases, ("pytorch",)),
    "direct": Group(direct_cases, ()),
    "grads": Group(grad_cases, ("pytorch",)),
    "ops": Group(lambda: [*op_cases(), *layer_cases()], ("pytorch", "twin")),
    "signal": Group(signal_cases, ("opencv", "scipy")),
    **{name: Group(cases, ("pytorch", "onnx_runtime", "openvino")) for name, cases in LAYER_GROUPS.items()},
    "optim": Group(optim_cases, ("pytorch",)),
}
DEFAULT = ("lenet", "small", "conv", "direct")
