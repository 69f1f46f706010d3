"""Layers against PyTorch's, on the samples that PyTorch tests its own modules with."""

import warnings
from collections import Counter

import numpy as np
import pytest

from fastconv import Tensor, layers

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    common_modules = pytest.importorskip("torch.testing._internal.common_modules")

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own
INFOS = {
    info.module_cls.__name__: info
    for info in common_modules.module_db
    if info.module_cls.__module__.startswith("torch.nn.modules") and hasattr(layers, info.module_cls.__name__)
}
LIMITS = {torch.float64: 1e-6, torch.float32: 1e-4}
RANDOM = ("Dropout", "RReLU")  # while training


def ours(value):
    """What PyTorch's sample is for us: arrays, and Tensors where a gradient is asked for."""
    if not isinstance(value, torch.Tensor):
        return value
    array = value.detach().numpy().copy()
    return Tensor(array, requires_grad=value.requires_grad) if value.is_floating_point() else array


def leaf(value):
    """A tensor of its own: samples share theirs, and their gradients."""
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value


def close(found, expected, limit):
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=limit, atol=10 * limit)


def outputs(result):
    return list(result) if isinstance(result, tuple) else [result]


def compare(name, sample, dtype, training):
    """Value, gradients and buffers of one sample."""
    options = {key: value for key, value in sample.constructor_input.kwargs.items() if key not in ("device", "dtype")}
    arguments, given = sample.constructor_input.args, sample.forward_input
    theirs = INFOS[name].module_cls(*arguments, **options).to(dtype).train(training)
    layer = getattr(layers, name)(*map(ours, arguments), **{key: ours(value) for key, value in options.items()})
    layer = (layer.double() if dtype == torch.float64 else layer).train(training)
    layer.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    inputs, leaves = [ours(value) for value in given.args], [leaf(value) for value in given.args]
    expected = outputs(theirs(*leaves, **given.kwargs))
    found = outputs(layer(*inputs, **{key: ours(value) for key, value in given.kwargs.items()}))
    for ours_, theirs_ in zip(found, expected, strict=True):
        assert ours_.shape == tuple(theirs_.shape)
        close(ours_, theirs_, LIMITS[dtype])
    if not expected[0].requires_grad:
        return
    grad = np.random.default_rng(0).standard_normal(expected[0].shape).astype(found[0].dtype)
    expected[0].backward(torch.tensor(grad))
    found[0].backward(grad)
    pairs = [*zip(inputs, leaves, strict=True), *zip(layer.parameters(), theirs.parameters(), strict=True)]
    for ours_, theirs_ in pairs:
        if isinstance(theirs_, torch.Tensor) and theirs_.grad is not None:
            close(ours_.grad, theirs_.grad, LIMITS[dtype])
    for ours_, theirs_ in zip(layer.buffers(), theirs.buffers(), strict=True):
        close(ours_, theirs_, LIMITS[dtype])


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize("name", INFOS)
def test_values_and_gradients(name, dtype):
    compared = Counter()
    for training in (False, True):
        if training and any(word in name for word in RANDOM):
            continue
        samples = INFOS[name].module_inputs_func(
            INFOS[name], device="cpu", dtype=dtype, requires_grad=True, training=training
        )
        for sample in samples:
            compare(name, sample, dtype, training)
            compared[training] += 1
    assert compared[False]


def test_most_layers_have_samples():
    assert len(INFOS) > 65
