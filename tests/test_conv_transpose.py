"""Transposed convolution along one, two and three axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import Parameter, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import ISAS, check_op, isa, randn, run, smallints

NAMES = {1: "conv_transpose1d", 2: "conv_transpose2d", 3: "conv_transpose3d"}
CASES = [  # x, w, options
    ((2, 3, 7), (3, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 6, 5), (6, 2, 3), {"groups": 3, "dilation": 2, "output_padding": 1, "stride": 2}),
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 17, 5, 6), (17, 33, 4, 4), {"stride": 2, "padding": 1}),
    ((2, 8, 4, 5), (8, 20, 2, 2), {"stride": 2}),
    ((1, 12, 5, 4), (12, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((1, 4, 3, 4), (4, 5, 2, 3), {"stride": (3, 1), "padding": ((1, 0), (0, 2)), "output_padding": (2, 0)}),
    ((1, 5, 4, 4), (5, 1, 3, 3), {"groups": 5, "stride": 2, "padding": 1}),
    ((1, 8, 3, 3), (8, 3, 2, 2), {"groups": 2, "stride": 3}),
    ((1, 2, 3, 3), (2, 3, 2, 2), {"dilation": 3, "output_padding": 2}),
    ((1, 40, 6, 6), (40, 2, 3, 3), {"padding": 1}),
    ((2, 3, 3, 4, 3), (3, 5, 4, 4, 4), {"stride": 2, "padding": 1}),
    (
        (1, 4, 3, 2, 3),
        (4, 3, 2, 3, 1),
        {"groups": 2, "stride": (3, 1, 2), "dilation": (1, 2, 1), "output_padding": (1, 1, 0)},
    ),
    ((1, 2, 1, 2, 2), (2, 3, 3, 2, 2), {"padding": (1, 0, 0)}),
]


@pytest.mark.parametrize(("x", "w", "options"), CASES)
def test_conv_transpose(x, w, options):
    name = NAMES[len(x) - 2]
    inputs = [randn(*x), randn(*w), randn(w[1] * options.get("groups", 1))]
    check_op(getattr(F, name), getattr(reference, name), inputs, getattr(reference, f"{name}_grad"), **options)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("count", [1, 2, 3])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_small_integers_bit_for_bit(name, count, data):
    draw = data.draw
    groups, per_in, per_out = draw(
        st.sampled_from([(1, 1, 1), (1, 3, 2), (1, 9, 17), (1, 17, 33), (2, 2, 3), (5, 1, 1), (18, 1, 1)])
    )
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(count))
    stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(count)) for _ in "sd")
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    size = tuple(draw(st.integers(1, 5)) for _ in range(count))
    spans = [(n - 1) * s + d * (k - 1) + e for n, k, s, d, e in zip(size, kernel, stride, dilation, extra, strict=True)]
    pads = tuple((draw(st.integers(0, min(3, n))), 0) for n in spans)
    pads = tuple((b, draw(st.integers(0, min(3, n - b)))) for (b, _), n in zip(pads, spans, strict=True))
    options = {"stride": stride, "padding": pads, "output_padding": extra, "groups": groups, "dilation": dilation}
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x = smallints(draw(st.integers(0, 2)), groups * per_in, *size, dtype=dtype)
    w = smallints(groups * per_in, per_out, *kernel, dtype=dtype)
    b = smallints(groups * per_out, dtype=dtype)
    op = NAMES[count]
    expected = getattr(reference, op)(x, w, b, **options)
    grad = smallints(*expected.shape, seed=1, dtype=dtype)
    with isa(name):
        value, grads = run(getattr(F, op), [x, w, b], [0, 1, 2], options, grad)
        if len(x):
            assert np.array_equal(getattr(F, op)(x[0], w, b, **options), expected[0])
    assert np.array_equal(value, expected)
    for found, wanted in zip(grads, getattr(reference, f"{op}_grad")(grad, x, w, b, **options), strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 6, 9, 11), 3, {}),
        ((1, 6, 3, 9, 11), 3, {}),
        ((2, 6, 5, 7), 4, {"stride": 2}),
        ((1, 6, 7, 4), 4, {"stride": 2, "output_padding": (1, 0)}),
        ((1, 6, 3, 6, 5), 4, {"stride": (1, 2, 2)}),
    ],
)
def test_winograd(shape, kernel, options):
    count = len(shape) - 2
    name = NAMES[count]

    def winograd(*arrays, **chosen):
        return getattr(F, name)(*arrays, **chosen, algorithm="winograd")

    inputs = [randn(*shape), randn(6, 7, *[kernel] * count), randn(7)]
    tolerance = {np.float32: 1e-5, np.float64: 1e-13}
    twins = getattr(reference, name), getattr(reference, f"{name}_grad")
    check_op(winograd, twins[0], inputs, twins[1], tolerance=tolerance, padding=1, **options)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_is_convolution_of_data_with_zeros_between(count):
    """With the filters turned round and their channels exchanged."""
    x, w = smallints(2, 3, *range(4, 4 + count)), smallints(3, 5, *range(3, 3 + count))
    stride = tuple(range(2, 2 + count))
    turned = np.flip(w, tuple(range(2, 2 + count))).swapaxes(0, 1)
    expected = getattr(F, f"conv{count}d")(F.zero_insert(x, stride), turned, padding="full")
    assert np.array_equal(getattr(F, NAMES[count])(x, w, stride=stride), expected)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_is_the_adjoint_of_convolution(count):
    x, w = randn(2, 4, *[9] * count), randn(6, 4, *[3] * count)
    out = getattr(F, f"conv{count}d")(x, w, stride=2, padding=1).numpy()
    g = randn(*out.shape, seed=1)
    back = getattr(F, NAMES[count])(g, w, stride=2, padding=1).numpy()
    assert np.isclose((out * g).sum(), (x * back).sum(), rtol=1e-12)


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("count", [2, 3])
def test_one_image_alone_has_the_bits_it_has_in_a_batch(count, algorithm):
    x, w = randn(4, 20, *[6] * count, dtype=np.float32), randn(20, 12, *[3] * count, dtype=np.float32)
    op = getattr(F, NAMES[count])
    whole = op(x, w, padding=1, algorithm=algorithm).numpy()
    for n in range(len(x)):
        assert np.array_equal(op(x[n : n + 1], w, padding=1, algorithm=algorithm), whole[n : n + 1])


def test_a_parameter_serves_images_of_any_size():
    """Its packed weights depend on the phases, and those on the size."""
    w = Parameter(smallints(5, 6, 3, 3))
    for size in (4, 7, 4, 9, 1):
        x = smallints(1, 5, size, size + 1)
        for options in ({"stride": 2}, {"stride": 3, "padding": 1}, {}):
            found = F.conv_transpose2d(x, w, **options).detach()
            assert np.array_equal(found, reference.conv_transpose2d(x, w.numpy(), **options))
    w.assign(np.zeros(w.shape))
    assert not F.conv_transpose2d(x, w).detach().numpy().any()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_layers(count):
    kind = getattr(layers, f"ConvTranspose{count}d")
    layer = kind(4, 6, 3, 2, 1, groups=2, rng=0)
    assert layer.weight.shape == (4, 3, *[3] * count)
    x = randn(2, 4, *[5] * count, dtype=np.float32)
    expected = getattr(F, NAMES[count])(x, layer.weight, layer.bias, 2, 1, 0, 2)
    assert np.array_equal(layer(x).detach(), expected.detach())
    wider = getattr(F, NAMES[count])(x, layer.weight, layer.bias, 2, 1, 1, 2)
    assert np.array_equal(layer(x, output_size=(10,) * count).detach(), wider.detach())
    with pytest.raises(ShapeError, match=f"ConvTranspose{count}d: no input of shape"):
        layer(x, (12,) * count)
    assert "padding=(1" in repr(layer)
    assert "output_padding" not in repr(layer)
    with pytest.raises(ValueError, match="padding_mode must be"):
        kind(1, 1, 1, padding_mode="reflect")
    with pytest.raises(TypeError, match="padding must be"):
        kind(1, 1, 1, padding="same")


ERRORS = [
    ({"output_padding": 1}, ShapeError, "output_padding must be smaller than"),
    ({"output_padding": -1}, ShapeError, "output_padding must be"),
    ({"output_padding": 0.5}, TypeError, "output_padding must be"),
    ({"padding": 4}, ShapeError, "makes an output of size -1x-1"),
    ({"padding": "same"}, TypeError, "padding must be numbers"),
    ({"stride": 2**31 - 1, "weight": (3, 2**20, 1, 1)}, ShapeError, "arrays of more than"),
    ({"groups": 2}, ShapeError, "groups must divide the 3 input channels"),
    ({"groups": 0}, ShapeError, "groups must be"),
    ({"input": (1, 4, 5, 5)}, ShapeError, "takes 3 input channels"),
    ({"weight": (3, 4, 3)}, ShapeError, r"weight must be \(C_in, C_out / groups, kh, kw\)"),
    ({"bias": (3,)}, ShapeError, "bias must have shape"),
    ({"dilation": 0}, ShapeError, "dilation must be"),
    ({"algorithm": "im2col"}, ValueError, "im2col"),
]


@pytest.mark.parametrize(("change", "error", "message"), ERRORS)
def test_errors(change, error, message):
    shapes = {"input": (1, 3, 5, 5), "weight": (3, 4, 3, 3), "bias": (4,)}
    arrays = {name: np.broadcast_to(np.float32(1), change.get(name, shape)) for name, shape in shapes.items()}
    options = {name: value for name, value in change.items() if name not in shapes}
    if "stride" in change:
        arrays["bias"] = None
    with pytest.raises(error, match="conv_transpose2d: .*" + message):
        F.conv_transpose2d(**arrays, **options)
