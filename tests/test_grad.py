import numpy as np
import pytest

from fastconv import Parameter, Tensor, gradcheck
from fastconv import functional as F
from fastconv.autograd import record
from fastconv.layers import Linear
from tests.helpers import randn


def test_gradcheck_finds_errors():
    def wrong(x):
        return record(x.data**2, lambda grad: (3 * grad * x.data,), (x,))

    assert gradcheck(lambda x, y: x * y + F.exp(x), [randn(3, 4), randn(4)])
    with pytest.raises(AssertionError, match=r"input 0, element \(\d,\): gradient .*, central difference"):
        gradcheck(wrong, [randn(3)])
    assert gradcheck(wrong, [randn(3)], raise_exception=False) is False
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


def test_gradcheck_of_one_input_and_of_outputs_that_share_their_way():
    def two(x):
        y = F.exp(x)
        return y, y * x

    assert gradcheck(two, randn(3))
    assert gradcheck(two, Tensor(randn(2, 2)))


def test_gradcheck_of_a_layers_parameters():
    layer = Linear(3, 2, rng=0).double()
    layer.weight.grad = kept = Tensor(np.ones((2, 3)))
    before = layer.weight.data.copy()
    x = randn(4, 3)
    assert gradcheck(lambda x, *parameters: F.exp(layer(x)), [x, *layer.parameters()])
    assert layer.weight.grad is kept
    assert layer.bias.grad is None
    assert np.array_equal(layer.weight.data, before)

    def wrong(x, weight):
        return record(x @ weight.data, lambda grad: (None, x.T @ grad * 2), (x, weight))

    weight = Parameter(randn(3, 2))
    with pytest.raises(AssertionError, match=r"input 0, element"):
        gradcheck(lambda weight: wrong(x, weight), [weight])
    assert np.array_equal(weight.data, randn(3, 2))


@pytest.mark.parametrize("returned", [3.0, (np.ones(2),), None])
def test_what_is_no_tensor_is_refused(returned):
    with pytest.raises(TypeError, match="gradcheck: fn must return a Tensor or a tuple of Tensors, got"):
        gradcheck(lambda x: returned, [np.ones(2)])
