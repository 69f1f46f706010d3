"""unfold, fold, zero_insert, locally_connected2d."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import layers, reference
from fastconv.errors import ShapeError
from fastconv.reference.conv import windows
from tests.helpers import check_op, randn, smallints

WINDOWS = [
    ((1, 1, 1, 1), 1, {}),
    ((2, 3, 5, 6), (2, 3), {}),
    ((1, 17, 6, 5), 3, {"padding": 1, "stride": (2, 1)}),
    ((2, 4, 7, 9), (3, 2), {"dilation": (2, 3), "padding": (1, 2)}),
]


@pytest.mark.parametrize(("shape", "kernel", "options"), WINDOWS)
def test_unfold(shape, kernel, options):
    check_op(F.unfold, reference.unfold, [randn(*shape)], reference.unfold_grad, kernel_size=kernel, **options)


@pytest.mark.parametrize(("shape", "kernel", "options"), WINDOWS)
def test_fold(shape, kernel, options):
    columns = randn(*reference.unfold(np.zeros(shape), kernel, **options).shape)
    chosen = {"output_size": shape[2:], "kernel_size": kernel, **options}
    check_op(F.fold, reference.fold, [columns], reference.fold_grad, **chosen)


def test_a_convolution_is_a_product_with_the_columns():
    x, w = smallints(2, 3, 6, 7), smallints(4, 3, 3, 2)
    columns = F.unfold(x, (3, 2), padding=1, stride=2).numpy()
    expected = F.conv2d(x, w, stride=2, padding=1).numpy()
    assert np.array_equal((w.reshape(4, -1) @ columns).reshape(expected.shape), expected)


def test_one_image_without_a_batch():
    x = smallints(3, 5, 6)
    columns = F.unfold(x, 2)
    assert np.array_equal(columns, F.unfold(x[None], 2).numpy()[0])
    assert np.array_equal(F.fold(columns, (5, 6), 2), F.fold(columns.numpy()[None], (5, 6), 2).numpy()[0])
    w = smallints(4, 5, 2, 3, 2, 2)
    assert np.array_equal(F.locally_connected2d(x, w), F.locally_connected2d(x[None], w).numpy()[0])


@pytest.mark.parametrize(
    ("shape", "factors"),
    [((2, 3, 4, 5), 2), ((2, 3, 4, 5), (1, 3)), ((4,), (3,)), ((2, 1, 3), (2, 1, 4)), ((0, 2, 3, 3), 2)],
)
def test_zero_insert(shape, factors):
    check_op(F.zero_insert, reference.zero_insert, [randn(*shape)], reference.zero_insert_grad, factors=factors)


@pytest.mark.parametrize(
    ("shape", "outs", "kernel", "options"),
    [
        ((2, 3, 5, 6), 4, (2, 3), {}),
        ((5, 2, 6, 7), 33, (3, 3), {"stride": 2, "padding": 1}),
        ((1, 17, 4, 5), 2, (2, 1), {"dilation": 2}),
        ((0, 2, 3, 3), 2, (2, 2), {}),
    ],
)
def test_locally_connected2d(shape, outs, kernel, options):
    size = windows(np.zeros(shape), kernel, **options).shape[2:4]
    inputs = [randn(*shape), randn(*size, outs, shape[1], *kernel), randn(outs, *size)]
    twins = reference.locally_connected2d, reference.locally_connected2d_grad
    check_op(F.locally_connected2d, twins[0], inputs, twins[1], **options)


def test_locally_connected2d_of_equal_filters_is_a_convolution():
    x, w = smallints(3, 4, 6, 5), smallints(7, 4, 3, 3)
    same = np.broadcast_to(w, (4, 3, *w.shape))
    assert np.array_equal(F.locally_connected2d(x, same), F.conv2d(x, w))


def test_layers():
    x = randn(2, 3, 6, 6, dtype=np.float32)
    unfold, fold = layers.Unfold(3, padding=1, stride=3), layers.Fold(6, 3, padding=1, stride=3)
    assert np.array_equal(fold(unfold(x)), F.fold(F.unfold(x, 3, 1, 1, 3), 6, 3, 1, 1, 3))
    assert repr(unfold) == "Unfold(kernel_size=3, dilation=1, padding=1, stride=3)"
    layer = layers.LocallyConnected2d(3, 5, 6, 3, stride=2, padding=1, rng=0)
    assert layer(x).shape == (2, 5, 3, 3)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert 0.9 / np.sqrt(27) < np.abs(layer.weight.numpy()).max() <= 1 / np.sqrt(27)
    separable = layers.DepthwiseSeparableConv2d(3, 5, 3, padding="same", depth_multiplier=2, bias=False, rng=0)
    expected = F.conv2d(F.conv2d(x, separable.depthwise.weight, padding=1, groups=3), separable.pointwise.weight)
    assert np.array_equal(separable(x).detach(), expected.detach())
    assert list(separable.state_dict()) == ["depthwise.weight", "pointwise.weight"]


ONES = np.ones((1, 8, 5, 5), np.float32)
ERRORS = [
    ("unfold", (ONES[0, 0], 2), ShapeError, "input must be"),
    ("unfold", (ONES, 6), ShapeError, "spans 6x6 pixels"),
    ("unfold", (ONES, 0), ShapeError, "kernel_size must be"),
    ("fold", (ONES[0], 6, 3), ShapeError, "must have a multiple of 3 [*] 3 rows"),
    ("fold", (ONES[0, :, 0], (2, 3), 2), ShapeError, "1x2 windows fit into output_size"),
    ("fold", (ONES, 6, 2), ShapeError, "input must be"),
    ("zero_insert", (ONES, 0), ShapeError, "factors must be"),
    ("zero_insert", (ONES, (1, 1, 1, 1, 1)), ShapeError, "at least 5 axes"),
    ("zero_insert", (ONES, 1.5), TypeError, "factors must be"),
    ("zero_insert", (ONES, 2**31 - 1), ShapeError, "more than 2"),
    ("zero_insert", (ONES[:, :, :0], 2), ShapeError, "none of the last 2 empty"),
    ("locally_connected2d", (ONES, ONES), ShapeError, "weight must be 6-d"),
    ("locally_connected2d", (ONES, np.ones((4, 4, 3, 7, 2, 2), np.float32)), ShapeError, "weight must be"),
    ("locally_connected2d", (ONES, np.ones((4, 4, 3, 8, 2, 2))), TypeError, "must have one dtype"),
    ("locally_connected2d", (ONES, np.ones((4, 4, 3, 8, 2, 2), np.float32), ONES), ShapeError, "bias must have shape"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "message"), ERRORS)
def test_errors(name, arguments, error, message):
    with pytest.raises(error, match=f"{name}: .*{message}"):
        getattr(F, name)(*arguments)
