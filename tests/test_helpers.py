import numpy as np
import pytest

from fastconv import functional as F
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn


def double(x, grad_factor=2.0, forward_factor=2.0):
    a = as_array(x, "double", "x")
    return record(a * a.dtype.type(forward_factor), lambda grad: (grad * a.dtype.type(grad_factor),), (x,))


def test_a_right_operation_passes():
    check_op(double, lambda x: 2 * x, [randn(2, 3, 4, 5)], lambda grad, x: 2 * grad)
    check_op(double, lambda x: 2 * x, [randn(0, 3)], lambda grad, x: 2 * grad)


def test_a_wrong_value_is_found():
    with pytest.raises(AssertionError, match="value of plain arrays"):
        check_op(lambda x: double(x, 2.1, 2.1), lambda x: 2 * x, [randn(3)])


def test_a_wrong_gradient_is_found():
    with pytest.raises(AssertionError, match="gradient of input 0"):
        check_op(lambda x: double(x, 2.1), lambda x: 2 * x, [randn(3)], lambda grad, x: 2 * grad)
    with pytest.raises(AssertionError, match="central difference"):
        check_op(lambda x: double(x, 2.1), lambda x: 2 * x, [randn(3)])


def test_an_operation_that_writes_to_its_input_is_found():
    def writes(x):
        a = as_array(x, "writes", "x")
        out = 2 * a
        if a.flags.writeable:
            a[...] = 0
        return record(out, lambda grad: (2 * grad,), (x,))

    with pytest.raises(AssertionError):
        check_op(writes, lambda x: 2 * x, [randn(3)])


def test_an_operation_that_ignores_strides_is_found():
    def flat(x):
        a = as_array(x, "flat", "x")
        out = np.lib.stride_tricks.as_strided(a, a.shape, np.empty(a.shape, a.dtype).strides)
        return record(2 * out, lambda grad: (2 * grad,), (x,))

    with pytest.raises(AssertionError, match="every second element"):
        check_op(flat, lambda x: 2 * x, [randn(3, 3)])


def test_errors_pass_through():
    with pytest.raises(ShapeError):
        check_op(F.reshape, lambda x, shape: x, [randn(3)], shape=(2,))
