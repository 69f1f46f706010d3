"""Fully connected layers of LeNet-5 and VGG against NumPy's matrix product."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn

cases = pytest.mark.parametrize(
    ("batch", "inputs", "outputs"), [(64, 400, 120), (1, 4096, 1000), (32, 2048, 1000)], ids=str
)


def _layer(batch: int, inputs: int, outputs: int) -> list[np.ndarray]:
    return [randn(batch, inputs), randn(outputs, inputs) / np.float32(np.sqrt(inputs)), randn(outputs)]


@cases
def test_linear(race: Race, batch: int, inputs: int, outputs: int) -> None:
    race.forward("linear", _layer(batch, inputs, outputs), f"{batch}x{inputs}→{outputs}")


@cases
def test_linear_grad(race: Race, batch: int, inputs: int, outputs: int) -> None:
    race.backward("linear", _layer(batch, inputs, outputs), f"{batch}x{inputs}→{outputs}")


def test_rbf(race: Race) -> None:
    race.forward("rbf", [randn(64, 84), randn(10, 84)], "LeNet-5 64x84→10")


def test_rbf_grad(race: Race) -> None:
    race.backward("rbf", [randn(64, 84), randn(10, 84)], "LeNet-5 64x84→10")
