"""conv2d: values, gradients, options and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import Tensor, algorithm_options, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import DTYPES, ISAS, check_op, isa, randn, run, smallints, thread_counts

CASES = [  # x, w, options
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 3, 5, 7), (4, 3, 3, 3), {}),
    ((1, 17, 5, 5), (33, 17, 3, 3), {"padding": 1}),
    ((2, 4, 9, 8), (5, 4, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    ((1, 2, 11, 13), (3, 2, 5, 3), {"dilation": (2, 3), "padding": (4, 2)}),
    ((1, 3, 12, 9), (2, 3, 4, 4), {"stride": 3, "dilation": 2, "padding": 3}),
    ((2, 6, 5, 5), (9, 2, 3, 3), {"groups": 3, "padding": 1}),
    ((1, 5, 4, 4), (5, 1, 3, 3), {"groups": 5, "padding": 1}),
    ((2, 35, 9, 23), (35, 1, 3, 3), {"groups": 35, "padding": 1}),
    ((1, 16, 8, 9), (16, 1, 5, 3), {"groups": 16, "padding": (0, 4), "stride": (2, 1), "dilation": (1, 2)}),
    ((1, 3, 6, 6), (6, 1, 3, 3), {"groups": 3}),
    ((2, 8, 7, 7), (40, 8, 3, 3), {"padding": 1}),
    ((3, 16, 6, 7), (32, 16, 1, 1), {}),
    ((1, 8, 7, 7), (8, 8, 1, 1), {"stride": 2}),
    ((2, 1, 12, 12), (6, 1, 5, 5), {"padding": 2}),
    ((1, 2, 3, 3), (2, 2, 3, 3), {"stride": 5, "padding": 4}),
    ((1, 70, 7, 6), (36, 35, 3, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ((1, 67, 5, 4), (20, 67, 1, 1), {"stride": (1, 2)}),
    ((1, 1024, 3, 5), (33, 1024, 1, 1), {}),  # pixels 4 KB apart: lower tiles
    ((1, 512, 3, 20), (17, 512, 1, 1), {"stride": (1, 2)}),
]


@pytest.mark.parametrize(("x", "w", "options"), CASES)
def test_conv2d(x, w, options):
    inputs = [randn(*x), randn(*w), randn(w[0])]
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad, **options)


def test_conv2d_without_bias():
    check_op(F.conv2d, reference.conv2d, [randn(1, 2, 5, 5), randn(3, 2, 3, 3)], reference.conv2d_grad)


@pytest.mark.parametrize(("x", "w", "options"), [case for case in CASES if "groups" not in case[2]])
def test_conv2d_im2col(x, w, options):
    inputs = [randn(*x), randn(*w), randn(w[0])]

    def im2col(*arrays, **chosen):
        return F.conv2d(*arrays, **chosen, algorithm="im2col")

    check_op(im2col, reference.conv2d_im2col, inputs, reference.conv2d_im2col_grad, **options)


def test_the_two_references_agree():
    x, w, b = smallints(2, 3, 7, 6), smallints(4, 3, 3, 2), smallints(4)
    one = reference.conv2d(x, w, b, 2, 1, 1)
    assert np.array_equal(one, reference.conv2d_im2col(x, w, b, 2, 1, 1))
    for a, c in zip(
        reference.conv2d_grad(one, x, w, b, 2, 1, 1), reference.conv2d_im2col_grad(one, x, w, b, 2, 1, 1), strict=True
    ):
        assert np.array_equal(a, c)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ISAS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_small_integers_bit_for_bit(name, dtype, data):
    """Sums of small integers are exact, so every order of summation must give the reference's very bits."""
    draw = data.draw
    if draw(st.integers(0, 3)):
        groups = draw(st.sampled_from([1, 1, 2, 3]))
        per_in, per_out = draw(st.sampled_from([1, 2, 3, 8, 17])), draw(st.sampled_from([1, 2, 6, 16, 31, 33]))
    else:
        groups, per_in, per_out = draw(st.sampled_from([2, 15, 16, 17, 40])), 1, 1  # depthwise
    kernel = [draw(st.integers(1, 5)) for _ in "yx"]
    stride, dilation = [tuple(draw(st.integers(1, top)) for _ in "yx") for top in (4, 3)]
    padding = tuple(draw(st.integers(0, 4)) for _ in "yx")
    size = [
        max(1, draw(st.integers(0, 12)) + d * (k - 1) + 1 - 2 * p)
        for d, k, p in zip(dilation, kernel, padding, strict=True)
    ]
    x = smallints(draw(st.integers(0, 3)), groups * per_in, *size, dtype=dtype)
    w, b = smallints(groups * per_out, per_in, *kernel, dtype=dtype), smallints(groups * per_out, dtype=dtype)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    expected = reference.conv2d(x, w, b, **options)
    grad = smallints(*expected.shape, seed=1, dtype=dtype)
    with isa(name), algorithm_options(exact=True):  # Winograd's products are fractions
        value, grads = run(F.conv2d, [x, w, b], [0, 1, 2], options, grad)
    assert np.array_equal(value, expected)
    for found, wanted in zip(grads, reference.conv2d_grad(grad, x, w, b, **options), strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
@pytest.mark.parametrize("name", ISAS)
def test_error_bound(name, algorithm):
    """RELIABILITY.md: at most (sqrt(K) + 8) u (|x| conv |w|), element by element."""
    for channels, size in ((3, 7), (64, 3), (256, 3)):
        x, w = randn(2, channels, 9, 9, dtype=np.float32), randn(32, channels, size, size, dtype=np.float32)
        with isa(name):
            found = F.conv2d(x, w, padding=1, algorithm=algorithm).numpy()
        exact = reference.conv2d(x.astype(float), w.astype(float), padding=1)
        scale = reference.conv2d(np.abs(x.astype(float)), np.abs(w.astype(float)), padding=1)
        bound = (np.sqrt(channels * size * size) + 8) * 2.0**-24 * scale
        assert (np.abs(found - exact) <= bound).all()


def test_adjoint_identity():
    x, w = randn(2, 6, 11, 9), randn(8, 3, 3, 4)
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
    out = F.conv2d(x, w, **options).numpy()
    grad = randn(*out.shape, seed=1)
    _, (grad_x, grad_w) = run(F.conv2d, [x, w], [0, 1], options, grad)
    assert np.isclose((out * grad).sum(), (x * grad_x).sum(), rtol=1e-12)
    assert np.isclose((out * grad).sum(), (w * grad_w).sum(), rtol=1e-12)


@pytest.mark.parametrize("name", ISAS)
def test_one_image_alone_has_the_bits_it_has_in_a_batch(name):
    x, w = randn(5, 20, 13, 13, dtype=np.float32), randn(40, 20, 3, 3, dtype=np.float32)
    with isa(name):
        whole = F.conv2d(x, w, padding=1, algorithm="direct").numpy()
        for n in range(len(x)):
            assert np.array_equal(F.conv2d(x[n : n + 1], w, padding=1, algorithm="direct").numpy(), whole[n : n + 1])


@pytest.mark.parametrize("name", ISAS)
def test_special_values_spread_no_further_than_their_taps(name):
    x = np.zeros((1, 3, 9, 9), np.float32)
    w = np.ones((20, 3, 3, 3), np.float32)
    for value in (np.nan, np.inf, -np.inf):
        x[0, 1, 4, 4] = value
        with isa(name):
            out = F.conv2d(x, w, padding=1).numpy()
        touched = np.zeros((9, 9), bool)
        touched[3:6, 3:6] = True
        assert np.array_equal(~np.isfinite(out), np.broadcast_to(touched, out.shape))
        assert np.array_equal(out[0, 0, 4, 4], value, equal_nan=True)


def test_padding_of_zeros_meets_no_infinite_weight():
    w = np.full((1, 1, 3, 3), np.inf, np.float32)
    out = F.conv2d(np.ones((1, 1, 3, 3), np.float32), w, padding=1).numpy()
    # As in PyTorch, a zero of the padding times an infinite weight is NaN; without padding there is none.
    assert np.isnan(out[0, 0, 0, 0])
    assert out[0, 0, 1, 1] == np.inf


def test_empty_batch():
    x, w, b = (Tensor(randn(*shape), requires_grad=True) for shape in ((0, 3, 5, 5), (4, 3, 3, 3), (4,)))
    out = F.conv2d(x, w, b)
    assert out.shape == (0, 4, 3, 3)
    out.backward(np.zeros(out.shape))
    assert x.grad.shape == x.shape
    assert not w.grad.numpy().any()
    assert not b.grad.numpy().any()


def test_a_parameter_written_to_gives_new_results_and_stops_the_old_backward():
    layer = layers.Conv2d(2, 3, 3, rng=0)
    x = Tensor(randn(1, 2, 5, 5, dtype=np.float32), requires_grad=True)
    before = layer(x)
    layer.weight.assign(np.zeros(layer.weight.shape, np.float32))
    assert np.array_equal(
        layer(x).detach().numpy(), np.broadcast_to(layer.bias.numpy()[:, None, None], before.shape[1:])[None]
    )
    with pytest.raises(RuntimeError, match="conv2d: the weight was written to"):
        before.backward(np.ones(before.shape, np.float32))


@pytest.mark.parametrize("name", ISAS)
def test_far_apart_taps_need_little_memory(name):
    """A small output of far apart taps, whose span would not fit into memory."""
    x = smallints(1, 2, 3, 3)
    w = smallints(2, 2, 3, 3, seed=1)
    far = 2**27
    with isa(name):
        value, grads = run(F.conv2d, [x, w], [0, 1], {"padding": far, "dilation": far}, smallints(1, 2, 3, 3, seed=2))
    centre = np.einsum("nchw,oc->nohw", x, w[:, :, 1, 1])
    assert np.array_equal(value, centre)
    assert not np.delete(grads[1].reshape(2, 2, 9), 4, axis=2).any()


def test_layer_matches_function_and_lists_its_arguments():
    layer = layers.Conv2d(3, 6, (3, 5), stride=2, padding=(1, 2), groups=3, bias=False, rng=1)
    x = randn(2, 3, 8, 8, dtype=np.float32)
    assert np.array_equal(layer(x).detach(), F.conv2d(x, layer.weight, None, 2, (1, 2), 1, 3).detach())
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "Conv2d(3, 6, kernel_size=(3, 5), stride=(2, 2), padding=(1, 2), groups=3, bias=False)"


def test_layer_initial_values_are_bounded_and_seeded():
    one, two = layers.Conv2d(4, 8, 3, rng=7), layers.Conv2d(4, 8, 3, rng=7)
    assert np.array_equal(one.weight.numpy(), two.weight.numpy())
    bound = 1 / np.sqrt(4 * 9)
    assert 0.9 * bound < np.abs(one.weight.numpy()).max() <= bound
    assert np.abs(one.bias.numpy()).max() <= bound


def test_layer_refuses_groups_that_do_not_divide():
    with pytest.raises(ShapeError, match="Conv2d: groups must divide"):
        layers.Conv2d(3, 4, 3, groups=2)


@pytest.mark.parametrize("case", CASES)
def test_against_torch(case):
    torch = pytest.importorskip("torch")
    x, w, options = randn(*case[0]), randn(*case[1]), case[2]
    given = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    expected = torch.nn.functional.conv2d(*given, **options)
    grad = randn(*expected.shape, seed=1)
    expected.backward(torch.tensor(grad))
    value, grads = run(F.conv2d, [x, w], [0, 1], options, grad)
    assert np.allclose(value, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    for found, tensor in zip(grads, given, strict=True):
        assert np.allclose(found, tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_threads_do_not_change_a_bit():
    x, w = randn(2, 24, 30, 31, dtype=np.float32), randn(48, 24, 3, 3, dtype=np.float32)
    results = []
    for _ in thread_counts():
        value, grads = run(F.conv2d, [x, w], [0, 1], {"padding": 1, "stride": 1}, np.ones((2, 48, 30, 31), np.float32))
        results.append([value, *grads])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("c", "out"), [(18, 3), (2, 2), (1, 6)])
def test_a_value_reaches_only_the_pixels_that_see_it(name, value, c, out):
    x, w = randn(2, c, 7, 16, dtype=np.float32), randn(out, c, 3, 3, dtype=np.float32)
    x[1, 0, 3, 5] = value
    grad = randn(2, out, 7, 16, dtype=np.float32)
    grad[0, 1, 2, 9] = value
    with isa(name):
        found, (grad_x,) = run(F.conv2d, [x, w], [0], {"padding": 1, "algorithm": "direct"}, grad)
    seen = np.zeros(found.shape, bool)
    seen[1, :, 2:5, 4:7] = True
    assert np.array_equal(~np.isfinite(found), seen)
    reached = np.zeros(grad_x.shape, bool)
    reached[0, :, 1:4, 8:11] = True
    assert np.array_equal(~np.isfinite(grad_x), reached)
    clean = np.nan_to_num(x, nan=0, posinf=0)
    with np.errstate(invalid="ignore"):
        expected = reference.conv2d(clean.astype(float), w.astype(float), padding=1)
    assert np.allclose(found[~seen], expected[~seen], rtol=1e-4, atol=1e-4)
