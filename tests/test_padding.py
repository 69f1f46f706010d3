import numpy as np
import pytest

import fastconv
from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn

ONE = fastconv.available_isas()[:1]
SHAPES = {1: (2, 3, 6), 2: (2, 3, 5, 6), 3: (2, 2, 4, 5, 3)}


def _check(x, pad, mode="constant", **options):
    check_op(
        lambda x: F.pad(x, pad, mode, **options),
        lambda x: reference.pad(x, pad, mode, **options),
        [x],
        lambda grad, x: reference.pad_grad(grad, x, pad, mode, **options),
        isas=ONE,
    )


@pytest.mark.parametrize("pad", [(), (1, 0), (0, 2, 1, 1), (-1, 2), (-2, -1, 3, 0), (1, 1, 0, 0, 0, 2), (1,) * 8])
def test_constant(pad):
    _check(randn(2, 3, 5, 6), pad)
    _check(randn(2, 3, 5, 6), pad, value=-2.5)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_modes(mode, axes):
    x = randn(*SHAPES[axes])
    for pad in ((1, 2) * axes, (2, 0, 0, 1, 3, 0)[: 2 * axes], (0, 0) * axes):
        _check(x, pad, mode)
    assert np.array_equal(F.pad(x[0], (1, 1) * axes, mode), F.pad(x, (1, 1) * axes, mode).numpy()[0])


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_as_torch(mode):
    torch = pytest.importorskip("torch")
    for axes, shape in SHAPES.items():
        x, pad = randn(*shape), (2, -1, 0, 1, 1, 2)[: 2 * axes]
        ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        out, other = F.pad(ours, pad, mode), torch.nn.functional.pad(theirs, pad, mode)
        assert np.array_equal(out.detach(), other.detach())
        grad = randn(*out.shape)
        out.backward(grad)
        other.backward(torch.tensor(grad))
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-14)


def test_nothing_may_be_left_of_constant_padding_alone():
    assert F.pad(randn(2, 3), (-1, -2)).shape == (2, 0)
    with pytest.raises(ShapeError, match="'reflect'"):
        F.pad(randn(1, 2, 3), (-1, -2), "reflect")


def test_infinite_values_and_empty_batches():
    assert np.isneginf(F.pad(randn(2), (1, 0), value=-np.inf).numpy()[0])
    assert F.pad(np.zeros((0, 2, 3), np.float32), (1, 1), "reflect").shape == (0, 2, 5)
    assert F.pad(np.zeros((0, 2, 3), np.float32), (1, 1)).shape == (0, 2, 5)


def test_bad_input():
    x = randn(1, 2, 4, 4)
    for bad in ((1,), (1, 1, 1), (1,) * 10, 1, (-3, -2), (-5, 9)):
        with pytest.raises(ShapeError, match="pad: "):
            F.pad(x, bad)
    for bad in ((1.0, 1), (True, 1), ("1", 1)):
        with pytest.raises(TypeError, match="pad: pad"):
            F.pad(x, bad)
    with pytest.raises(TypeError, match="pad: value"):
        F.pad(x, (1, 1), value="0")
    with pytest.raises(ValueError, match="pad: mode must be one of"):
        F.pad(x, (1, 1), "mirror")
    with pytest.raises(ValueError, match="pad: value is for"):
        F.pad(x, (1, 1, 1, 1), "reflect", 1.0)
    for mode, most in (("reflect", 3), ("circular", 4)):
        F.pad(x, (most, 0, 0, most), mode)
        with pytest.raises(ShapeError, match=f"'{mode}' has at most {most}"):
            F.pad(x, (most + 1, 0, 0, 0), mode)
    for pad in ((1, 1), (1,) * 8, ()):
        with pytest.raises(ShapeError, match="mode 'reflect' pads one, two or three axes"):
            F.pad(x, pad, "reflect")
    with pytest.raises(ShapeError, match="2147483648"):
        F.pad(x, (2**31, 0))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers(axes):
    x = randn(*SHAPES[axes])
    for name, mode in (("Reflection", "reflect"), ("Replication", "replicate"), ("Circular", "circular")):
        layer = getattr(layers, f"{name}Pad{axes}d")
        assert np.array_equal(layer(1)(x), F.pad(x, (1, 1) * axes, mode))
        assert np.array_equal(layer((2, 0) * axes)(x[0]), F.pad(x[0], (2, 0) * axes, mode))
    zero, constant = getattr(layers, f"ZeroPad{axes}d"), getattr(layers, f"ConstantPad{axes}d")
    assert np.array_equal(zero(1)(x), F.pad(x, (1, 1) * axes))
    assert np.array_equal(constant(1, 2.5)(x), F.pad(x, (1, 1) * axes, value=2.5))
    assert repr(zero(1)) == f"ZeroPad{axes}d({(1,) * 2 * axes})"
    assert repr(constant(1, 2.5)) == f"ConstantPad{axes}d(padding={(1,) * 2 * axes}, value=2.5)"
    with pytest.raises(ShapeError, match=f"ZeroPad{axes}d: padding"):
        zero((1, 1, 1))
    with pytest.raises(ShapeError, match=f"ZeroPad{axes}d: input"):
        zero(1)(randn(2))


def test_center_crop():
    check_op(lambda x: F.center_crop(x, (2, 5)), lambda x: x[..., 1:3, 0:5], [randn(2, 3, 5, 6)], isas=ONE)
    assert np.array_equal(layers.CenterCrop(2)(randn(5, 6)), randn(5, 6)[1:3, 2:4])
    for shape, size in (((4, 4), 5), ((4,), 1), ((2, 3, 4), (3, 5))):
        with pytest.raises(ShapeError, match="center_crop: output_size"):
            F.center_crop(randn(*shape), size)
