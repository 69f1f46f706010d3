"""Normalising nothing: no images, no pixels, no channels."""

import numpy as np
import pytest

from fastconv import Parameter, Tensor, layers
from fastconv import functional as F
from fastconv.errors import ShapeError

CLASSES = {2: layers.BatchNorm1d, 4: layers.BatchNorm2d}


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 3, 0, 4)])
def test_training_on_nothing_moves_nothing(shape):
    layer = CLASSES[len(shape)](3)
    x = Tensor(np.zeros(shape, np.float32), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == shape
    np.testing.assert_array_equal(layer.weight.grad, np.zeros(3))
    np.testing.assert_array_equal(layer.running_mean, np.zeros(3))
    np.testing.assert_array_equal(layer.running_var, np.ones(3))


@pytest.mark.parametrize("training", [True, False])
def test_no_channels(training):
    """PyTorch takes an array of shape (0,) for a batch without channels; every check is as for others."""
    x, none = Tensor(np.zeros(0, np.float32), requires_grad=True), np.zeros(0, np.float32)
    w, r = Parameter(none), Tensor(none, requires_grad=True)
    out = F.batch_norm(x, none.copy(), none.copy(), w, w, training, residual=r, activation="relu")
    assert out.shape == (0,)
    out.backward(none)
    assert x.grad.shape == w.grad.shape == r.grad.shape == (0,)
    one = np.ones(1, np.float32)
    for arguments in ((one, one), (none, one), (none, none, one), (none, none, None, one)):
        with pytest.raises(ShapeError, match=r"must have shape \(0,\)"):
            F.batch_norm(x, *arguments, training=training)
    with pytest.raises(TypeError, match="running_mean is float64"):
        F.batch_norm(x, np.zeros(0), none, training=training)
    with pytest.raises(ValueError, match="eps"):
        F.batch_norm(x, none, none, training=training, eps=-1.0)
    with pytest.raises(ValueError, match="needs running_mean"):
        F.batch_norm(x)
    with pytest.raises(ShapeError, match="residual"):
        F.batch_norm(x, none, none, training=training, residual=one)
    with pytest.raises(ShapeError, match="at least one channel"):
        F.batch_norm(np.zeros((3, 0), np.float32), none, none, training=training)
