"""Hinge losses and LeNet-5's criterion."""

import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn

LIMIT = {np.float32: 4e-6, np.float64: 1e-13}
LABELS = np.array([0, 3, 1, 3, 2])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("squared", [False, True])
def test_hinge_loss(squared, reduction):
    target = np.sign(randn(4, 5, seed=1))
    check_op(
        lambda x: F.hinge_loss(x, target.astype(x.dtype), squared, reduction),
        lambda x: reference.hinge_loss(x, target, squared, reduction),
        [2 * randn(4, 5)],
        lambda grad, x: reference.hinge_loss_grad(grad, x, target, squared, reduction),
        tolerance=LIMIT,
        exact_layouts=False,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{}, {"p": 2}, {"margin": 0.3}])
def test_multi_margin_loss(options, reduction):
    twin, twin_grad = reference.multi_margin_loss, reference.multi_margin_loss_grad
    inputs = [randn(5, 4), LABELS]
    check_op(
        F.multi_margin_loss,
        twin,
        inputs,
        twin_grad,
        tolerance=LIMIT,
        exact_layouts=False,
        reduction=reduction,
        **options,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_multi_margin_loss_of_a_single_score(reduction):
    """One class: there is no other to be better than."""
    x = Tensor(np.float32(3.0), requires_grad=True)
    for target in (0, [0]):
        out = F.multi_margin_loss(x, target, weight=np.ones(1, np.float32), reduction=reduction)
        assert out.shape == ()
        assert out.item() == 0
        x.grad = None
        out.backward()
        assert x.grad.shape == ()
        assert x.grad.item() == 0
    with pytest.raises(ValueError, match="class numbers from 0 to 0, got 1"):
        F.multi_margin_loss(x, 1)
    with pytest.raises(ShapeError, match="map_loss: input must be"):
        F.map_loss(x, 0)


def test_multi_margin_loss_with_weights():
    x, weight = randn(5, 4), np.array([1.0, 2, 3, 4])
    plain = F.multi_margin_loss(x, LABELS, reduction="none").numpy()
    weighted = F.multi_margin_loss(x, LABELS, weight=weight, reduction="none").numpy()
    np.testing.assert_allclose(weighted, plain * weight[LABELS])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("j", [0.1, 3.0])
def test_map_loss(j, reduction):
    inputs = [3 * np.abs(randn(5, 4)), LABELS]
    twin, twin_grad = reference.map_loss, reference.map_loss_grad
    check_op(F.map_loss, twin, inputs, twin_grad, tolerance=LIMIT, exact_layouts=False, j=j, reduction=reduction)


def test_map_loss_with_distances_as_lenets_rbf_units_give():
    """84 pixels: squared distances of hundreds. What is further away than j is not pushed, what is near is."""
    y = Tensor(np.array([[300.0, 320.0, 2.0]]), requires_grad=True)
    loss = F.map_loss(y, [0], j=10.0)
    loss.backward()
    np.testing.assert_allclose(loss.item(), 300 + np.log(np.exp(-10) + np.exp(-2)))
    np.testing.assert_allclose(y.grad, [[1, 0, -1 / (1 + np.exp(-8))]], atol=1e-12)
    far = Tensor(np.float32([[1e30, 1e38]]), requires_grad=True)
    loss = F.map_loss(far, [1])
    loss.backward()
    assert np.isfinite(loss.item())
    np.testing.assert_array_equal(far.grad, [[0, 1]])


def test_samples_without_a_batch():
    y = np.abs(randn(4))
    np.testing.assert_allclose(F.map_loss(y, 2).item(), reference.map_loss(y[None], np.array([2])))
    np.testing.assert_allclose(F.multi_margin_loss(y, 2).item(), reference.multi_margin_loss(y[None], np.array([2])))
    x = Tensor(y, requires_grad=True)
    F.map_loss(x, 2, reduction="none").backward(np.ones(()))
    assert x.grad.shape == (4,)


@pytest.mark.parametrize("name", ["multi_margin_loss", "map_loss"])
def test_wrong_arguments(name):
    op = getattr(F, name)
    for bad in (-1, 4, 2**62):
        with pytest.raises(ValueError, match=f"target must hold class numbers from 0 to 3, got {bad}"):
            op(np.zeros((2, 4)), np.array([0, bad]))
    with pytest.raises(TypeError, match="integer class numbers"):
        op(np.zeros((2, 4)), np.zeros(2))
    for shape, labels in (((2, 4), (3,)), ((2, 0), (2,)), ((2, 3, 4), (2, 4)), ((), (2,))):
        with pytest.raises(ShapeError, match=f"{name}: input must be"):
            op(np.zeros(shape), np.zeros(labels, np.int64))
    with pytest.raises(ValueError, match="reduction"):
        op(np.zeros((2, 4)), [0, 1], reduction="all")
    assert np.isnan(op(np.zeros((0, 4)), np.zeros(0, np.int64)).item())


def test_wrong_options():
    with pytest.raises(ValueError, match="p must be 1 or 2"):
        F.multi_margin_loss(np.zeros((1, 2)), [0], p=3)
    with pytest.raises(ValueError, match="j must be"):
        F.map_loss(np.zeros((1, 2)), [0], j=-1.0)
    with pytest.raises(ShapeError, match="one shape"):
        F.hinge_loss(np.zeros(3), np.zeros(2))
    with pytest.raises(ShapeError, match="weight must be"):
        F.multi_margin_loss(np.zeros((1, 2)), [0], weight=np.ones(3))


def test_layers():
    x = np.abs(randn(5, 4, dtype=np.float32))
    assert layers.MultiMarginLoss(2, 0.5)(x, LABELS).item() == F.multi_margin_loss(x, LABELS, 2, 0.5).item()
    assert layers.MAPLoss(0.3)(x, LABELS).item() == F.map_loss(x, LABELS, 0.3).item()
    assert layers.HingeLoss(True)(x, np.ones_like(x)).item() == F.hinge_loss(x, np.ones_like(x), True).item()
    assert repr(layers.MAPLoss()) == "MAPLoss(j=0.1, reduction='mean')"
