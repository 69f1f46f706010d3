"""conv2d with a filter of its own for every channel: the kernels that pass over columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import functional as F
from fastconv import reference
from tests.helpers import DTYPES, ISAS, check_op, isa, randn, run, smallints, thread_counts

CASES = [  # channels, size, kernel, options
    (35, (7, 9), 3, {"padding": 1}),
    (16, (8, 5), 3, {"padding": 1, "stride": 2}),
    (5, (1, 2), 5, {"padding": 2}),
    (33, (9, 12), 5, {"padding": 2, "stride": 2}),
    (7, (23, 44), 5, {"padding": 1, "stride": 5}),  # more phases of its input gradient than are run at a time
    (20, (37, 8), 2, {"stride": (4, 3)}),  # some that nothing reaches, and bands that some do not have
    (2, (6, 70), 3, {"padding": ((0, 2), (2, 0))}),
    (1, (7, 9), 3, {"padding": 1, "stride": 2}),  # one channel, which is no group
]


@pytest.mark.parametrize(("channels", "size", "kernel", "options"), CASES)
def test_depthwise(channels, size, kernel, options):
    inputs = [randn(2, channels, *size), randn(channels, 1, kernel, kernel), randn(channels)]
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad, groups=channels, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ISAS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_small_integers_bit_for_bit(name, dtype, data):
    draw = data.draw
    channels, kernel = draw(st.sampled_from([2, 15, 16, 17, 40, 130])), draw(st.sampled_from([3, 5]))
    size = [draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 67])) for _ in "yx"]
    options = {"stride": draw(st.sampled_from([1, 2])), "groups": channels}
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    most = {"zeros": kernel, "reflect": min(size) - 1, "replicate": kernel}.get(mode, min(size))
    if min(size) + 2 * min(most, kernel) < kernel:
        size, most = [kernel, kernel], min(most, kernel)
    options["padding"] = tuple(draw(st.integers(max(0, -((n - kernel) // 2)), min(most, kernel))) for n in size)
    x = smallints(draw(st.integers(1, 2)), channels, *size, dtype=dtype)
    w, b = smallints(channels, 1, kernel, kernel, dtype=dtype), smallints(channels, dtype=dtype)
    expected = reference.conv2d(x, w, b, **options, padding_mode=mode)
    grad = smallints(*expected.shape, seed=1, dtype=dtype)
    with isa(name):
        value, grads = run(F.conv2d, [x, w, b], [0, 1, 2], options | {"padding_mode": mode}, grad)
        clamped = F.conv2d(x, w, b, **options, padding_mode=mode, residual=grad, activation="relu6").numpy()
    assert np.array_equal(value, expected)
    assert np.array_equal(clamped, np.clip(expected + grad, 0, 6))
    for found, wanted in zip(grads, reference.conv2d_grad(grad, x, w, b, **options, padding_mode=mode), strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize(("channels", "size", "stride"), [(320, 7, 1), (40, 57, 1), (64, 40, 2)])
def test_threads_and_batches_do_not_change_a_bit(channels, size, stride):
    x, w = randn(2, channels, size, size, dtype=np.float32), randn(channels, 1, 3, 3, dtype=np.float32)
    options = {"padding": 1, "stride": stride, "groups": channels}
    out = F.conv2d(x, w, **options).numpy()
    grad = randn(*out.shape, dtype=np.float32)
    results = []
    for _ in thread_counts():
        value, grads = run(F.conv2d, [x, w], [0, 1], options, grad)
        results.append([value, *grads])
    assert np.array_equal(results[0][0][1:], F.conv2d(x[1:], w, **options).numpy())
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channels", [18, 48])
def test_a_value_reaches_only_the_pixels_that_see_it(name, value, channels):
    x, w = np.abs(randn(1, channels, 9, 11, dtype=np.float32)) + 1, randn(channels, 1, 3, 3, dtype=np.float32)
    w[3] = np.inf
    x[0, 1, 4, 5] = value
    with isa(name):
        found = F.conv2d(x, w, padding=1, groups=channels).numpy()
    seen = np.zeros(found.shape, bool)
    seen[0, 1, 3:6, 4:7] = True
    seen[0, 3] = True
    assert np.array_equal(~np.isfinite(found), seen)
    assert np.isposinf(found[0, 3]).all()  # padding of zeros, times which it would be NaN, is left out


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("place", [(0, 0), (2, 3), (-1, -1)])
def test_a_value_reaches_only_the_gradients_that_it_belongs_to(name, value, kernel, stride, place):
    channels, at = 18, (0, 1, *place)
    x, w = randn(1, channels, 9, 11, dtype=np.float32), randn(channels, 1, kernel, kernel, dtype=np.float32)
    w[3] = np.inf
    options = {"stride": stride, "padding": 1, "groups": channels}
    grad = np.abs(randn(*reference.conv2d(x, w, **options).shape, dtype=np.float32)) + 1
    with isa(name):
        broken_x, broken_grad = x.copy(), grad.copy()
        broken_x[at] = broken_grad[at] = value
        by_grad = run(F.conv2d, [x, w], [0], options, broken_grad)[1][0]
        by_x = run(F.conv2d, [broken_x, w], [1], options, grad)[1][0]
    # What indicators reach tells where the values may go.
    mark, ones = np.zeros_like(grad), np.ones_like(w)
    mark[at] = 1
    seen = reference.conv2d_grad(mark, x, ones, **options)[0] != 0
    seen[0, 3] = reference.conv2d_grad(np.ones_like(grad), x, ones, **options)[0][0, 3] != 0
    assert np.array_equal(~np.isfinite(by_grad), seen)
    assert not np.isnan(by_grad[0, 3]).any()  # Inf times a gradient that is not there
    mark = np.zeros_like(x)
    mark[at] = 1
    assert np.array_equal(~np.isfinite(by_x), reference.conv2d_grad(np.ones_like(grad), mark, w, **options)[1] != 0)


@pytest.mark.parametrize(("size", "padding", "extra"), [((5, 8), 1, 1), ((6, 3), 0, 0), ((4, 35), (3, 2), (0, 1))])
def test_transposed(size, padding, extra):
    """What strided input gradients are, with a bias."""
    inputs = [randn(2, 33, *size), randn(33, 1, 3, 3), randn(33)]
    options = {"stride": 2, "padding": padding, "output_padding": extra, "groups": 33}
    check_op(F.conv_transpose2d, reference.conv_transpose2d, inputs, reference.conv_transpose2d_grad, **options)
