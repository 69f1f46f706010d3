"""Normalisation of the feature maps of a ResNet stage."""

from __future__ import annotations

from benchmarks.conftest import Race, randn

MAPS = (8, 64, 28, 28)


def _inputs() -> list[object]:
    return [randn(*MAPS), None, None, randn(64, seed=1), randn(64, seed=2)]


def test_batch_norm(race: Race) -> None:
    race.forward("batch_norm", _inputs(), "8x64x28²", training=True)


def test_batch_norm_grad(race: Race) -> None:
    race.backward("batch_norm", _inputs(), "8x64x28²", training=True)
