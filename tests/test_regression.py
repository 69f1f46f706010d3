"""Losses that compare each element with a target of its own."""

import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import DTYPES, check_op, randn

LIMIT = {np.float32: 4e-6, np.float64: 1e-13}
CASES = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("smooth_l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.3}),
    ("huber_loss", {}),
    ("huber_loss", {"delta": 2.5}),
    ("binary_cross_entropy_with_logits", {}),
    ("kl_div", {"log_target": True}),
]


def check(name, inputs, **options):
    twin, twin_grad = getattr(reference, name), getattr(reference, f"{name}_grad")
    # NumPy adds in the order of memory.
    check_op(getattr(F, name), twin, inputs, twin_grad, tolerance=LIMIT, exact_layouts=False, **options)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("shape", [(), (7,), (3, 4, 5, 2)])
def test_values_and_gradients(name, options, shape, reduction):
    check(name, [np.asarray(2 * randn(*shape)), np.asarray(randn(*shape, seed=1))], reduction=reduction, **options)


@pytest.mark.parametrize("reduction", ["mean", "batchmean", "sum", "none"])
def test_kl_div_of_probabilities(reduction):
    target = np.abs(randn(4, 5, seed=1)) + 0.1
    check("kl_div", [randn(4, 5), target / target.sum(1, keepdims=True)], reduction=reduction)


def test_kl_div_where_the_target_is_0():
    target = Tensor([[0.0, 1.0]], requires_grad=True)
    x = Tensor([[-np.inf, 0.0]], requires_grad=True)
    loss = F.kl_div(x, target, reduction="sum")
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(x.grad, [[0, -1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_binary_cross_entropy(dtype):
    x, t = randn(4, 3, dtype=dtype), (randn(4, 3, seed=1) > 0).astype(dtype)
    weight, positive = np.array([0.5, 1, 2], dtype), np.array([[3.0]], dtype)
    given, answers = Tensor(x, requires_grad=True), Tensor(t, requires_grad=True)
    out = F.binary_cross_entropy_with_logits(given, answers, weight, reduction="sum", pos_weight=positive)
    out.backward()
    arguments = (x, t, weight, "sum", positive)
    np.testing.assert_allclose(out.item(), reference.binary_cross_entropy_with_logits(*arguments), rtol=1e-5)
    expected = reference.binary_cross_entropy_with_logits_grad(1.0, *arguments)
    np.testing.assert_allclose(given.grad, expected[0], rtol=1e-4)
    np.testing.assert_allclose(answers.grad, expected[1], rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_scores(dtype):
    inf = np.inf
    x = Tensor(np.array([inf, 1000, 1000, -1000, -1000, np.nan], dtype), requires_grad=True)
    t = np.array([0, 0, 1, 0, 1, 1], dtype)
    out = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    out.backward(np.ones(6, dtype))
    np.testing.assert_array_equal(out.detach(), [inf, 1000, 0, 0, 1000, np.nan])
    np.testing.assert_array_equal(x.grad, [1, 1, 0, 0, -1, np.nan])


def test_no_gradient_where_nothing_differs():
    x = Tensor(np.zeros(3), requires_grad=True)
    F.l1_loss(x, np.zeros(3)).backward()
    np.testing.assert_array_equal(x.grad, np.zeros(3))
    assert F.smooth_l1_loss(x, np.ones(3), beta=0).item() == 1


def test_empty_batches():
    empty = Tensor(np.zeros((0, 3)), requires_grad=True)
    for name, _ in CASES:
        loss = getattr(F, name)(empty, np.zeros((0, 3)))
        assert np.isnan(loss.item())
        assert getattr(F, name)(empty, np.zeros((0, 3)), reduction="sum").item() == 0
    loss.backward()
    assert empty.grad.shape == (0, 3)


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in CASES))
def test_wrong_arguments(name):
    op = getattr(F, name)
    with pytest.raises(ShapeError, match=rf"{name}: input and target must have one shape, got \(3,\) and \(3, 1\)"):
        op(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(TypeError, match="target is float32"):
        op(np.zeros(3), np.zeros(3, np.float32))
    with pytest.raises(TypeError, match="target must be float32 or float64"):
        op(np.zeros(3), np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="reduction must be one of"):
        op(np.zeros(3), np.zeros(3), reduction="average")


def test_wrong_options():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match="delta must be above 0"):
        F.huber_loss(x, x, delta=0)
    with pytest.raises(ValueError, match="beta"):
        F.smooth_l1_loss(x, x, beta=-1)
    with pytest.raises(ShapeError, match=r"pos_weight of shape \(2,\) does not fit"):
        F.binary_cross_entropy_with_logits(x, x, pos_weight=np.ones(2))
    with pytest.raises(ShapeError, match="weight of shape"):
        F.binary_cross_entropy_with_logits(x, x, weight=np.ones((1, 2, 3)))
    with pytest.raises(TypeError, match="mse_loss: size_average must be a bool or None, got 'sum'"):
        F.mse_loss([1.0], [1.0], "sum")


def test_layers():
    x, t = randn(3, 4, dtype=np.float32), np.abs(randn(3, 4, seed=1, dtype=np.float32))
    for layer, expected in [
        (layers.MSELoss(reduction="sum"), F.mse_loss(x, t, reduction="sum")),
        (layers.L1Loss(), F.l1_loss(x, t)),
        (layers.SmoothL1Loss(beta=0.5), F.smooth_l1_loss(x, t, beta=0.5)),
        (layers.HuberLoss(delta=0.5), F.huber_loss(x, t, delta=0.5)),
        (layers.KLDivLoss(reduction="batchmean"), F.kl_div(x, t, reduction="batchmean")),
        (layers.BCEWithLogitsLoss(pos_weight=t[0]), F.binary_cross_entropy_with_logits(x, t, pos_weight=t[0])),
    ]:
        assert layer(x, t).item() == expected.item()
    assert list(layers.BCEWithLogitsLoss(pos_weight=t[0]).state_dict()) == ["pos_weight"]
    assert repr(layers.HuberLoss()) == "HuberLoss(reduction='mean', delta=1.0)"
