"""linear: values, gradients and errors."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import DTYPES, ISAS, check_op, isa, randn, run, smallints

SIZES = [(1, 1, 1), (1, 400, 120), (2, 17, 33), (7, 16, 15), (8, 31, 10), (13, 5, 40), (64, 84, 10), (33, 3, 2)]


@pytest.mark.parametrize(("batch", "inputs", "outputs"), SIZES)
def test_linear(batch, inputs, outputs):
    # NumPy sums the bias's gradient, in an order that depends on strides.
    given = [randn(batch, inputs), randn(outputs, inputs), randn(outputs)]
    tolerance = {np.float32: 3e-6, np.float64: 1e-14}
    check_op(F.linear, reference.linear, given, reference.linear_grad, tolerance=tolerance, exact_layouts=False)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5), (2, 1, 3, 5)])
def test_any_leading_axes(shape):
    given = [randn(*shape), randn(4, 5)]
    check_op(F.linear, reference.linear, given, reference.linear_grad, exact_layouts=False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("batch", [0, 1, 5, 6, 7, 8, 9, 31, 32, 65])
def test_small_integers_bit_for_bit(name, dtype, batch):
    for inputs, outputs in ((1, 1), (15, 17), (16, 16), (33, 64), (100, 3), (1024, 19), (24, 144)):
        x, w, b = (smallints(*shape, dtype=dtype) for shape in ((batch, inputs), (outputs, inputs), (outputs,)))
        grad = smallints(batch, outputs, seed=1, dtype=dtype)
        with isa(name):
            value, grads = run(F.linear, [x, w, b], [0, 1, 2], {}, grad)
        assert np.array_equal(value, reference.linear(x, w, b))
        for found, expected in zip(grads, reference.linear_grad(grad, x, w, b), strict=True):
            assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("x", "w", "b", "message"),
    [
        ((2, 3), (4, 5), None, "takes 5 features, but input has shape"),
        ((2, 3), (4,), None, "weight must be"),
        ((), (4, 5), None, "takes 5 features"),
        ((2, 5), (4, 5), (5,), "bias must have shape"),
        ((2, 5), (4, 5), (4, 1), "bias must have shape"),
    ],
)
def test_shape_errors(x, w, b, message):
    arrays = [None if shape is None else np.ones(shape, np.float32) for shape in (x, w, b)]
    with pytest.raises(ShapeError, match=message):
        F.linear(*arrays)


def test_dtype_errors():
    with pytest.raises(TypeError, match="input is float64 but weight is float32"):
        F.linear(np.ones((1, 2)), np.ones((1, 2), np.float32))
    with pytest.raises(TypeError, match="linear: weight"):
        F.linear(np.ones((1, 2), np.float32), np.ones((1, 2), np.int32))


def test_layer():
    layer = layers.Linear(7, 3, rng=0)
    x = Tensor(randn(2, 7, dtype=np.float32), requires_grad=True)
    out = layer(x)
    assert np.allclose(out.detach(), x.detach().numpy() @ layer.weight.numpy().T + layer.bias.numpy(), atol=1e-6)
    assert repr(layer) == "Linear(in_features=7, out_features=3, bias=True)"
    assert np.abs(layer.weight.numpy()).max() <= 1 / np.sqrt(7)
    layer.weight.assign(np.zeros((3, 7), np.float32))
    with pytest.raises(RuntimeError, match="linear: the weight was written to"):
        out.backward(np.ones(out.shape, np.float32))
