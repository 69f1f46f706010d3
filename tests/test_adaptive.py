import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn
from tests.test_pool import distinct

SIZES = [1, 2, (3, 5), (7, 1), (None, 3), (8, 6), (10, 9)]


def _check(name, x, size):
    given = size if isinstance(size, tuple) else (size, size)
    wanted = tuple(n if m is None else m for n, m in zip(x.shape[-2:], given, strict=True))
    check_op(
        lambda x: getattr(F, name)(x, size),
        lambda x: getattr(reference, name)(x, wanted),
        [x],
        lambda grad, x: getattr(reference, f"{name}_grad")(grad, x, wanted),
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_adaptive_pooling(size):
    _check("adaptive_avg_pool2d", randn(2, 3, 8, 6), size)
    _check("adaptive_max_pool2d", distinct(2, 3, 8, 6), size)


@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_three_axes_and_an_empty_batch(name):
    function = getattr(F, name)
    x = randn(5, 7, 7, dtype=np.float32)
    np.testing.assert_array_equal(function(x, 3), function(x[None], 3).numpy()[0])
    empty = Tensor(x[None][:0], requires_grad=True)
    out = function(empty, 3)
    assert out.shape == (0, 5, 3, 3)
    out.backward(np.zeros(out.shape, np.float32))
    assert empty.grad.shape == empty.shape


@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_bad_input(name):
    function, x = getattr(F, name), randn(1, 2, 6, 6)
    for bad in (0, -1, (2, 0), (2,), (2, 2, 2), 2**31, ()):
        with pytest.raises(ShapeError, match=f"{name}: output_size"):
            function(x, bad)
    for bad in (2.0, None, True, "2", (2, 2.0)):
        with pytest.raises(TypeError, match=f"{name}: output_size"):
            function(x, bad)
    for shape in ((6, 6), (1, 2, 3, 6, 6), (1, 0, 6, 6), (1, 2, 0, 6)):
        with pytest.raises(ShapeError, match=f"{name}: input"):
            function(np.zeros(shape, np.float32), 2)
    with pytest.raises(TypeError, match=f"{name}: input"):
        function(np.zeros((1, 2, 6, 6), np.int64), 2)


def test_layers():
    x = distinct(2, 3, 7, 5)
    assert np.array_equal(layers.AdaptiveAvgPool2d((3, None))(x), F.adaptive_avg_pool2d(x, (3, 5)))
    assert np.array_equal(layers.AdaptiveMaxPool2d(2)(x), F.adaptive_max_pool2d(x, 2))
    assert repr(layers.AdaptiveAvgPool2d((6, 6))) == "AdaptiveAvgPool2d(output_size=(6, 6))"


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_as_torch(size):
    torch = pytest.importorskip("torch")
    x = randn(2, 5, 8, 6)
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        out, other = getattr(F, name)(ours, size), getattr(torch.nn.functional, name)(theirs, size)
        np.testing.assert_allclose(out.detach(), other.detach(), rtol=1e-14, atol=1e-14)
        out.backward(np.ones(out.shape))
        other.sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-14, atol=1e-14)
