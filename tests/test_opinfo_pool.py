"""Pooling, padding, resizing and rearranging over PyTorch's own sample inputs: value and gradient."""

import warnings
from itertools import islice

import numpy as np
import pytest

from fastconv import Tensor
from fastconv import functional as F

torch = pytest.importorskip("torch")

NAMES = [
    *(f"{kind}_pool{axes}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg") for axes in (1, 2, 3)),
    *(f"max_unpool{axes}d" for axes in (1, 2, 3)),
    *("channel_shuffle", "interpolate", "pad", "pixel_shuffle", "pixel_unshuffle", "unfold"),
]
LIMITS = {"float32": 1e-4, "float64": 1e-6}
STEPS = {"max_pool1d": 12, "max_pool2d": 12, "max_pool3d": 12}  # samples are many, and every so many of them will do
MOST = 80


def operations(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        methods = pytest.importorskip("torch.testing._internal.common_methods_invocations")
    found = [op for op in methods.op_db if op.name == f"nn.functional.{name}"]
    assert found
    return found


def ours(value, requires_grad):
    if isinstance(value, torch.Tensor):
        floats = value.dtype.is_floating_point
        return Tensor(value.detach().numpy(), requires_grad=requires_grad and floats and value.requires_grad)
    return list(value) if isinstance(value, torch.Size) else value


def first(result):
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", LIMITS)
def test_as_pytorch(name, dtype):
    count = 0
    for op in operations(name):
        samples = op.sample_inputs("cpu", getattr(torch, dtype), requires_grad=True)
        for sample in islice(samples, 0, MOST * STEPS.get(name, 1), STEPS.get(name, 1)):
            what = f"{op.name} {op.variant_test_name} {tuple(sample.input.shape)} {sample.args} {sample.kwargs}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = op(sample.input, *sample.args, **sample.kwargs)
            given = ours(sample.input, True)
            arguments = [ours(value, False) for value in sample.args]
            found = getattr(F, name)(given, *arguments, **{k: ours(v, False) for k, v in sample.kwargs.items()})
            if isinstance(theirs, tuple):
                assert np.array_equal(found[1], theirs[1].numpy()), what
            found, theirs = first(found), first(theirs)
            limit = LIMITS[dtype]
            np.testing.assert_allclose(found.detach(), theirs.detach().numpy(), limit, limit, err_msg=what)
            count += 1
            if not theirs.requires_grad or name.startswith("max_unpool"):  # several may have one index there
                continue
            grad = np.random.default_rng(0).standard_normal(found.shape).astype(dtype)
            found.backward(grad)
            expected = torch.autograd.grad(theirs, sample.input, torch.tensor(grad))[0].numpy()
            np.testing.assert_allclose(given.grad, expected, limit, limit, err_msg=what)
    assert count > 1
