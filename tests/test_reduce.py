import numpy as np
import pytest

import fastconv
from fastconv import Tensor, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn

ONE = fastconv.available_isas()[:1]
DIMS = [None, 0, -1, (0, 2), (1, -1, 0)]


def check(name, inputs, **options):
    op, twin, grad = getattr(F, name), getattr(reference, name), getattr(reference, f"{name}_grad")
    check_op(op, twin, inputs, grad, isas=ONE, exact_layouts=False, **options)


@pytest.mark.parametrize("name", ["sum", "mean", "amax"])
@pytest.mark.parametrize("dim", DIMS)
def test_reductions(name, dim):
    check(name, [randn(3, 4, 5)], dim=dim)


def test_reductions_over_many_axes_and_few():
    check("sum", [randn(2, 3, 4, 5)], dim=(0, 2, 3))
    check("mean", [randn(2, 3, 4, 5)], dim=1)
    check("sum", [randn()])
    check("sum", [randn(0, 3)], dim=0)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin"])
@pytest.mark.parametrize("dim", DIMS)
def test_keepdim(name, dim):
    x = Tensor(randn(3, 4, 5), requires_grad=True)
    kept = getattr(F, name)(x, dim, keepdim=True)
    axes = tuple(range(3)) if dim is None else dim
    assert kept.shape == x.data.sum(axis=axes, keepdims=True).shape
    kept.backward(np.ones(kept.shape))
    grad = x.grad.numpy()
    x.zero_grad()
    plain = getattr(F, name)(x, dim)
    assert np.array_equal(plain.data, kept.data.reshape(plain.shape))
    plain.backward(np.ones(plain.shape))
    assert np.array_equal(x.grad, grad)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_max_and_min_along_an_axis(dim):
    x = np.random.default_rng(0).permutation(np.arange(60.0)).reshape(3, 4, 5)
    check_op(lambda x, dim: F.max(x, dim).values, reference.max, [x], reference.max_grad, isas=ONE, dim=dim)
    check_op(lambda x, dim: F.min(x, dim).values, lambda x, dim: x.min(dim), [x], isas=ONE, dim=dim)
    values, indices = F.max(x, dim)
    assert indices.dtype == np.int64
    assert np.array_equal(indices, x.argmax(dim))
    values, indices = F.min(x, dim, keepdim=True)
    assert np.array_equal(indices, x.argmin(dim, keepdims=True))
    assert np.array_equal(values, x.min(dim, keepdims=True))


def test_ties():
    x = Tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)

    def grad_of(out):
        x.zero_grad()
        out.backward(np.ones(out.shape, np.float32))
        return x.grad.tolist()

    third = np.float32(1 / 3)
    assert grad_of(F.amax(x, 1)) == [[0, 0.5, 0.5], [third] * 3]
    assert grad_of(F.max(x, 1).values) == [[0, 1, 0], [1, 0, 0]]
    assert grad_of(F.max(x)) == [[0, 0.5, 0.5], [0, 0, 0]]
    assert grad_of(F.min(x, 1).values) == [[1, 0, 0], [1, 0, 0]]


def test_nan_wins():
    x = Tensor([1.0, np.nan, 3.0], requires_grad=True)
    assert np.isnan(F.max(x).item())
    assert np.isnan(F.amin(x, 0).item())
    values, indices = F.max(x, 0)
    assert np.isnan(values.item())
    assert indices.item() == 1
    F.max(x).backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_arguments_of_extrema():
    x = randn(3, 4)
    assert F.argmax(x).item() == x.argmax()
    assert F.argmin(x, 1).tolist() == x.argmin(1).tolist()
    assert F.argmax(x, -1, keepdim=True).shape == (3, 1)
    assert F.argmax(x.T).item() == x.T.argmax()
    assert F.argmax(x, keepdim=True).shape == (1, 1)


def test_zero_d():
    x = Tensor(2.0, requires_grad=True)
    for out in (F.sum(x), F.sum(x, 0), F.mean(x, -1), F.amax(x), F.max(x, 0).values, F.min(x, 0, keepdim=True).values):
        assert out.shape == ()
        x.zero_grad()
        out.backward()
        assert x.grad.item() == 1
    assert F.max(x, 0).indices.item() == F.argmax(x, 0).item() == F.argmax(x).item() == 0


def test_nothing_to_reduce():
    empty = np.zeros((2, 0), np.float32)
    assert F.sum(empty).item() == 0
    assert F.sum(empty, 1).tolist() == [0, 0]
    assert np.isnan(F.mean(empty).item())
    assert F.amax(empty, 0).shape == (0,)
    for op in (F.amax, F.amin, F.argmax, F.max):
        with pytest.raises(ShapeError, match=r"input of shape \(2, 0\) has no element along dim \(1,\)"):
            op(empty, 1)
    with pytest.raises(ShapeError, match="has no element"):
        F.max(empty)
    with pytest.raises(ShapeError, match="has no element"):
        F.argmin(np.zeros(0, np.float32))


def test_integers_sum_to_int64():
    assert F.sum(np.ones(3, np.uint8)).dtype == np.int64
    assert F.sum(np.ones(300, bool)).item() == 300
    with pytest.raises(TypeError, match="mean: input must be float32 or float64, got int64"):
        F.mean(np.arange(3))


@pytest.mark.parametrize(("dim", "error"), [(3, ShapeError), (-4, ShapeError), ((0, 0), ShapeError), (1.0, TypeError)])
def test_wrong_dim(dim, error):
    for op in (F.sum, F.mean, F.amax):
        with pytest.raises(error, match=f"{op.__name__}: dim"):
            op(randn(2, 3, 4), dim)
    with pytest.raises((TypeError, ShapeError), match="max: dim"):
        F.max(randn(2, 3), dim)


MATRICES = [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((1, 1), (1, 1)), ((0, 4), (4, 5)), ((3, 0), (0, 2))]


@pytest.mark.parametrize(("x", "y"), MATRICES)
def test_matmul(x, y):
    check("matmul", [randn(*x), randn(*y, seed=1)], tolerance={np.float64: 1e-14})


@pytest.mark.parametrize(
    ("x", "y"),
    [((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 1, 3, 4), (6, 4, 5)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))],
)
def test_matmul_broadcasts(x, y):
    check_op(F.matmul, np.matmul, [randn(*x), randn(*y, seed=1)], isas=ONE, exact_layouts=False)


def test_matmul_shapes():
    with pytest.raises(ShapeError, match=r"matmul: shapes \(3, 4\) and \(3, 4\) do not fit"):
        F.matmul(randn(3, 4), randn(3, 4))
    with pytest.raises(ShapeError, match="1-d or more"):
        F.matmul(randn(), randn(3))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_ties_and_nan_are_pytorchs(dim):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(dim + 1)
    x = rng.integers(-1, 2, (4, 5, 3)).astype(float)
    for nan in (False, True):
        x[0, 0, 0] = np.nan if nan else 0
        calls = {
            "max": lambda m, x: m.max(x, dim)[0],
            "min": lambda m, x: m.min(x, dim)[0],
            "amax": lambda m, x: m.amax(x, dim),
            "amin": lambda m, x: m.amin(x, (dim, dim - 1 if dim > 0 else dim + 1)),
            "all": lambda m, x: m.max(x),
        }
        for name, call in calls.items():
            ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            value, expected = call(F, ours), call(torch, theirs)
            value.backward(np.ones(value.shape))
            expected.backward(torch.ones_like(expected))
            assert np.array_equal(value.data, expected.detach().numpy(), equal_nan=True), name
            if not (nan and name in ("amax", "amin")):  # PyTorch spreads nan over the whole slice there
                np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), err_msg=name)
        assert np.array_equal(F.argmax(x, dim).data, torch.argmax(torch.tensor(x), dim).numpy())
        assert np.array_equal(F.max(x, dim).indices.data, torch.max(torch.tensor(x), dim)[1].numpy())
