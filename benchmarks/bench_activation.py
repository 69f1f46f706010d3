"""Activations on the feature maps of a ResNet stage, softmax on the scores of a thousand classes."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Race, randn

maps = pytest.mark.parametrize(
    "op",
    [
        *(
            "relu",
            "relu6",
            "leaky_relu",
            "rrelu",
            "hardtanh",
            "elu",
            "celu",
            "selu",
            "softplus",
            "gelu",
            "silu",
            "mish",
        ),
        *("sigmoid", "hardsigmoid", "hardswish", "tanh", "scaled_tanh"),
    ],
)
scores = pytest.mark.parametrize("op", ["softmax", "log_softmax"])


@maps
def test_activation(race: Race, op: str) -> None:
    race.forward(op, [randn(8, 64, 28, 28)], "8x64x28²")


@maps
def test_activation_grad(race: Race, op: str) -> None:
    race.backward(op, [randn(8, 64, 28, 28)], "8x64x28²")


def test_prelu(race: Race) -> None:
    race.forward("prelu", [randn(8, 64, 28, 28), randn(64)], "8x64x28²")


def test_prelu_grad(race: Race) -> None:
    race.backward("prelu", [randn(8, 64, 28, 28), randn(64)], "8x64x28²")


def test_maxout(race: Race) -> None:
    race.forward("maxout", [randn(8, 64, 28, 28)], "8x64x28²", pieces=2)


def test_maxout_grad(race: Race) -> None:
    race.backward("maxout", [randn(8, 64, 28, 28)], "8x64x28²", pieces=2)


@scores
def test_softmax(race: Race, op: str) -> None:
    race.forward(op, [randn(64, 1000)], "64x1000", dim=1)


@scores
def test_softmax_grad(race: Race, op: str) -> None:
    race.backward(op, [randn(64, 1000)], "64x1000", dim=1)
