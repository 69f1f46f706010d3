"""Convolution along one, two and three axes, batched or not, with every padding and padding mode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import functional as F
from fastconv import layers, reference
from fastconv.errors import ShapeError
from tests.helpers import ISAS, check_op, isa, randn, run, smallints

MODES = ("zeros", "reflect", "replicate", "circular")
NAMES = {1: "conv1d", 2: "conv2d", 3: "conv3d"}
CASES = [  # x, w, options
    ((2, 3, 11), (4, 3, 3), {"padding": 1}),
    ((1, 6, 20), (8, 3, 4), {"groups": 2, "stride": 3, "dilation": 2, "padding": ((5, 2),)}),
    ((2, 9, 12), (9, 1, 3), {"groups": 9, "padding": "same", "padding_mode": "circular"}),
    ((1, 4, 9, 9), (3, 4, 3, 2), {"padding": ((0, 2), (1, 0))}),
    ((1, 2, 9, 8), (3, 2, 4, 2), {"stride": (3, 2), "padding": "same"}),
    ((1, 2, 9, 8), (3, 2, 4, 2), {"stride": (3, 2), "padding": "same_lower", "padding_mode": "reflect"}),
    ((1, 2, 6, 5), (3, 2, 3, 4), {"padding": "full"}),
    ((1, 2, 6, 5), (3, 2, 3, 4), {"padding": "valid"}),
    ((2, 17, 6, 7), (33, 17, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    ((1, 18, 7, 9), (18, 1, 3, 3), {"padding": (2, 1), "padding_mode": "replicate", "groups": 18}),
    ((1, 2, 5, 6), (2, 2, 3, 3), {"padding": (5, 6), "padding_mode": "circular", "stride": 2}),
    ((2, 3, 4, 5, 6), (5, 3, 3, 3, 3), {"padding": 1}),
    ((2, 4, 6, 5, 7), (6, 2, 3, 2, 4), {"groups": 2, "stride": (2, 1, 3), "dilation": (1, 2, 1), "padding": (0, 1, 2)}),
    ((1, 3, 7, 5, 4), (2, 3, 2, 3, 3), {"padding": "same", "stride": (3, 1, 1), "padding_mode": "replicate"}),
    ((3, 2, 1, 4, 4), (2, 2, 3, 3, 3), {"padding": ((2, 0), (1, 1), (1, 1))}),
    ((1, 5, 3, 4, 4), (5, 1, 3, 1, 2), {"groups": 5, "padding": (3, 0, 0)}),
]


@pytest.mark.parametrize(("x", "w", "options"), CASES)
def test_conv(x, w, options):
    name = NAMES[len(x) - 2]
    inputs = [randn(*x), randn(*w), randn(w[0])]
    check_op(getattr(F, name), getattr(reference, name), inputs, getattr(reference, f"{name}_grad"), **options)


def geometries(draw, count, groups, per_in, per_out):
    """A shape of x, of w, and options, of everything a convolution of `count` axes takes."""
    axes = range(count)
    kernel = [draw(st.integers(1, 4)) for _ in axes]
    stride, dilation = [tuple(draw(st.integers(1, top)) for _ in axes) for top in (3, 3)]
    mode = draw(st.sampled_from(MODES))
    named = draw(st.sampled_from(["", "", "valid", "same", "same_lower", "full"]))
    pads = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in axes)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    # Large enough for the window, and, where pixels of the image are the padding, for that.
    least = [max(s, *p) + 1 if mode != "zeros" else 1 for s, p in zip(spans, pads, strict=True)]
    if named == "valid" or (not named and mode == "zeros"):
        least = [max(1, s - (0 if named else sum(p))) for s, p in zip(spans, pads, strict=True)]
    size = [n + draw(st.integers(0, 6)) for n in least]
    options = {
        "stride": stride,
        "padding": named or pads,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": mode,
    }
    return (draw(st.integers(0, 2)), groups * per_in, *size), (groups * per_out, per_in, *kernel), options


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("count", [1, 2, 3])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_small_integers_bit_for_bit(name, count, data):
    """Sums of small integers are exact, so every order of summation must give the reference's very bits."""
    draw = data.draw
    groups, per_in, per_out = draw(
        st.sampled_from(
            [
                (1, 1, 1),
                (1, 3, 2),
                (1, 17, 33),
                (1, 20, 8),
                (2, 2, 3),
                (3, 1, 2),
                (5, 1, 1),
                (18, 1, 1),
                (5, 4, 4),
                (3, 8, 8),
                (6, 2, 1),
                (9, 3, 4),
                (2, 16, 16),
            ]
        )
    )
    shape, weight, options = geometries(draw, count, groups, per_in, per_out)
    batched = draw(st.booleans()) or shape[0] == 0
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x, w, b = smallints(*shape, dtype=dtype), smallints(*weight, dtype=dtype), smallints(weight[0], dtype=dtype)
    x = x if batched else x[:1]
    op = NAMES[count]
    expected = getattr(reference, op)(x, w, b, **options)
    grad = smallints(*expected.shape, seed=1, dtype=dtype)
    algorithms = ["auto", "direct", *(["im2col"] if groups == 1 and count < 3 else [])]
    chosen = {**options, "algorithm": draw(st.sampled_from(algorithms))}
    given = [x if batched else x[0], w, b]
    with isa(name):
        value, grads = run(getattr(F, op), given, [0, 1, 2], chosen, grad if batched else grad[0])
    assert np.array_equal(value, expected if batched else expected[0])
    wanted = list(getattr(reference, f"{op}_grad")(grad, x, w, b, **options))
    wanted[0] = wanted[0] if batched else wanted[0][0]
    for found, each in zip(grads, wanted, strict=True):
        assert np.array_equal(found, each)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2, 5, 9, 11), (1, 5, 4, 9, 11)])
def test_winograd(shape, mode):
    """Every padding mode, and the planes of volumes, where what is added must be right to rounding."""
    count = len(shape) - 2
    op, twin = getattr(F, NAMES[count]), getattr(reference, NAMES[count])
    inputs = [randn(*shape), randn(7, 5, *[3] * count), randn(7)]
    options = {"padding": ((1, 2), (2, 1), (1, 1))[:count], "padding_mode": mode}

    def winograd(*arrays, **chosen):
        return op(*arrays, **chosen, algorithm="winograd")

    tolerance = {np.float32: 1e-5, np.float64: 1e-13}
    check_op(winograd, twin, inputs, getattr(reference, f"{NAMES[count]}_grad"), tolerance=tolerance, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_winograd_in_volumes_lets_a_value_spread_no_further_than_direct(value):
    x, w = randn(2, 18, 5, 13, 9, dtype=np.float32), randn(35, 18, 3, 3, 3, dtype=np.float32)
    x[1, 3, 2, 6, 7] = value
    direct, winograd = (F.conv3d(x, w, padding=1, algorithm=a).numpy() for a in ("direct", "winograd"))
    assert np.array_equal(np.isfinite(direct), np.isfinite(winograd))
    assert np.allclose(winograd, direct, rtol=1e-4, atol=1e-4, equal_nan=True)
    alone = F.conv3d(x[:1], w, padding=1, algorithm="winograd").numpy()
    assert np.array_equal(alone, winograd[:1])


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("shape", [(4, 12, 30), (4, 12, 10, 9), (4, 12, 5, 6, 7)])
def test_one_image_alone_has_the_bits_it_has_in_a_batch(shape, algorithm):
    count = len(shape) - 2
    x, w = randn(*shape, dtype=np.float32), randn(20, 12, *[3] * count, dtype=np.float32)
    op = getattr(F, NAMES[count])
    for mode in MODES:
        whole = op(x, w, padding=1, padding_mode=mode, algorithm=algorithm).numpy()
        for n in range(len(x)):
            one = op(x[n : n + 1], w, padding=1, padding_mode=mode, algorithm=algorithm).numpy()
            assert np.array_equal(one, whole[n : n + 1])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_groups_are_convolutions_side_by_side(count):
    op = getattr(F, NAMES[count])
    x, w = smallints(2, 12, *[6] * count), smallints(9, 4, *[3] * count)
    parts = [op(x[:, 4 * g : 4 * g + 4], w[3 * g : 3 * g + 3], stride=2, padding=1).numpy() for g in range(3)]
    assert np.array_equal(op(x, w, stride=2, padding=1, groups=3), np.concatenate(parts, 1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2, 6, 19), (2, 6, 11, 9), (2, 6, 5, 6, 7)])
def test_adjoint_identity(shape, mode):
    count = len(shape) - 2
    x, w = randn(*shape), randn(8, 3, *[3] * count)
    options = {"stride": 2, "padding": 2, "groups": 2, "padding_mode": mode}
    op = getattr(F, NAMES[count])
    out = op(x, w, **options).numpy()
    grad = randn(*out.shape, seed=1)
    _, (grad_x, grad_w) = run(op, [x, w], [0, 1], options, grad)
    assert np.isclose((out * grad).sum(), (x * grad_x).sum(), rtol=1e-12)
    assert np.isclose((out * grad).sum(), (w * grad_w).sum(), rtol=1e-12)


def test_same_is_what_tensorflow_and_onnx_call_it():
    """Output ceil(n / stride); the odd pixel comes after ("same", SAME_UPPER) or before ("same_lower")."""
    x = np.arange(1.0, 8)[None, None]
    w = np.ones((1, 1, 2))
    assert F.conv1d(x, w, stride=3, padding="same").numpy().ravel().tolist() == [3, 9, 7]
    assert F.conv1d(x, w, stride=3, padding="same_lower").numpy().ravel().tolist() == [1, 7, 13]
    assert F.conv1d(x, w, padding="full").shape == (1, 1, 8)


ERRORS = [
    ({"padding": "around"}, ValueError, "padding must be numbers or one of"),
    ({"padding": ((1, 2),)}, ShapeError, r"padding must have 2 \(before, after\) pairs"),
    ({"padding": ((1, 2), (1, -1))}, ShapeError, "padding must be"),
    ({"padding": ((1, 2), (1, 2, 3))}, ShapeError, "padding must be"),
    ({"padding": ((1, 2.0), (1, 2))}, TypeError, "padding must be"),
    ({"padding_mode": "mirror"}, ValueError, "padding_mode must be one of"),
    ({"padding_mode": None}, ValueError, "padding_mode must be one of"),
    ({"padding": 5, "padding_mode": "reflect"}, ShapeError, "reflect padding must be less than"),
    ({"padding": 6, "padding_mode": "circular"}, ShapeError, "circular padding must be at most"),
]


@pytest.mark.parametrize(("options", "error", "message"), ERRORS)
def test_errors(options, error, message):
    x, w = np.ones((1, 3, 5, 5), np.float32), np.ones((4, 3, 3, 3), np.float32)
    with pytest.raises(error, match="conv2d: " + message):
        F.conv2d(x, w, **options)


@pytest.mark.parametrize(("count", "message"), [(1, r"\(N, C, L\) or \(C, L\)"), (3, r"\(N, C, D, H, W\)")])
def test_errors_of_other_dimensions(count, message):
    op, name = getattr(F, NAMES[count]), NAMES[count]
    x, w = np.ones((1, 3, *[5] * count)), np.ones((4, 3, *[3] * count))
    with pytest.raises(ShapeError, match=f"{name}: input must be {message}"):
        op(np.ones((2, 2, *x.shape)), w)
    with pytest.raises(ShapeError, match=f"{name}: weight must be"):
        op(x, w[0])
    with pytest.raises(ShapeError, match=f"{name}: stride must be"):
        op(x, w, stride=(1, 1, 1, 1))
    with pytest.raises(TypeError, match=f"{name}: stride must be"):
        op(x, w, stride=(1.0,) * count)
    with pytest.raises(ShapeError, match=f"{name}: padding must be"):
        op(x, w, padding=-1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_layers(count):
    kind = getattr(layers, f"Conv{count}d")
    layer = kind(4, 6, 3, 2, "same", groups=2, bias=False, padding_mode="reflect", rng=0)
    x = randn(2, 4, *[7] * count, dtype=np.float32)
    expected = getattr(F, NAMES[count])(x, layer.weight, None, 2, "same", 1, 2, padding_mode="reflect")
    assert np.array_equal(layer(x).detach(), expected.detach())
    assert layer(x).shape == (2, 6, *[4] * count)
    three, two = str((3,) * count), str((2,) * count)
    arguments = f"4, 6, kernel_size={three}, stride={two}, padding=same, groups=2, bias=False, padding_mode=reflect"
    assert repr(layer) == f"Conv{count}d({arguments})"
    with pytest.raises(ValueError, match=f"Conv{count}d: padding_mode"):
        kind(1, 1, 1, padding_mode="none")
    with pytest.raises(ShapeError, match=f"Conv{count}d: padding"):
        kind(1, 1, 1, padding=((1, 1),) * (count + 1))
