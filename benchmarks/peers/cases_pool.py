"""Pooling at the sizes that it has in the networks, of a batch of eight."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.cases import Case, Goal
from benchmarks.peers.cases_layers import BATCH

_TWO: dict[str, Any] = {"kernel_size": 2}
_HALF = {"kernel_size": 3, "stride": 2}
_CEIL = {**_HALF, "ceil_mode": True}
_PAD = {**_HALF, "padding": 1}
_SAME = {"kernel_size": 3, "stride": 1, "padding": 1}
_ONE = {"output_size": 1}

# (network, function, channels, size, options)
_POOLS = (
    ("AlexNet", "max_pool2d", 64, 55, _HALF),
    ("AlexNet", "max_pool2d", 192, 27, _HALF),
    ("AlexNet", "max_pool2d", 256, 13, _HALF),
    ("AlexNet", "adaptive_avg_pool2d", 256, 6, {"output_size": 6}),
    ("GoogLeNet", "max_pool2d", 64, 112, _CEIL),
    ("GoogLeNet", "max_pool2d", 192, 56, _CEIL),
    ("GoogLeNet", "max_pool2d", 192, 28, _SAME),
    ("GoogLeNet", "max_pool2d", 512, 14, _SAME),
    ("GoogLeNet", "max_pool2d", 832, 7, _SAME),
    ("GoogLeNet", "adaptive_avg_pool2d", 1024, 7, _ONE),
    ("ResNet-50", "max_pool2d", 64, 112, _PAD),
    ("ResNet-50", "adaptive_avg_pool2d", 2048, 7, _ONE),
    ("MobileNet v2", "adaptive_avg_pool2d", 1280, 7, _ONE),
    ("VGG-16", "max_pool2d", 64, 224, _TWO),
    ("VGG-16", "max_pool2d", 512, 28, _TWO),
    ("DenseNet", "avg_pool2d", 128, 56, _TWO),
    ("Inception", "avg_pool2d", 256, 35, _SAME),
)


def pool_cases() -> list[Case]:
    """Forward and backward; the backward of overlapping maximum pooling shall be twice as fast as anybody's."""
    cases = []
    for network, op, channels, size, options in _POOLS:
        name = f"{network} {op} 8x{channels}x{size}²" + (" s1" if options is _SAME else "")
        overlaps = op == "max_pool2d" and options is not _TWO
        shapes = ((BATCH, channels, size, size),)
        for mode in ("forward", "backward"):
            twice = overlaps and mode == "backward"
            kind = "overlapping max pooling, backward" if twice else "pooling"
            goals = (Goal("ratio", 2.0 if twice else 1.0),)
            cases.append(Case(f"{name}, {mode}", op, mode, shapes, options, goals=goals, kind=kind))
    return cases
