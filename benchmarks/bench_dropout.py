"""Dropout of the feature maps of a ResNet stage."""

from __future__ import annotations

from benchmarks.conftest import Race, randn
from fastconv import functional, no_grad, reference

SHAPE = (8, 64, 28, 28)


def test_dropout(race: Race) -> None:
    x = randn(*SHAPE)

    def ours() -> object:
        with no_grad():
            return functional.dropout(x, 0.5, True, rng=3)

    race.run("dropout 8x64x28²", ours, lambda: reference.dropout(x, 0.5, 3))


def test_dropout2d(race: Race) -> None:
    x = randn(*SHAPE)

    def ours() -> object:
        with no_grad():
            return functional.dropout2d(x, 0.5, True, rng=3)

    race.run("dropout2d 8x64x28²", ours, lambda: reference.channel_dropout(x, 0.5, 3))


def test_alpha_dropout(race: Race) -> None:
    x = randn(*SHAPE)

    def ours() -> object:
        with no_grad():
            return functional.alpha_dropout(x, 0.5, True, rng=3)

    race.run("alpha_dropout 8x64x28²", ours, lambda: reference.alpha_dropout(x, 0.5, 3))
