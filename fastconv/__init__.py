"""Convolutional networks on a CPU: C kernels under a layer API that reads like PyTorch."""

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
