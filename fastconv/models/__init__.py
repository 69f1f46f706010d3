"""Networks ready to train, one file a family."""

from __future__ import annotations

from collections.abc import Callable

from fastconv.layers import Module
from fastconv.models.lenet import LeNet, lenet5

__all__ = ["MODELS", "LeNet", "lenet5"]

MODELS: dict[str, Callable[..., Module]] = {"lenet5": lenet5}
"""The factories by the names that the command line and saved weights use."""
