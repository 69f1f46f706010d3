import numpy as np
import pytest

from fastconv import Tensor, gradcheck
from fastconv import functional as F
from fastconv.autograd import record
from tests.helpers import randn


def test_gradcheck_finds_errors():
    def wrong(x):
        return record(x.data**2, lambda grad: (3 * grad * x.data,), (x,))

    assert gradcheck(lambda x, y: x * y + F.exp(x), [randn(3, 4), randn(4)])
    with pytest.raises(AssertionError, match=r"input 0, element \(\d,\): gradient .*, central difference"):
        gradcheck(wrong, [randn(3)])
    with pytest.raises(AssertionError, match="requires no gradient"):
        gradcheck(lambda x: x.detach(), [randn(3)])
    with pytest.raises(TypeError, match="no input is a float64"):
        gradcheck(lambda x: x, [randn(3).astype(np.float32)])


def test_gradcheck_leaves_its_inputs_alone():
    x = randn(3)
    before = x.copy()
    t = Tensor(x, requires_grad=True)
    assert gradcheck(lambda t: (t * t, t.sum()), [t])
    assert np.array_equal(x, before)
    assert t.grad is None
