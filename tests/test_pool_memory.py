"""What pooling reads and writes, and that threads and batches change no bit."""

import numpy as np
import pytest

from fastconv import Tensor, _kernels, reference
from fastconv import functional as F
from fastconv.functional._window import window
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, channels_last, randn, thread_counts


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2)])
def test_guard_pages(each_isa, dtype, options):
    length = _kernels.vector_length(np.dtype(dtype))
    for channels in range(1, 2 * length + 2):
        where = window("max_pool2d", (2, channels, 5, 6), *options, pooling=True)
        for edge in ("start", "end"):
            x = guarded(channels_last(randn(2, channels, 5, 6, dtype=dtype)), edge)
            out, grad_x = (guarded_empty(s, dtype, edge, channels_last=True) for s in (where.out_shape, where.shape))
            winners = guarded_empty((where.winner_bytes,), np.uint8, edge)
            _kernels.max_pool2d(where, x, out, winners)
            _kernels.max_pool2d_grad(where, out, winners, grad_x)
            assert np.isfinite(grad_x).all()
            if options[3] == 1:
                _kernels.avg_pool2d(where, x, out, True, 0)
                grad_x[...] = np.nan
                _kernels.avg_pool2d_grad(where, out, grad_x, True, 0)
                assert np.isfinite(grad_x).all()


@pytest.mark.parametrize("options", [(2, 2, 0), (3, 2, 1)])
@pytest.mark.parametrize("channels", [2, 5])
def test_pixels_at_a_pitch(each_isa, options, channels):
    """A slice of wider pixels is read and written in place, and nothing beside it."""
    where = window("max_pool2d", (2, channels, 7, 6), *options, pooling=True)
    wide = channels_last(randn(2, channels + 4, 7, 6, dtype=np.float32))
    x = wide[:, 1 : 1 + channels]
    wide_out = channels_last(np.full((2, channels + 3, *where.out_shape[2:]), 7, np.float32))
    out = wide_out[:, 2 : 2 + channels]
    winners = np.empty(where.winner_bytes, np.uint8)
    _kernels.max_pool2d(where, x, out, winners)
    np.testing.assert_array_equal(out, F.max_pool2d(x.copy(), *options))
    assert (wide_out[:, :2] == 7).all()
    assert (wide_out[:, 2 + channels :] == 7).all()
    wide_grad = channels_last(np.full(wide.shape, 7, np.float32))
    _kernels.max_pool2d_grad(where, out, winners, wide_grad[:, 1 : 1 + channels])
    expected = reference.max_pool2d_grad(np.array(out), np.array(x), *options)
    np.testing.assert_allclose(wide_grad[:, 1 : 1 + channels], expected, rtol=1e-6)
    assert (wide_grad[:, 0] == 7).all()
    assert (wide_grad[:, 1 + channels :] == 7).all()


@pytest.mark.parametrize("options", [(2,), (3, 2, 1)])
@pytest.mark.parametrize("shape", [(20, 6, 28, 28), (1, 40, 67, 65)])
def test_thread_counts_and_batches_give_the_same_bits(options, shape):
    x = randn(*shape, dtype=np.float32)
    found = set()
    for _ in thread_counts():
        given = Tensor(x, requires_grad=True)
        out = F.max_pool2d(given, *options) + F.avg_pool2d(given, *options)
        out.backward(randn(*out.shape, dtype=np.float32))
        found.add((out.detach().numpy().tobytes(), given.grad.numpy().tobytes()))
    assert len(found) == 1
    alone = Tensor(x[:1], requires_grad=True)
    out_alone = F.max_pool2d(alone, *options) + F.avg_pool2d(alone, *options)
    out_alone.backward(randn(*out.shape, dtype=np.float32)[:1])
    np.testing.assert_array_equal(out_alone.detach(), out.detach().numpy()[:1])
    np.testing.assert_array_equal(alone.grad, given.grad.numpy()[:1])


def test_kernels_refuse_what_would_crash():
    where = window("max_pool2d", (2, 3, 6, 6), 2, 2, 0, pooling=True)
    x, out = channels_last(np.zeros((2, 3, 6, 6), np.float32)), channels_last(np.zeros((2, 3, 3, 3), np.float32))
    winners = np.zeros(where.winner_bytes, np.uint8)
    for bad in (x[:1], x[:, :2], x[:, :, 1:], x.astype(np.float64), np.zeros((2, 3, 6, 6), np.float32)):
        with pytest.raises(TypeError):
            _kernels.max_pool2d(where, bad, out, winners)
    for bad in (winners[1:], winners.astype(np.int64), np.zeros(2 * where.winner_bytes, np.uint8)[::2]):
        with pytest.raises(TypeError, match="winner_bytes"):
            _kernels.max_pool2d(where, x, out, bad)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        _kernels.max_pool2d(where, x, out, winners)
