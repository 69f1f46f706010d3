"""Initial values of parameters, under PyTorch's names.

Each function writes into a Parameter, Tensor or array, with random numbers from `rng`, and returns it. The same seed
gives the same float32 and float64 values, up to rounding.
"""

from fastconv.init.fill import constant_, normal_, ones_, skipped, trunc_normal_, uniform_, zeros_
from fastconv.init.structured import bilinear_, dirac_, eye_, orthogonal_
from fastconv.init.variance import (
    calculate_gain,
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    xavier_normal_,
    xavier_uniform_,
)

__all__ = [
    "bilinear_",
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "skipped",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]
