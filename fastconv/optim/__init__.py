"""Optimisers: rules by which parameters follow their gradients; and limits for gradients."""

from fastconv.optim.adam import Adam, AdamW
from fastconv.optim.adaptive import Adadelta, Adagrad, RMSprop
from fastconv.optim.clip import NonFiniteGradientError, clip_grad_norm_, clip_grad_value_
from fastconv.optim.optimizer import Optimizer
from fastconv.optim.sgd import LARS, SGD

__all__ = [
    "LARS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NonFiniteGradientError",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
]
