"""Normalisation, activations, losses and dropout at the sizes they have in the networks, of a batch of eight."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.cases import Case, Goal

BATCH = 8
# (channels, size) of feature maps
BATCH_NORM = {
    "MobileNet v2": ((32, 112), (24, 56), (144, 56), (960, 7)),
    "ResNet-50": ((64, 112), (256, 56), (512, 28), (1024, 14), (2048, 7)),
}
RESPONSE_NORM = {"AlexNet": ((96, 55), (256, 27)), "GoogLeNet": ((64, 56), (192, 56))}
RELU = {
    "AlexNet": ((64, 55), (192, 27), (256, 13)),
    "GoogLeNet": ((64, 112), (192, 56), (384, 7)),
    "ResNet-50": ((64, 112), (256, 56), (512, 28), (2048, 7)),
}
RELU6 = {"MobileNet v2": ((32, 112), (96, 112), (144, 56), (960, 7))}
# What the four networks do without, on maps of ResNet-50 and MobileNet v2.
OTHERS: dict[str, tuple[int, int]] = {
    "leaky_relu": (64, 56),
    "rrelu": (64, 56),
    "elu": (64, 56),
    "celu": (64, 56),
    "selu": (64, 56),
    "softplus": (64, 56),
    "sigmoid": (64, 56),
    "hardsigmoid": (144, 56),
    "hardtanh": (64, 56),
    "tanh": (64, 56),
    "gelu": (96, 56),
    "silu": (144, 56),
    "hardswish": (144, 56),
    "mish": (64, 56),
}
# (numbers an image, probability)
DROPOUT = {
    "AlexNet": ((9216, 0.5), (4096, 0.5)),
    "GoogLeNet": ((1024, 0.2), (1024, 0.7)),
    "MobileNet v2": ((1280, 0.2),),
}
FASTER, COPY = (Goal("ratio", 1.0),), (Goal("ratio", 0.95),)
AFFINE = ("weight", "bias")


def _case(
    kind: str, where: str, op: str, mode: str, shapes: tuple[tuple[int, ...], ...], options: Any = None, **more: Any
) -> Case:
    batch, *rest = shapes[0]
    size = f"{batch}x{rest[0]}x{rest[1]}²" if len(rest) == 3 else "x".join(map(str, shapes[0]))
    name = f"{where} {op} {size}, {'training' if mode == 'both' else mode}"
    return Case(name, op, mode, shapes, options or {}, kind=kind, **{"goals": FASTER, **more})


def _maps(networks: dict[str, tuple[tuple[int, int], ...]]) -> list[tuple[str, tuple[int, int, int, int]]]:
    return [(network, (BATCH, c, n, n)) for network, sizes in networks.items() for c, n in sizes]


def norm_cases() -> list[Case]:
    """Normalisation: forward and backward together, as in training."""
    training = {"running_mean": None, "running_var": None, "training": True}
    response = {"size": 5, "alpha": 5e-4, "k": 2.0}
    maps, tokens = (BATCH, 64, 56, 56), (25088, 96)
    return [
        *(
            _case("batch norm", network, "batch_norm", "both", (maps, maps[1:2], maps[1:2]), training, names=AFFINE)
            for network, maps in _maps(BATCH_NORM)
        ),
        *(
            _case("response norm", network, "local_response_norm", "both", (maps,), response)
            for network, maps in _maps(RESPONSE_NORM)
        ),
        _case("other norms", "ResNet", "group_norm", "both", (maps, (64,), (64,)), {"num_groups": 32}, names=AFFINE),
        _case(
            "other norms", "ConvNeXt", "layer_norm", "both", (tokens, (96,), (96,)), {"normalized_shape": (96,)},
            names=AFFINE,
        ),
    ]  # fmt: skip


def activation_cases() -> list[Case]:
    """Forward and backward of all; a bare ReLU is a copy, which nobody can make faster."""
    sizes = [
        *((network, "relu", maps) for network, maps in _maps(RELU)),
        *((network, "relu6", maps) for network, maps in _maps(RELU6)),
        *(("maps", op, (BATCH, c, n, n)) for op, (c, n) in OTHERS.items()),
    ]
    scores = (BATCH, 1000)
    return [
        *(
            _case("activations", where, op, mode, (maps,), goals=COPY if op == "relu" else FASTER)
            for where, op, maps in sizes
            for mode in ("forward", "backward")
        ),
        _case("activations", "maps", "prelu", "both", ((BATCH, 64, 56, 56), (64,))),
        *(
            _case("activations", "scores", op, mode, (scores,), {"dim": 1})
            for op in ("softmax", "log_softmax")
            for mode in ("forward", "backward")
        ),
    ]


def loss_cases() -> list[Case]:
    """Softmax and cross entropy of a thousand classes; dropout before fully connected layers."""
    return [
        *(
            _case("cross entropy", "scores", "cross_entropy", mode, ((batch, 1000),), classes=1000)
            for batch in (BATCH, 256)
            for mode in ("forward", "both")
        ),
        *(
            _case("dropout", f"{network} p={p}", "dropout", mode, ((BATCH, length),), {"p": p})
            for network, layers in DROPOUT.items()
            for length, p in layers
            for mode in ("forward", "both")
        ),
    ]
