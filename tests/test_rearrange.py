import numpy as np
import pytest

import fastconv
from fastconv import Tensor, _kernels, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, channels_last, check_op, randn

ONE = fastconv.available_isas()[:1]


def _check(name, x, number):
    check_op(
        lambda x: getattr(F, name)(x, number),
        lambda x: getattr(reference, name)(x, number),
        [x],
        lambda grad, x: getattr(reference, f"{name}_grad")(grad, x, number),
        isas=ONE,
    )


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(2, 6, 3, 4), (2, 6, 3), (1, 6, 2, 1, 2)])
def test_channel_shuffle(groups, shape):
    _check("channel_shuffle", randn(*shape), groups)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("batch", [(2,), (), (2, 1, 3)])
def test_pixel_shuffle(factor, batch):
    _check("pixel_shuffle", randn(*batch, 2 * factor**2, 3, 4), factor)
    _check("pixel_unshuffle", randn(*batch, 2, 3 * factor, 2 * factor), factor)


def test_results_are_channels_last():
    x = randn(2, 8, 4, 6, dtype=np.float32)
    for out in (F.channel_shuffle(x, 2), F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2)):
        assert out.numpy().transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("edge", ["start", "end"])
def test_copies_between_guard_pages(each_isa, edge):
    for dtype in DTYPES:
        for channels in range(1, 2 * _kernels.vector_length(np.dtype(dtype)) + 2):
            x = guarded(channels_last(randn(2, channels, 3, 2, dtype=dtype)), edge)
            wide = guarded_empty((2, channels + 3, 3, 2), dtype, edge, channels_last=True)
            for first in (0, 3):
                _kernels.copy_channels(x, wide[:, first : first + channels])
                assert np.array_equal(wide[:, first : first + channels], x)
            out = guarded_empty(x.shape, dtype, edge, channels_last=True)
            _kernels.copy_channels(x, out, np.arange(channels)[::-1].copy())
            assert np.array_equal(out, x[:, ::-1])


@pytest.mark.parametrize("edge", ["start", "end"])
def test_interleaves_between_guard_pages(each_isa, edge):
    for dtype in DTYPES:
        for channels in range(1, 2 * _kernels.vector_length(np.dtype(dtype)) + 2):
            x, y = (guarded(channels_last(randn(2, channels, 3, 2, dtype=dtype)), edge) for _ in range(2))
            out = guarded_empty((2, 2 * channels, 3, 2), dtype, edge, channels_last=True)
            _kernels.interleave(x, y, out)
            assert np.array_equal(out[:, ::2], x)
            assert np.array_equal(out[:, 1::2], y)
            wide = guarded_empty((2, 2 * channels + 3, 3, 2), dtype, edge, channels_last=True)
            wide[...] = 7
            _kernels.interleave(x, y, wide[:, 2 : 2 * channels + 2])
            assert np.array_equal(wide[:, 2 : 2 * channels + 2], out)
            assert np.all(wide[:, [0, 1, -1]] == 7)


def test_interleave_refuses_what_would_crash():
    x = channels_last(np.zeros((2, 3, 4, 4), np.float32))
    out = _kernels.empty_channels_last((2, 6, 4, 4), x.dtype)
    for y, place in ((x[:, :2], out), (x, out[:, :5]), (x.astype(np.float64), out), (x, x), (x[:1], out)):
        with pytest.raises(TypeError):
            _kernels.interleave(x, y, place)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        _kernels.interleave(x, x, out)


def test_copies_refuse_what_would_crash():
    x = channels_last(np.zeros((2, 3, 4, 4), np.float32))
    for bad in (x[:, :2], x.astype(np.float64), np.zeros((2, 3, 4, 4), np.float32), x[:1]):
        with pytest.raises(TypeError):
            _kernels.copy_channels(x, bad)
    for order in (np.arange(2), np.arange(3, dtype=np.int32), np.arange(6)[::2]):
        with pytest.raises(TypeError, match="for each channel"):
            _kernels.copy_channels(x, x.copy(order="K"), order)


def test_as_torch():
    torch = pytest.importorskip("torch")
    x = randn(2, 8, 4, 6)
    for name in ("channel_shuffle", "pixel_shuffle", "pixel_unshuffle"):
        assert np.array_equal(getattr(F, name)(x, 2), getattr(torch.nn.functional, name)(torch.tensor(x), 2))


@pytest.mark.parametrize("name", ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"])
def test_bad_input(name):
    function = getattr(F, name)
    for shape in ((1, 5, 3, 3), (6, 6), (6,)):
        with pytest.raises(ShapeError, match=f"{name}: input must be"):
            function(np.zeros(shape, np.float32), 2)
    for bad in (0, -1, 2**31):
        with pytest.raises(ShapeError, match=name):
            function(np.zeros((1, 4, 4, 4), np.float32), bad)
    for bad in (2.0, None, True):
        with pytest.raises(TypeError, match=name):
            function(np.zeros((1, 4, 4, 4), np.float32), bad)
    assert 0 in function(np.zeros((0, 4, 4, 4), np.float32), 2).shape


def test_layers():
    x = randn(2, 8, 4, 6)
    for layer, function in (
        (layers.ChannelShuffle(4), lambda x: F.channel_shuffle(x, 4)),
        (layers.PixelShuffle(2), lambda x: F.pixel_shuffle(x, 2)),
        (layers.PixelUnshuffle(2), lambda x: F.pixel_unshuffle(x, 2)),
        (layers.Unflatten(1, (2, -1)), lambda x: F.unflatten(x, 1, (2, 4))),
        (layers.Identity(5, some="thing"), lambda x: x),
    ):
        assert np.array_equal(layer(x), function(x))
    assert repr(layers.PixelShuffle(2)) == "PixelShuffle(upscale_factor=2)"
    assert repr(layers.Identity()) == "Identity()"


def test_merging_layers():
    a, b = Tensor(randn(2, 3, 4, 4), requires_grad=True), Tensor(randn(2, 2, 4, 4), requires_grad=True)
    out = layers.Concat()(a, b)
    assert np.array_equal(out.detach(), np.concatenate((a.data, b.data), 1))
    grad = randn(*out.shape)
    out.backward(grad)
    assert np.array_equal(a.grad, grad[:, :3])
    assert np.array_equal(b.grad, grad[:, 3:])
    assert np.array_equal(F.concat((a, b), 1).detach(), out.detach())
    x = randn(2, 3)
    assert np.array_equal(layers.Add()(x, x, x), x + x + x)
    with pytest.raises(TypeError, match="Add: takes two inputs"):
        layers.Add()(x)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flatten", (0, -1)),
        ("flatten", (1, 2)),
        ("unflatten", (1, (3, -1))),
        ("unflatten", (-1, (5, 1))),
        ("center_crop", (3,)),
        ("center_crop", ((2, 1),)),
    ],
)
def test_twins_of_changes_of_shape(name, options):
    x = Tensor(randn(2, 6, 4, 5), requires_grad=True)
    out = getattr(F, name)(x, *options)
    assert np.array_equal(out.detach(), getattr(reference, name)(x.data, *options))
    grad = randn(*out.shape)
    out.backward(grad)
    assert np.array_equal(x.grad, getattr(reference, f"{name}_grad")(grad, x.data, *options))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_twin_of_stack(dim):
    given = [Tensor(randn(2, 3, seed=i), requires_grad=True) for i in range(3)]
    out = F.stack(given, dim)
    arrays = [x.data for x in given]
    assert np.array_equal(out.detach(), reference.stack(*arrays, dim=dim))
    grad = randn(*out.shape)
    out.backward(grad)
    for x, expected in zip(given, reference.stack_grad(grad, *arrays, dim=dim), strict=True):
        assert np.array_equal(x.grad, expected)


def test_cat_of_nothing_with_anything():
    empty, image = np.empty(0), np.ones((2, 3, 4, 4))
    check_op(lambda *a: F.cat(a, 1), lambda a, b, c: np.concatenate((a, c), 1), [image, empty, image], isas=ONE)
    assert F.cat([empty, empty]).shape == (0,)
    with pytest.raises(ShapeError, match=r"tensors\[2\]"):
        F.cat([empty, image, image[:1]], 1)
