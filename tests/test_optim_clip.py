import math

import numpy as np
import pytest

from fastconv import Parameter, Tensor
from fastconv.optim import NonFiniteGradientError, clip_grad_norm_, clip_grad_value_
from tests.helpers import randn

SHAPES = [(3, 4), (5,), (), (0, 2), (200, 300)]


def made(dtype=np.float32):
    params = [Parameter(np.zeros(shape, dtype)) for shape in SHAPES]
    for p in params:
        p.grad = Tensor(randn(*p.shape).astype(dtype))
    return [*params, Parameter(np.zeros(2, dtype))]


@pytest.mark.parametrize("kind", [2.0, 1, 3.5, math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [0.5, 1e6, 0])
def test_norm(kind, dtype, limit):
    params = made(dtype)
    flat = np.concatenate([p.grad.data.ravel() for p in params if p.grad is not None]).astype(np.float64)
    length = np.linalg.norm(flat, kind)
    found = clip_grad_norm_((p for p in params), limit, kind)
    assert found.dtype == dtype
    assert found.item() == pytest.approx(length, rel=1e-5)
    after = np.concatenate([p.grad.data.ravel() for p in params if p.grad is not None])
    assert after.dtype == dtype
    expected = flat * min(limit / (length + 1e-6), 1)
    np.testing.assert_allclose(after, expected, rtol=1e-5)
    assert params[-1].grad is None


@pytest.mark.parametrize("kind", [2.0, 3.0, math.inf])
def test_as_pytorch(kind):
    torch = pytest.importorskip("torch")
    params = [p for p in made(np.float64)[:-1] if p.numpy().size]
    theirs = [torch.nn.Parameter(torch.zeros(p.shape, dtype=torch.float64)) for p in params]
    for p, q in zip(params, theirs, strict=True):
        q.grad = torch.tensor(p.grad.data)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.5, kind)
    np.testing.assert_allclose(clip_grad_norm_(params, 0.5, kind).item(), expected.item(), rtol=1e-13)
    for p, q in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-12)
    torch.nn.utils.clip_grad_value_(theirs, 1e-3)
    clip_grad_value_(params, 1e-3)
    for p, q in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_squares_that_leave_the_range(size):
    p = Parameter(np.zeros(2, np.float32))
    p.grad = Tensor(np.array([3, 4], np.float32) * np.float32(size))
    assert clip_grad_norm_([p], size).item() == pytest.approx(5 * size, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [2.0, 1.0, math.inf])
def test_a_norm_that_is_not_finite_names_the_parameter(bad, kind):
    params = made()
    params[1].grad.data[2] = bad
    before = [p.grad.data.copy() for p in params[:-1]]
    with pytest.raises(NonFiniteGradientError, match=r"the gradient of parameter 1 of shape \(5,\) has the norm"):
        clip_grad_norm_(params, 0.1, kind)
    with pytest.raises(ArithmeticError, match=r"the gradient of conv1\.bias has the norm"):
        clip_grad_norm_(zip(["conv1.weight", "conv1.bias"], params, strict=False), 0.1, kind)
    for p, grad in zip(params, before, strict=False):
        assert np.array_equal(p.grad.data, grad, equal_nan=True)
    assert not math.isfinite(clip_grad_norm_(params, 0.1, kind, error_if_nonfinite=False).item())


def test_value():
    params = made()
    before = [p.grad.data.copy() for p in params[:-1]]
    assert clip_grad_value_(params, 0.25) is None
    for p, grad in zip(params, before, strict=False):
        assert np.array_equal(p.grad.data, np.clip(grad, -0.25, 0.25))
    params[0].grad.data[0, 0] = np.inf
    clip_grad_value_(params[0], 0.25)
    assert params[0].grad.data[0, 0] == 0.25
    params[1].grad.data[2] = np.nan
    params[0].grad.data[...] = 5
    with pytest.raises(NonFiniteGradientError, match=r"the gradient of b has elements that are NaN"):
        clip_grad_value_([("a", params[0]), ("b", params[1])], 0.25)
    assert (params[0].grad.data == 5).all()


def test_read_only_and_strided_gradients():
    p = Parameter(np.zeros((3, 4), np.float32))
    grad = randn(4, 3).astype(np.float32).T
    grad.flags.writeable = False
    p.grad = Tensor(grad)
    clip_grad_norm_(p, 0.5)
    assert np.linalg.norm(p.grad.data) == pytest.approx(0.5, rel=1e-5)
    p.grad = Tensor(grad)
    clip_grad_value_(p, 0.5)
    assert np.array_equal(p.grad.data, np.clip(grad, -0.5, 0.5))


def test_wrong_arguments():
    p = Parameter([1.0])
    for call, error in [
        (lambda: clip_grad_norm_([p], -1), ValueError),
        (lambda: clip_grad_norm_([p], "1"), TypeError),
        (lambda: clip_grad_norm_([p], 1, 0), ValueError),
        (lambda: clip_grad_norm_([p], 1, np.nan), ValueError),
        (lambda: clip_grad_norm_([Tensor([1.0])], 1), TypeError),
        (lambda: clip_grad_norm_(3, 1), TypeError),
        (lambda: clip_grad_value_([p], np.nan), ValueError),
        (lambda: clip_grad_value_(["p"], 1), TypeError),
    ]:
        with pytest.raises(error, match="clip_grad_"):
            call()
    assert clip_grad_norm_([], 1.0).item() == 0
    clip_grad_value_([], 1.0)
