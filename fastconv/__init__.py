"""Convolutional networks on a CPU: C kernels under a layer API that reads like PyTorch."""

import importlib
from typing import Any

from numpy import float32, float64

from fastconv import functional
from fastconv._grad import gradcheck
from fastconv._kernels import active_isa, available_isas
from fastconv._kernels import set_isa as use_isa
from fastconv.autograd import enable_grad, is_grad_enabled, no_grad
from fastconv.creation import from_dlpack, from_numpy, tensor
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor
from fastconv.threads import get_num_threads, set_num_threads

__all__ = [
    "Parameter",
    "Tensor",
    "active_isa",
    "available_isas",
    "enable_grad",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "functional",
    "get_num_threads",
    "gradcheck",
    "is_grad_enabled",
    "no_grad",
    "set_num_threads",
    "tensor",
    "use_isa",
]

__version__ = "0.1.0"

# Imported when first used, so that `import fastconv` stays quick.
_LAZY = {
    "data",
    "graph",
    "init",
    "layers",
    "lr_scheduler",
    "metrics",
    "models",
    "optim",
    "reference",
    "signal",
    "training",
    "visualize",
}

_LAZY_NAMES = {
    **dict.fromkeys(("output_size", "receptive_field", "summary"), "fastconv.graph"),
    **dict.fromkeys(("AlgorithmChoice", "algorithm_of", "algorithm_options"), "fastconv.functional.algorithm"),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"fastconv.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_NAMES})
