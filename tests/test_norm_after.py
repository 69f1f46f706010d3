"""Batch norm with a sum and an activation behind it: the same bits as one after the other."""

import math

import numpy as np
import pytest

from fastconv import Tensor, _kernels, layers, models
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers._fold import normalised
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, channels_last, check_op, randn, thread_counts

HALF = (-0.5, math.inf)
ACTIVATIONS = {None: lambda x: x, "relu": F.relu, "relu6": F.relu6, HALF: lambda x: F.hardtanh(x, -0.5, 1e9)}
SHAPES = [(6, 3), (3, 2, 7), (2, 5, 3, 5), (2, 70, 9, 8), (8, 3, 33, 31), (3, 600, 5, 4), (2, 3, 2, 3, 2)]


def leaves(shape, dtype, count=2):
    rows = [randn(shape[1], seed=s, dtype=dtype) for s in (3, 4)]
    arrays = [2 * randn(*shape, seed=s, dtype=dtype) for s in range(count)]
    return [Tensor(a, requires_grad=True) for a in (*arrays, *rows)]


def bits(out, grad, inputs):
    out.backward(grad)
    return [out.detach().numpy(), *(None if each is None else each.grad.numpy() for each in inputs)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_it_is_batch_norm_sum_and_activation(each_isa, activation, training, dtype):
    for shape in SHAPES:
        grad, kept = randn(*shape, seed=5, dtype=dtype), (np.zeros(shape[1], dtype), np.ones(shape[1], dtype))
        for summed in (False, True):
            found, expected = (leaves(shape, dtype, 1 + summed) for _ in range(2))
            r, w, b = found[1] if summed else None, *found[-2:]
            options = {"residual": r, "activation": activation}
            one = bits(F.batch_norm(found[0], *kept, w, b, training, **options), grad, found)
            plain = F.batch_norm(expected[0], *kept, *expected[-2:], training)
            plain = ACTIVATIONS[activation](plain + expected[1] if summed else plain)
            for a, e in zip(one, bits(plain, grad, expected), strict=True):
                np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_central_differences(training):
    kept = (np.zeros(3), np.ones(3))

    def op(x, r, w, b):
        own = [each.astype(x.dtype) for each in kept]
        return F.batch_norm(x, *own, w, b, training, residual=r, activation="relu")

    def twin(x, r, w, b):
        return np.maximum(F.batch_norm(x, *kept, w, b, training).numpy() + r, 0)

    inputs = [randn(4, 3, 2, 3), randn(4, 3, 2, 3, seed=1), randn(3, seed=2), randn(3, seed=3)]
    check_op(op, twin, inputs, tolerance={np.float32: 4e-6, np.float64: 2e-14})


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(each_isa, dtype):
    for channels in (3, 19):
        for bad in (np.nan, np.inf, -np.inf):
            x, r = randn(6, channels, 3, 3, dtype=dtype), randn(6, channels, 3, 3, seed=1, dtype=dtype)
            r[1, 0, 0, 0] = bad
            x[2, channels - 1, 1, 1] = bad
            for training in (True, False):
                found, expected = ([Tensor(a, requires_grad=True) for a in (x, r)] for _ in range(2))
                kept = (np.zeros(channels, dtype), np.ones(channels, dtype))
                one = F.batch_norm(found[0], *kept, training=training, residual=found[1], activation="relu")
                plain = F.relu(F.batch_norm(expected[0], *kept, training=training) + expected[1])
                grad = np.ones_like(x)
                for a, e in zip(bits(one, grad, found), bits(plain, grad, expected), strict=True):
                    np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for channels in range(1, 2 * length + 2):
        shape = (3, channels, 1, 5)
        for edge in ("start", "end"):
            x, grad, r = (guarded(channels_last(randn(*shape, seed=s, dtype=dtype)), edge) for s in (0, 1, 2))
            out, masked, grad_x = (guarded_empty(shape, dtype, edge, channels_last=True) for _ in range(3))
            w, b, grad_w, grad_b = (guarded(np.ones(channels, dtype), edge) for _ in range(4))
            mean, var = (guarded(np.ones(channels), edge) for _ in range(2))
            sizes, clamp = (channels, False, 1e-5), (0.0, 6.0)
            _kernels.norm(x, mean, var, w, b, out, *sizes, r, clamp)
            rest = (mean, var, w, grad_x, grad_w, grad_b, *sizes)
            _kernels.norm_grad(x, grad, *rest, False, b, clamp)
            _kernels.norm_grad(x, grad, *rest, True, b, clamp, out, masked)
            for array in (out, masked, grad_x, grad_w, grad_b):
                assert np.isfinite(array).all()


def test_thread_counts_give_the_same_bits():
    found = set()
    for _ in thread_counts():
        inputs = leaves((4, 24, 61, 64), np.float32)
        x, r, w, b = inputs
        out = F.batch_norm(x, weight=w, bias=b, training=True, residual=r, activation="relu")
        grad = randn(4, 24, 61, 64, seed=9, dtype=np.float32)
        found.add(b"".join(each.tobytes() for each in bits(out, grad, inputs)))
    assert len(found) == 1


def test_a_residual_in_any_layout_and_what_needs_no_gradient():
    x, wide = leaves((2, 5, 4, 3), np.float32)[0], randn(2, 9, 4, 3, seed=7, dtype=np.float32)
    expected = np.maximum(F.batch_norm(x, training=True).detach().numpy() + wide[:, 2:7], 0)
    for r in (wide[:, 2:7], channels_last(wide)[:, 2:7], channels_last(wide[:, 2:7])):
        out = F.batch_norm(x, training=True, residual=r, activation="relu")
        np.testing.assert_array_equal(out.detach(), expected)
        out.backward(np.ones(out.shape, np.float32))
    only = Tensor(wide[:, :5], requires_grad=True)
    F.batch_norm(x.detach(), training=True, residual=only).backward(np.ones(x.shape, np.float32))
    np.testing.assert_array_equal(only.grad, np.ones(x.shape))


def test_layers_in_a_row_are_one_where_nobody_looks():
    norm, relu, seen = layers.BatchNorm2d(3), layers.ReLU(), []
    x, r = randn(2, 3, 4, 4, dtype=np.float32), randn(2, 3, 4, 4, seed=1, dtype=np.float32)
    expected = F.relu(F.batch_norm(x, training=True) + r).numpy()
    np.testing.assert_array_equal(normalised(norm, x, relu, r).detach(), expected)
    handle = relu.register_forward_hook(lambda module, args, out: seen.append(args[0].detach().numpy().min()))
    np.testing.assert_array_equal(normalised(norm, x, relu, r).detach(), expected)
    handle.remove()
    assert len(seen) == 1
    assert seen[0] < 0
    for act in (layers.ReLU(), layers.ReLU6(), layers.SiLU()):
        row = layers.Sequential(layers.BatchNorm2d(3), act, layers.MaxPool2d(2))
        expected = F.max_pool2d(act(F.batch_norm(x, training=True)), 2)
        np.testing.assert_array_equal(row(x).detach(), expected.detach())


@pytest.mark.parametrize("name", ["resnet20", "densenet_bc_16_24", "mobilenet_v2"])
def test_a_network_trains_the_same_with_and_without(name):
    shape = models.input_shape(name)
    x = randn(2, *(shape[0], *(min(n, 64) for n in shape[1:])), dtype=np.float32)
    grads = []
    for watched in (False, True):
        model = models.create(name, rng=0).train()
        if watched:
            for module in model.modules():
                module.register_forward_hook(lambda module, args, out: None)
        out = model(x)
        out.backward(np.ones(out.shape, np.float32))
        grads.append([p.grad.numpy() for p in model.parameters()])
    for a, e in zip(*grads, strict=True):
        np.testing.assert_array_equal(a, e)


def test_wrong_arguments():
    x = randn(2, 3, 4, 4, dtype=np.float32)
    with pytest.raises(ShapeError, match="batch_norm: residual must have the result's shape"):
        F.batch_norm(x, training=True, residual=x[:1])
    with pytest.raises(TypeError, match="residual is float64"):
        F.batch_norm(x, training=True, residual=x.astype(float))
    with pytest.raises(ValueError, match="batch_norm: activation must be"):
        F.batch_norm(x, training=True, activation="tanh")
    out, moments = channels_last(x), np.ones((2, 3))
    with pytest.raises(TypeError, match="masked"):
        _kernels.norm_grad(out, out, *moments, None, None, None, None, 3, False, 1e-5, True, None, (0.0, 1.0))
