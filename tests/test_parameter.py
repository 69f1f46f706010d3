import numpy as np
import pytest

from fastconv import Parameter, Tensor
from fastconv.errors import ShapeError
from tests.helpers import randn


def test_a_parameter_owns_a_copy_in_c_order():
    array = randn(4, 3).T
    p = Parameter(array)
    array[...] = 0
    assert p.numpy().any()
    assert p.data.flags.c_contiguous
    assert p.requires_grad
    assert not Parameter([1.0], requires_grad=False).requires_grad


def test_nobody_else_writes_to_it():
    p = Parameter([1.0, 2.0])
    for view in (p.numpy(), p.data, np.asarray(p), p.detach().numpy(), p[:1].data, p.reshape(2, 1).data):
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
    assert p.tolist() == [1, 2]


def test_assign():
    p = Parameter(np.zeros((2, 2), np.float32))
    view = p.numpy()
    p.cache["packed"] = 1
    p.assign([[1, 2], [3, 4]])
    assert view.tolist() == [[1, 2], [3, 4]]
    assert p.version == 1
    assert not p.cache
    p.assign(Tensor([[5.0, 6.0], [7.0, 8.0]]))
    p.assign(Parameter(p))
    assert view[0, 0] == 5
    assert p.version == 3


def test_assign_of_what_does_not_fit_changes_nothing():
    p = Parameter([1.0, 2.0])
    p.cache["packed"] = 1
    for bad, error in (
        (np.ones(2), TypeError),
        ([1.0], ShapeError),
        (1.0, ShapeError),
        ("a", TypeError),
        (np.ones(2, int), TypeError),
        ([np.float64(1), np.float64(2)], TypeError),
    ):
        with pytest.raises(error, match="assign: values"):
            p.assign(bad)
    assert p.tolist() == [1, 2]
    assert p.version == 0
    assert p.cache


def test_writing_raises_the_version_even_when_it_fails():
    p = Parameter([1.0])
    p.cache["packed"] = 1
    with pytest.raises(ValueError, match="broadcast"), p.writing() as array:
        array[0], array[:] = 2, [1, 2]
    assert p.tolist() == [2]
    assert p.version == 1
    assert not p.cache


def test_convert():
    p = Parameter([1.0, 2.0])
    p.grad = Tensor([1.0, 1.0])
    p.convert(np.dtype(np.float64))
    assert p.dtype == np.float64
    assert p.grad is None
    assert p.version == 1
    assert not p.numpy().flags.writeable


def test_floats_only():
    for bad in (np.ones(2, int), np.ones(2, bool)):
        with pytest.raises(TypeError, match="Parameter: data must be float32 or float64"):
            Parameter(bad)


def test_gradients_are_in_c_order():
    p = Parameter(randn(3, 4))
    (p.T * Tensor(randn(4, 3))).sum().backward()
    assert p.grad.data.flags.c_contiguous
    assert p.grad.data.flags.writeable
