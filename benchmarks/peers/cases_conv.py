"""Convolutions beside those of the usual image networks: transposed, along one and three axes, dilated, grouped."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.peers.cases import Case, Goal

# name, function, input, weight, options, and the ratio to reach
LAYERS: tuple[tuple[str, str, tuple[int, ...], tuple[int, ...], dict[str, Any], float], ...] = (
    (
        "transposed 4x4 s2 28² 128→64",
        "conv_transpose2d",
        (1, 128, 28, 28),
        (128, 64, 4, 4),
        {"stride": 2, "padding": 1},
        1.3,
    ),
    ("transposed 2x2 s2 28² 256→128", "conv_transpose2d", (1, 256, 28, 28), (256, 128, 2, 2), {"stride": 2}, 1.0),
    ("1-d k9 64→64, 4000", "conv1d", (8, 64, 4000), (64, 64, 9), {"padding": 4}, 1.3),
    ("3-d 3x3x3 16x56² 32→32", "conv3d", (1, 32, 16, 56, 56), (32, 32, 3, 3, 3), {"padding": 1}, 1.3),
    ("dilated 2 56² 128→128", "conv2d", (1, 128, 56, 56), (128, 128, 3, 3), {"padding": 2, "dilation": 2}, 1.4),
    ("dilated 4 56² 128→128", "conv2d", (1, 128, 56, 56), (128, 128, 3, 3), {"padding": 4, "dilation": 4}, 1.4),
    ("32 groups of 4 56²", "conv2d", (1, 128, 56, 56), (128, 4, 3, 3), {"padding": 1, "groups": 32}, 1.2),
    ("32 groups of 16 28²", "conv2d", (1, 512, 28, 28), (512, 16, 3, 3), {"padding": 1, "groups": 32}, 1.2),
    ("depthwise, 2 a channel 28²", "conv2d", (1, 256, 28, 28), (512, 1, 3, 3), {"padding": 1, "groups": 256}, 1.2),
    ("3x3 112² 64→3", "conv2d", (1, 64, 112, 112), (3, 64, 3, 3), {"padding": 1}, 1.0),
)


def other_cases() -> list[Case]:
    """Each forward, and the gradients of input and weight together; every pixel of the input meets every weight."""
    return [
        Case(
            name if mode == "forward" else f"{name}, {mode}",
            *(op, mode, (x, w), options),
            flops=2.0 * x[0] * math.prod(x[2:]) * math.prod(w) * (2 if mode == "backward" else 1),
            goals=(Goal("ratio", ratio),),
        )
        for name, op, x, w, options, ratio in LAYERS
        for mode in ("forward", "backward")
    ]
