"""Learning-rate schedules, under PyTorch's names and with its values.

A schedule sets the learning rate of every group of an optimiser when it is made and at every ``step()``, which is
called after ``optimizer.step()`` or once an epoch. Rates are computed from the number of steps alone: no drift, and
a state of a few numbers.
"""

from fastconv.lr_scheduler.combined import ChainedScheduler, SequentialLR
from fastconv.lr_scheduler.cycle import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from fastconv.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from fastconv.lr_scheduler.plateau import ReduceLROnPlateau
from fastconv.lr_scheduler.schedule import LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
