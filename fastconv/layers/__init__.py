"""Layers: parameters, and one call into `functional` each."""

from fastconv.layers.container import Sequential
from fastconv.layers.dropout import Dropout
from fastconv.layers.module import Buffer, Module
from fastconv.layers.shape import Flatten
from fastconv.parameter import Parameter

__all__ = ["Buffer", "Dropout", "Flatten", "Module", "Parameter", "Sequential"]
