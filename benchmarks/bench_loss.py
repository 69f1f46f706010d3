"""Cross entropy on the scores of LeNet-5 and of a thousand classes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn
from fastconv import Tensor, functional, reference

cases = pytest.mark.parametrize("classes", [10, 1000])


def _scores(classes: int) -> list[np.ndarray]:
    return [randn(64, classes), np.random.default_rng(1).integers(0, classes, 64)]


@cases
def test_cross_entropy(race: Race, classes: int) -> None:
    race.forward("cross_entropy", _scores(classes), f"64x{classes}")


@cases
def test_cross_entropy_with_gradient(race: Race, classes: int) -> None:
    """Both together: fastconv computes the gradient on the way to the loss."""
    scores, labels = _scores(classes)
    x, one = Tensor(scores, requires_grad=True), np.ones((), np.float32)

    def ours() -> tuple[object, ...]:
        loss = functional.cross_entropy(x, labels)
        return (loss, *loss.node.backward(one))

    def twin() -> tuple[object, ...]:
        return reference.cross_entropy(scores, labels), reference.cross_entropy_grad(one, scores, labels)

    race.run(f"cross_entropy with gradient 64x{classes}", ours, twin)


@pytest.mark.parametrize("op", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_regression(race: Race, op: str) -> None:
    race.forward(op, [randn(64, 3, 64, 64), randn(64, 3, 64, 64, seed=1)], "64x3x64²")


@pytest.mark.parametrize("op", ["nll_loss", "multi_margin_loss", "map_loss"])
def test_labels(race: Race, op: str) -> None:
    scores, labels = _scores(1000)
    race.forward(op, [abs(scores), labels], "64x1000")


@pytest.mark.parametrize("op", ["binary_cross_entropy_with_logits", "hinge_loss", "kl_div"])
def test_answers(race: Race, op: str) -> None:
    yes = (randn(64, 3, 64, 64, seed=1) > 0).astype(np.float32)
    answers = {"hinge_loss": 2 * yes - 1, "kl_div": yes / 2 + np.float32(0.25)}.get(op, yes)
    race.forward(op, [randn(64, 3, 64, 64), answers], "64x3x64²")
