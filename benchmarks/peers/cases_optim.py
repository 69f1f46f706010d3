"""Updates of all parameters of a network by each optimiser."""

from __future__ import annotations

from benchmarks.peers.cases import LENET_SHAPES, Case, Goal

RULES = {
    "SGD": {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4},
    "Adam": {"lr": 1e-3},
    "AdamW": {"lr": 1e-3},
    "RMSprop": {"lr": 1e-4, "momentum": 0.9},
    "Adagrad": {"lr": 1e-3},
    "Adadelta": {"lr": 1.0},
}


def resnet18() -> tuple[tuple[int, ...], ...]:
    """The shapes of ResNet-18's 62 parameters, 11.7 million numbers."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    channels = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            before = channels if block == 0 else width
            shapes += [(width, before, 3, 3), (width,), (width,), (width, width, 3, 3), (width,), (width,)]
            if before != width:
                shapes += [(width, before, 1, 1), (width,), (width,)]
        channels = width
    return (*shapes, (1000, 512), (1000,))


def optim_cases() -> list[Case]:
    """Large parameters, which memory bounds, and small ones, which calls do."""
    networks = {"ResNet-18": resnet18(), "LeNet-5": (*LENET_SHAPES[0], *LENET_SHAPES[1])}
    return [
        Case(f"{rule}, {network}", rule, "update", shapes, options, goals=(Goal("ratio", 1.0),))
        for network, shapes in networks.items()
        for rule, options in RULES.items()
    ]
