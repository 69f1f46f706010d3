"""Normalisation, activations and losses at the sizes they have in AlexNet, GoogLeNet, ResNet-50 and MobileNet v2."""

from __future__ import annotations

from benchmarks.peers.cases import Case, Goal

BATCH = 8
# (channels, size) of feature maps
BATCH_NORM = (
    *((32, 112), (24, 56), (144, 56), (960, 7)),  # MobileNet v2
    *((64, 112), (256, 56), (512, 28), (1024, 14), (2048, 7)),  # ResNet-50
)
RESPONSE_NORM = ((96, 55), (256, 27), (64, 56), (192, 56))
ACTIVATIONS = {
    "relu": (64, 112),
    "relu6": (96, 112),
    "leaky_relu": (64, 56),
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
FASTER, COPY = (Goal("ratio", 1.0),), (Goal("ratio", 0.95),)


def layer_cases() -> list[Case]:
    """Training steps of every layer: forward and backward together."""
    cases = [
        Case(
            f"batch_norm {BATCH}x{c}x{size}²",
            "batch_norm",
            "both",
            ((BATCH, c, size, size), (c,), (c,)),
            {"running_mean": None, "running_var": None, "training": True},
            names=("weight", "bias"),
            goals=FASTER,
        )
        for c, size in BATCH_NORM
    ]
    cases += [
        Case(
            f"local_response_norm {BATCH}x{c}x{size}²",
            "local_response_norm",
            "both",
            ((BATCH, c, size, size),),
            {"size": 5, "alpha": 5e-4, "k": 2.0},
            goals=FASTER,
        )
        for c, size in RESPONSE_NORM
    ]
    cases += [
        Case(
            f"{name} {BATCH}x{c}x{size}², {mode}",
            name,
            mode,
            ((BATCH, c, size, size),),
            goals=COPY if name == "relu" else FASTER,
        )
        for name, (c, size) in ACTIVATIONS.items()
        for mode in ("forward", "backward")
    ]
    cases += [
        Case(f"prelu {BATCH}x64x56²", "prelu", "both", ((BATCH, 64, 56, 56), (64,)), goals=FASTER),
        Case(
            f"group_norm {BATCH}x64x56²",
            "group_norm",
            "both",
            ((BATCH, 64, 56, 56), (64,), (64,)),
            {"num_groups": 32},
            names=("weight", "bias"),
            goals=FASTER,
        ),
        Case(
            "layer_norm 25088x96",
            "layer_norm",
            "both",
            ((25088, 96), (96,), (96,)),
            {"normalized_shape": (96,)},
            names=("weight", "bias"),
            goals=FASTER,
        ),
        Case(f"cross_entropy {BATCH}x1000", "cross_entropy", "both", ((BATCH, 1000),), classes=1000, goals=FASTER),
    ]
    return cases
