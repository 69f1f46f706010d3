import numpy as np
import pytest

from fastconv import Parameter, Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers import RBF, Buffer
from fastconv.layers.linear import digit_bitmaps
from tests.helpers import check_op, randn


@pytest.mark.parametrize("shape", [(4, 7), (7,), (2, 3, 7), (0, 7)])
def test_rbf(shape):
    check_op(
        F.rbf,
        reference.rbf,
        [randn(*shape), randn(5, 7, seed=1)],
        reference.rbf_grad,
        tolerance={np.float32: 4e-6, np.float64: 1e-14},
        exact_layouts=False,
    )


def test_small_distances_do_not_cancel():
    x = np.float32(1000) + randn(1, 8, dtype=np.float32)
    weight = x + np.float32(0.25)
    assert F.rbf(x, weight).item() == pytest.approx(8 / 16, rel=1e-3)


def test_more_rows_than_are_held_at_a_time():
    x, weight = randn(40, 300), randn(200, 300, seed=1)
    np.testing.assert_allclose(F.rbf(x, weight), reference.rbf(x, weight), rtol=1e-12)


def test_digits_differ():
    digits = digit_bitmaps()
    assert digits.shape == (10, 84)
    assert set(np.unique(digits)) == {-1, 1}
    apart = (digits[:, None] != digits).sum(-1)
    assert (apart + 100 * np.eye(10) >= 4).all()
    ink = digits.reshape(10, 12, 7).max(1)
    assert (ink[:, 2:5] == 1).all()


def test_layer():
    fixed, learned = RBF(), RBF(trainable=True)
    assert isinstance(fixed.weight, Buffer)
    assert not list(fixed.parameters())
    assert isinstance(learned.weight, Parameter)
    assert list(fixed.state_dict()) == list(learned.state_dict()) == ["weight"]
    x = Tensor(digit_bitmaps() * 0.9, requires_grad=True)
    out = fixed(x)
    assert out.detach().numpy().argmin(1).tolist() == list(range(10))
    out.backward(np.eye(10, dtype=np.float32))
    np.testing.assert_allclose(x.grad, 2 * (x.data - digit_bitmaps()), atol=1e-5)
    assert RBF(3, 2, np.ones((2, 3), np.float32))(np.zeros(3, np.float32)).tolist() == [3, 3]
    assert repr(learned) == "RBF(in_features=84, out_features=10, trainable=True)"
    assert RBF(out_features=4).weight.shape == (4, 84)


def test_bad_input():
    for shapes in (((3,), (2, 4)), ((), (2, 4)), ((4,), (4,))):
        with pytest.raises(ShapeError, match="rbf: weight must be"):
            F.rbf(*(np.zeros(shape, np.float32) for shape in shapes))
    with pytest.raises(TypeError, match="rbf: input is float64 but weight is float32"):
        F.rbf(np.zeros(3), np.zeros((2, 3), np.float32))
    for arguments in ((84, 11), (83, 10), (3, 2, np.ones((3, 2)))):
        with pytest.raises(ShapeError, match="RBF: weight must have shape"):
            layers.RBF(*arguments)
