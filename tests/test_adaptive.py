import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn
from tests.test_pool import distinct

SHAPES = {1: (2, 3, 8), 2: (2, 3, 8, 6), 3: (2, 2, 5, 4, 6)}
SIZES = {
    1: [1, 3, 8, (11,)],
    2: [1, 2, (3, 5), (7, 1), (None, 3), (8, 6), (10, 9)],
    3: [1, 2, (3, 4, 5), (5, None, 1), (2, 7, 3)],
}
CASES = [(axes, size) for axes, sizes in SIZES.items() for size in sizes]


def _check(name, x, size):
    given = size if isinstance(size, tuple) else (size,) * (x.ndim - 2)
    wanted = tuple(n if m is None else m for n, m in zip(x.shape[2:], given, strict=True))
    check_op(
        lambda x: getattr(F, name)(x, size),
        lambda x: getattr(reference, name)(x, wanted),
        [x],
        lambda grad, x: getattr(reference, f"{name}_grad")(grad, x, wanted),
    )


@pytest.mark.parametrize(("axes", "size"), CASES)
def test_adaptive_pooling(axes, size):
    _check(f"adaptive_avg_pool{axes}d", randn(*SHAPES[axes]), size)
    _check(f"adaptive_max_pool{axes}d", distinct(*SHAPES[axes]), size)


@pytest.mark.parametrize(("axes", "size"), CASES)
def test_indices(axes, size):
    x = distinct(*SHAPES[axes])
    values, indices = getattr(F, f"adaptive_max_pool{axes}d")(x, size, return_indices=True)
    assert indices.dtype == np.int64
    found = np.take_along_axis(x.reshape(*x.shape[:2], -1), indices.numpy().reshape(*x.shape[:2], -1), 2)
    assert np.array_equal(found.reshape(values.shape), values)
    one = getattr(F, f"adaptive_max_pool{axes}d")(x[0], size, return_indices=True)
    assert np.array_equal(one[1], indices.numpy()[0])


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


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers(axes):
    x = distinct(*SHAPES[axes])
    mean, largest = (getattr(layers, f"Adaptive{name}Pool{axes}d") for name in ("Avg", "Max"))
    assert np.array_equal(mean((3,) * axes)(x), getattr(F, f"adaptive_avg_pool{axes}d")(x, 3))
    assert np.array_equal(largest(2)(x), getattr(F, f"adaptive_max_pool{axes}d")(x, 2))
    assert largest(2, return_indices=True)(x)[1].dtype == np.int64
    assert repr(mean(6)) == f"AdaptiveAvgPool{axes}d(output_size=6)"
    with pytest.raises(TypeError, match="return_indices"):
        largest(2, return_indices=1)(x)
