"""Layers: parameters, and one call into `functional` each."""

from fastconv.layers.activation import LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from fastconv.layers.container import Branches, ModuleDict, ModuleList, Sequential
from fastconv.layers.conv import Conv2d
from fastconv.layers.dropout import Dropout
from fastconv.layers.linear import Linear
from fastconv.layers.loss import CrossEntropyLoss
from fastconv.layers.module import Buffer, Module
from fastconv.layers.pool import AvgPool2d, MaxPool2d
from fastconv.layers.shape import Flatten
from fastconv.parameter import Parameter

__all__ = [
    "AvgPool2d",
    "Branches",
    "Buffer",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
