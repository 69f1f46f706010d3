"""Cross entropy for soft targets, and the negative log-likelihood."""

import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import DTYPES, check_op, randn
from tests.test_loss import LIMIT, labels

# ---- soft targets


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(5,), (6, 7), (2, 5, 3, 4)])
def test_soft_targets(shape, smoothing, reduction):
    axis = 1 if len(shape) > 1 else 0
    target = np.abs(randn(*shape, seed=1)) + 0.1

    def expected(x, target):
        classes = shape[axis]
        shares = target * (1 - smoothing) + smoothing / classes
        losses = -(shares * reference.log_softmax(x, axis)).sum(axis)
        return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()

    options = {"reduction": reduction, "label_smoothing": smoothing}
    check_op(
        lambda x, t: F.cross_entropy(x, t, **options),
        expected,
        [randn(*shape), target],
        tolerance=LIMIT,
        exact_layouts=False,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_soft_targets_that_are_certain_are_labels(dtype):
    x, target, weight = randn(6, 5, dtype=dtype), labels(6, 5), np.linspace(0.5, 2, 5).astype(dtype)
    certain = np.eye(5, dtype=dtype)[target]
    for options in ({}, {"weight": weight}, {"label_smoothing": 0.1}):
        soft, hard = (F.cross_entropy(x, t, reduction="sum", **options) for t in (certain, target))
        np.testing.assert_allclose(soft, hard, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(6, 7), (2, 5, 3, 4)])
def test_soft_targets_are_the_twins(shape, smoothing, reduction):
    x, target, weight = randn(*shape), np.abs(randn(*shape, seed=1)), np.linspace(0.5, 2, shape[1])
    options = {"reduction": reduction, "label_smoothing": smoothing}
    given = Tensor(x, requires_grad=True)
    out = F.cross_entropy(given, target, weight, **options)
    np.testing.assert_allclose(out.detach(), reference.cross_entropy(x, target, weight, **options), rtol=1e-12)
    grad = np.asarray(randn(*out.shape, seed=2))
    out.backward(grad)
    expected = reference.cross_entropy_grad(grad, x, target, weight, **options)
    np.testing.assert_allclose(given.grad, expected, rtol=1e-9, atol=1e-12)


def test_soft_targets_in_lists():
    scores, shares = [[0.5, 2.0, -1.0], [0.0, 1.0, 0.25]], [[0.2, 0.3, 0.5], [1, 0, 0]]
    for dtype in DTYPES:
        x, target = np.array(scores, dtype), np.array(shares, dtype)
        assert F.cross_entropy(x, shares).item() == F.cross_entropy(x, target).item()
    one = np.float32([0.25, 0.75])
    assert F.cross_entropy([0.5, 2.0], [0.25, 0.75]).item() == F.cross_entropy([0.5, 2.0], one).item()
    with pytest.raises(ShapeError, match=r"probabilities must have the shape of input, \(2, 3\), got \(2, 2\)"):
        F.cross_entropy(scores, [[0.5, 0.5], [1.0, 0.0]])
    with pytest.raises(TypeError, match="target must be an array of"):
        F.cross_entropy(scores, [[0.5, 0.5, 0.0], [1.0]])
    with pytest.raises(TypeError, match="target must hold integer class numbers"):
        F.cross_entropy(scores, [0.0, 1.0])


def test_wrong_soft_targets():
    x = randn(3, 5)
    with pytest.raises(TypeError, match="target is float32"):
        F.cross_entropy(x, np.zeros((3, 5), np.float32))
    with pytest.raises(ValueError, match="reduction"):
        F.cross_entropy(x, np.zeros((3, 5)), reduction="all")
    with pytest.raises(ShapeError, match="weight must be"):
        F.cross_entropy(x, np.zeros((3, 5)), np.ones(3))


# ---- nll_loss


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6, 10), (2, 3, 4, 5)])
def test_nll_loss(shape, reduction):
    target = labels((shape[0], *shape[2:]), shape[1])
    target.flat[1] = -100
    options = {"reduction": reduction}
    check_op(
        F.nll_loss, reference.nll_loss, [randn(*shape), target], reference.nll_loss_grad, tolerance=LIMIT,
        exact_layouts=False, **options,
    )  # fmt: skip
    weight = np.linspace(0.5, 2, shape[1])
    x = randn(*shape)
    given = Tensor(x, requires_grad=True)
    out = F.nll_loss(given, target, weight, **options)
    np.testing.assert_allclose(out.detach(), reference.nll_loss(x, target, weight, **options))
    grad = np.asarray(randn(*out.shape))
    out.backward(grad)
    np.testing.assert_allclose(given.grad, reference.nll_loss_grad(grad, x, target, weight, **options), atol=1e-12)


def test_cross_entropy_is_nll_loss_of_log_softmax():
    x, target = randn(6, 5), labels(6, 5)
    np.testing.assert_allclose(F.nll_loss(F.log_softmax(x), target), F.cross_entropy(x, target), rtol=1e-12)
    assert layers.NLLLoss(ignore_index=3)(x, target).item() == F.nll_loss(x, target, ignore_index=3).item()
    assert F.nll_loss(x[0], 2).item() == -x[0, 2]
    with pytest.raises(ValueError, match="target must hold class numbers from 0 to 4"):
        F.nll_loss(x, np.full(6, 5))
    with pytest.raises(ShapeError, match="nll_loss: input must be"):
        F.nll_loss(x, labels(5, 5))
    assert np.isnan(F.nll_loss(x, np.full(6, -100)).item())
