import numpy as np
import pytest

import fastconv
from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn

SHAPES = {1: (2, 3, 5), 2: (2, 3, 5, 4), 3: (1, 2, 3, 4, 3)}
MODES = [(1, "linear"), (2, "bilinear"), (2, "bicubic"), (3, "trilinear")]
LIMIT = {np.float32: 4e-6, np.float64: 1e-13}


def _check(axes, **options):
    check_op(
        lambda x: F.interpolate(x, **options),
        lambda x: reference.interpolate(x, **options),
        [randn(*SHAPES[axes])],
        lambda grad, x: reference.interpolate_grad(grad, x, **options),
        tolerance=LIMIT,
    )


@pytest.mark.parametrize(("axes", "mode"), MODES)
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("align_corners", [False, True])
def test_linear_and_cubic(axes, mode, size, align_corners):
    _check(axes, size=size, mode=mode, align_corners=align_corners)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
@pytest.mark.parametrize("size", [4, 7])
def test_nearest_and_area(axes, mode, size):
    _check(axes, size=size, mode=mode)


@pytest.mark.parametrize(("axes", "mode"), [*MODES, (2, "nearest"), (2, "nearest-exact")])
@pytest.mark.parametrize("factor", [0.5, 1.7])
def test_factors(axes, mode, factor):
    _check(axes, scale_factor=factor, mode=mode)
    if axes == 2:
        _check(axes, scale_factor=(factor, 2.5), mode=mode)


def _options(mode, size):
    """Options that PyTorch takes with a mode, for a size or for a factor."""
    yield {}
    if "linear" in mode or "cubic" in mode:
        yield {"align_corners": True}
    if mode in ("bilinear", "bicubic"):
        yield {"antialias": True}
        yield {"antialias": True, "align_corners": True}
    if not size:
        yield {"recompute_scale_factor": True}


@pytest.mark.parametrize(("axes", "mode"), [*MODES, (2, "nearest"), (2, "nearest-exact"), (2, "area")])
@pytest.mark.parametrize("wanted", [{"size": 3}, {"size": 9}, {"scale_factor": 0.6}, {"scale_factor": 2.3}])
def test_as_torch(axes, mode, wanted):
    torch = pytest.importorskip("torch")
    for more in _options(mode, "size" in wanted):
        _compare(torch, axes, mode, {**wanted, **more})


def _compare(torch, axes, mode, options, gradient=True):
    x = randn(*SHAPES[axes])
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out = F.interpolate(ours, mode=mode, **options)
    other = torch.nn.functional.interpolate(theirs, mode=mode, **options)
    np.testing.assert_allclose(out.detach(), other.detach(), rtol=1e-6, atol=1e-6, err_msg=f"{mode} {options}")
    if not gradient:
        return
    grad = randn(*out.shape)
    out.backward(grad)
    other.backward(torch.tensor(grad))
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["linear", "bilinear", "trilinear", "bicubic"])
def test_an_axis_that_keeps_its_length_is_as_torch_has_it(mode):
    torch = pytest.importorskip("torch")
    axes = dict(zip(("linear", "bilinear", "trilinear"), (1, 2, 3), strict=True)).get(mode, 2)
    for antialias in {False, axes == 2}:
        # PyTorch's gradient is not that of its value where it filters: there it copies the one, but not the other.
        gradient = not antialias and mode != "bicubic"
        _compare(torch, axes, mode, {"scale_factor": 1.19, "antialias": antialias}, gradient)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_which_element_is_nearest_is_rounded_as_torch_does(mode, dtype):
    """A place such as 25 * (2 / 50) is a whole number or not by the last bit."""
    torch = pytest.importorskip("torch")
    options = [{"size": (1, n)} for n in range(1, 100)] + [{"scale_factor": (1, f / 10)} for f in range(5, 40)]
    for size in (2, 4, 7, 12, 23):
        x = np.arange(size, dtype=dtype).reshape(1, 1, 1, size)
        for each in options:
            expected = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **each)
            assert np.array_equal(F.interpolate(x, mode=mode, **each).numpy(), expected.numpy()), (size, each)
        if mode == "nearest" or dtype == np.float64:  # PyTorch itself rounds signals in float32 in two ways
            for n in range(1, 100):
                expected = torch.nn.functional.interpolate(torch.tensor(x[:, 0]), n, mode=mode)
                assert np.array_equal(F.interpolate(x[:, 0], n, mode=mode).numpy(), expected.numpy()), (size, n)


def test_antialias_sees_every_pixel_and_keeps_constants():
    x = np.zeros((1, 1, 16, 16))
    x[0, 0, 4, 7] = 1
    assert F.interpolate(x, 4, mode="bilinear").numpy().sum() == 0
    assert F.interpolate(x, 4, mode="bilinear", antialias=True).numpy().sum() == pytest.approx(1 / 16, rel=0.1)
    for mode in ("bilinear", "bicubic"):
        for size in (3, 16, 40):
            ones = F.interpolate(np.ones((1, 1, 16, 16)), size, mode=mode, antialias=True)
            np.testing.assert_allclose(ones, np.ones((1, 1, size, size)), rtol=1e-12)


def test_the_same_size_copies_every_bit():
    x = np.array([np.nan, np.inf, -0.0, 1.0]).reshape(1, 1, 2, 2)
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
        assert F.interpolate(x, 2, mode=mode).numpy().tobytes() == x.tobytes()


def test_bad_input():
    x = randn(1, 2, 4, 4)
    for bad in (0, -1, (2,), (2, 2, 2), 2**31):
        with pytest.raises(ShapeError, match="interpolate: size"):
            F.interpolate(x, bad)
    for bad in (2.0, True, "2"):
        with pytest.raises(TypeError, match="interpolate: size"):
            F.interpolate(x, bad)
    for bad in (0.1, (2.0,), 2.0**40):
        with pytest.raises(ShapeError, match="interpolate: scale_factor"):
            F.interpolate(x, scale_factor=bad)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="interpolate: scale_factor"):
            F.interpolate(x, scale_factor=bad)
    with pytest.raises(TypeError, match="interpolate: scale_factor"):
        F.interpolate(x, scale_factor="2")
    for options in ({}, {"size": 2, "scale_factor": 2.0}):
        with pytest.raises(ValueError, match="either size or scale_factor"):
            F.interpolate(x, **options)
    with pytest.raises(ValueError, match="interpolate: mode must be one of"):
        F.interpolate(x, 2, mode="cubic")
    for mode in ("linear", "trilinear"):
        with pytest.raises(ShapeError, match=f"for mode '{mode}'"):
            F.interpolate(x, 2, mode=mode)
    for mode in ("nearest", "area"):
        with pytest.raises(ValueError, match="align_corners is for"):
            F.interpolate(x, 2, mode=mode, align_corners=False)
    with pytest.raises(ValueError, match="antialias is for"):
        F.interpolate(x, 2, antialias=True)
    with pytest.raises(TypeError, match="align_corners"):
        F.interpolate(x, 2, mode="bilinear", align_corners=1)
    with pytest.raises(ValueError, match="recompute_scale_factor needs"):
        F.interpolate(x, 2, recompute_scale_factor=True)
    for shape in ((4, 4), (1, 0, 4, 4), (1, 2, 0, 4)):
        with pytest.raises(ShapeError, match="interpolate: input"):
            F.interpolate(np.zeros(shape, np.float32), 2)
    assert F.interpolate(np.zeros((0, 2, 4, 4), np.float32), 2).shape == (0, 2, 2, 2)


def test_layers():
    x = randn(*SHAPES[2], dtype=np.float32)
    assert np.array_equal(layers.Upsample(scale_factor=2)(x), F.interpolate(x, scale_factor=2))
    assert np.array_equal(layers.Upsample((3, 9), mode="bicubic")(x), F.upsample(x, (3, 9), mode="bicubic"))
    assert np.array_equal(layers.UpsamplingNearest2d(7)(x), F.interpolate(x, 7))
    bilinear = layers.UpsamplingBilinear2d(scale_factor=2)
    assert np.array_equal(bilinear(x), F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
    assert repr(bilinear) == "UpsamplingBilinear2d(scale_factor=2.0, mode='bilinear')"
    assert fastconv.layers.Upsample(4).size == 4
