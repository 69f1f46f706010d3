"""What conv2d does to its result before it is stored: adding a residual, an activation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fastconv import Tensor, layers, no_grad, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn

CASES = [
    ((2, 3, 9, 8), (5, 3, 3, 3), {"padding": 1}),
    ((1, 12, 6, 5), (33, 12, 3, 3), {"padding": 1, "algorithm": "winograd"}),
    ((2, 4, 7, 7), (6, 4, 3, 3), {"stride": 2, "algorithm": "im2col"}),
    ((1, 17, 6, 5), (17, 1, 3, 3), {"padding": 1, "groups": 17}),
    ((2, 1, 10, 12), (6, 1, 5, 5), {"padding": 2}),
    ((1, 8, 5, 5), (70, 8, 1, 1), {}),
]


def expected(x, w, b, r, activation="relu", algorithm=None, **options):
    bounds = {"relu": (0, np.inf), "relu6": (0, 6)}.get(activation, activation)
    return np.clip(reference.conv2d(x, w, b, **options) + r, *bounds)


def expected_grad(grad, x, w, b, r, activation="relu", algorithm=None, **options):
    low, high = {"relu": (0, np.inf), "relu6": (0, 6)}.get(activation, activation)
    out = expected(x, w, b, r, activation, **options)
    grad = grad * ((out > low) & (out < high))
    return (*reference.conv2d_grad(grad, x, w, b, **options), grad)


@pytest.mark.parametrize("activation", ["relu", "relu6", (-0.5, 0.75)])
@pytest.mark.parametrize(("shape", "weight", "options"), CASES)
def test_residual_and_activation(shape, weight, options, activation):
    def op(x, w, b, r, **chosen):
        return F.conv2d(x, w, b, residual=r, **chosen)

    inputs = [randn(*shape), randn(*weight), randn(weight[0])]
    sizes = {key: value for key, value in options.items() if key != "algorithm"}
    residual = randn(*reference.conv2d(*inputs, **sizes).shape, seed=1)
    tolerance = {np.float32: 1e-4, np.float64: 1e-12}  # of the clamped maximum
    check_op(op, expected, [*inputs, residual], expected_grad, tolerance=tolerance, **options, activation=activation)


def test_an_unbatched_image():
    x, w, r = randn(3, 6, 7), randn(4, 3, 3, 3), randn(4, 4, 5)
    whole = F.conv2d(x[None], w, residual=r[None], activation="relu").numpy()
    assert np.array_equal(F.conv2d(x, w, residual=r, activation="relu").numpy(), whole[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values_pass_through(value):
    x, w = randn(1, 40, 14, 14, dtype=np.float32), randn(40, 40, 3, 3, dtype=np.float32)
    x[0, 3, 6, 6] = value
    residual = randn(1, 40, 14, 14, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        plain = np.maximum(F.conv2d(x, w, padding=1, algorithm="direct").numpy() + residual, 0)
    for algorithm in ("direct", "winograd"):
        found = F.conv2d(x, w, padding=1, algorithm=algorithm, residual=residual, activation="relu").numpy()
        assert np.allclose(found, plain, rtol=1e-4, atol=1e-3, equal_nan=True)


def note(seen, layer, given, out):
    seen.append(out)


@pytest.mark.parametrize("pool", [layers.MaxPool2d(2), layers.MaxPool2d(3, 2, 1), layers.AvgPool2d(2)])
def test_a_sequential_does_what_its_layers_do_and_hides_nothing_from_hooks(pool):
    net = layers.Sequential(
        layers.Conv2d(3, 8, 3, rng=0), layers.ReLU(), pool, layers.Conv2d(8, 4, 3, rng=1), layers.ReLU()
    )
    x = randn(2, 3, 12, 12, dtype=np.float32)
    results = []
    for hooked in (False, True):
        seen: list = []
        handles = [layer.register_forward_hook(partial(note, seen)) for layer in net] if hooked else []
        given = Tensor(x, requires_grad=True)
        out = net(given)
        out.backward(np.ones(out.shape, np.float32))
        assert len(seen) == (5 if hooked else 0)
        results.append([out.detach().numpy(), given.grad.numpy(), *(p.grad.numpy() for p in net.parameters())])
        for handle in handles:
            handle.remove()
        for parameter in net.parameters():
            parameter.grad = None
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    seen = []
    with net[1].register_forward_pre_hook(lambda layer, given: seen.append(given[0].detach().numpy().min())):
        net(x)
    assert seen[0] < 0
    with no_grad():
        assert np.array_equal(net(x).numpy(), results[0][0])


def test_a_sequential_gives_the_places_of_maxima_of_what_the_relu_made():
    net = layers.Sequential(layers.Conv2d(1, 2, 1, rng=0), layers.ReLU(), layers.MaxPool2d(2, return_indices=True))
    net[0].bias.assign([-9.0, -9.0])
    out, places = net(randn(1, 1, 4, 4, dtype=np.float32))
    assert not out.detach().numpy().any()
    assert places.numpy()[0, 0].tolist() == [[0, 2], [8, 10]]  # of zeros the first


@pytest.mark.parametrize("activation", ["relu", (-0.5, 0.75)])
@pytest.mark.parametrize("shape", [(3, 11), (9, 11), (2, 20, 11), (150, 5), (0, 4)])
def test_linear(shape, activation):
    def bounds(out):
        return np.clip(out, *((0, np.inf) if activation == "relu" else activation))

    def twin(x, w, b, **_):
        return bounds(reference.linear(x, w, b))

    inputs = [randn(*shape), randn(6, shape[-1]), randn(6)]
    check_op(F.linear, twin, inputs, tolerance={np.float32: 1e-4, np.float64: 1e-12}, activation=activation)
    with pytest.raises(ValueError, match="linear: activation must be"):
        F.linear(*inputs, activation="tanh")


POOLS = [
    ((2, 3, 6, 7), {"kernel_size": 2}),
    ((1, 18, 5, 4), {"kernel_size": 2}),
    ((2, 5, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((3, 6, 6), {"kernel_size": 3, "stride": 1}),
    ((1, 2, 17, 18), {"kernel_size": 17, "stride": 1}),  # 289 taps: two bytes
    ((1, 2, 16, 17), {"kernel_size": 16, "stride": 1}),  # 256 taps: no number is left
]


@pytest.mark.parametrize(("shape", "options"), POOLS)
def test_maxima(shape, options):
    def twin(x, activation, **options):
        largest = reference.max_pool2d(x.reshape(-1, *x.shape[-3:]), **options)
        return np.maximum(largest.reshape(*x.shape[:-3], *largest.shape[1:]), 0)

    check_op(F.max_pool2d, twin, [randn(*shape) - 1.5], activation="relu", **options)
    x, results = randn(*shape, dtype=np.float32) - 1.5, []
    for together in (True, False):
        given = Tensor(x, requires_grad=True)
        out = F.max_pool2d(given, **options, activation="relu") if together else F.relu(F.max_pool2d(given, **options))
        out.backward(randn(*out.shape, seed=1, dtype=np.float32))
        results.append((out.detach().numpy(), given.grad.numpy()))
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_maxima_that_are_no_numbers_stay():
    x = Tensor(np.array([[[[np.nan, -1.0], [-2.0, -3.0]]]], np.float32), requires_grad=True)
    out = F.max_pool2d(x, 2, activation="relu")
    out.sum().backward()
    assert np.isnan(out.item())
    assert x.grad.numpy().ravel().tolist() == [1, 0, 0, 0]
    with pytest.raises(ValueError, match="max_pool2d: activation must be 'relu' or None"):
        F.max_pool2d(x, 2, activation="tanh")
    with pytest.raises(ValueError, match="None with return_indices"):
        F.max_pool2d(x, 2, return_indices=True, activation="relu")


def test_a_linear_layer_and_its_relu_are_one_step_that_hooks_still_see():
    net = layers.Sequential(layers.Linear(5, 7, rng=0), layers.ReLU(), layers.Linear(7, 3, rng=1))
    x, seen = randn(4, 5, dtype=np.float32), []
    alone = net(x).detach().numpy()
    with net[0].register_forward_hook(partial(note, seen)):
        assert np.array_equal(net(x).detach().numpy(), alone)
    assert seen[0].detach().numpy().min() < 0


def test_bounds_may_be_infinite():
    x, w = randn(1, 1, 4, 4), randn(1, 1, 3, 3)
    assert np.array_equal(F.conv2d(x, w, activation=(0.0, np.inf)).numpy(), F.conv2d(x, w, activation="relu").numpy())


def test_bad_arguments():
    x, w = randn(1, 1, 4, 4), randn(1, 1, 3, 3)
    with pytest.raises(
        ShapeError, match=r"conv2d: residual must have the result's shape \(1, 1, 2, 2\), got \(1, 1, 4, 4\)"
    ):
        F.conv2d(x, w, residual=x)
    with pytest.raises(TypeError, match="residual"):
        F.conv2d(x, w, residual=randn(1, 1, 2, 2, dtype=np.float32))
    for activation in ("tanh", 3, (1, 0), (0,), None.__class__):
        with pytest.raises(ValueError, match="conv2d: activation must be"):
            F.conv2d(x, w, activation=activation)
    with pytest.raises((TypeError, ValueError), match="activation"):
        F.conv2d(x, w, activation=(float("nan"), 1.0))
