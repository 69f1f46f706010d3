"""Normalisation of the feature maps of a ResNet stage."""

from __future__ import annotations

from benchmarks.conftest import Race, randn
from fastconv import functional, reference

MAPS = (8, 64, 28, 28)


def _inputs() -> list[object]:
    return [randn(*MAPS), None, None, randn(64, seed=1), randn(64, seed=2)]


def test_batch_norm(race: Race) -> None:
    race.forward("batch_norm", _inputs(), "8x64x28²", training=True)


def test_batch_norm_grad(race: Race) -> None:
    race.backward("batch_norm", _inputs(), "8x64x28²", training=True)


def test_group_norm(race: Race) -> None:
    race.forward("group_norm", [randn(*MAPS), 8, randn(64, seed=1), randn(64, seed=2)], "8x64x28²")


def test_group_norm_grad(race: Race) -> None:
    race.backward("group_norm", [randn(*MAPS), 8, randn(64, seed=1), randn(64, seed=2)], "8x64x28²")


def test_instance_norm(race: Race) -> None:
    x = randn(*MAPS)
    race.run("instance_norm 8x64x28²", lambda: functional.instance_norm(x), lambda: reference.instance_norm(x))


def test_layer_norm(race: Race) -> None:
    race.forward("layer_norm", [randn(6272, 96), (96,), randn(96, seed=1), randn(96, seed=2)], "6272x96")


def test_layer_norm_grad(race: Race) -> None:
    race.backward("layer_norm", [randn(6272, 96), (96,), randn(96, seed=1), randn(96, seed=2)], "6272x96")


def test_local_response_norm(race: Race) -> None:
    race.forward("local_response_norm", [randn(8, 64, 27, 27)], "8x64x27²", size=5)


def test_local_response_norm_grad(race: Race) -> None:
    race.backward("local_response_norm", [randn(8, 64, 27, 27)], "8x64x27²", size=5)
