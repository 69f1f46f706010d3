"""PyTorch's own samples of convolutions: results, gradients, and what is refused. Needs torch and expecttest."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Tensor
from fastconv import functional as F
from fastconv.errors import ShapeError

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")
NAMES = [f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)]


@pytest.fixture(scope="module")
def infos():
    """PyTorch's description of each function."""
    from torch.testing._internal.common_methods_invocations import op_db

    return {info.name.removeprefix("nn.functional."): info for info in op_db}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_samples(infos, name, dtype):
    limit = {"float64": 1e-12, "float32": 1e-4}[dtype]
    samples = list(infos[name].sample_inputs("cpu", getattr(torch, dtype), requires_grad=True))
    assert samples
    for sample in samples:
        theirs = [sample.input, *sample.args]
        given = [x if x is None else Tensor(x.detach().numpy().copy(), requires_grad=True) for x in theirs]
        expected = getattr(torch.nn.functional, name)(*theirs, **sample.kwargs)
        found = getattr(F, name)(*given, **sample.kwargs)
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=limit, atol=limit)
        grad = torch.randn_like(expected)
        tensors = [x for x in theirs if x is not None]
        wanted = torch.autograd.grad(expected, tensors, grad)
        found.backward(grad.numpy())
        for ours, gradient in zip((x for x in given if x is not None), wanted, strict=True):
            np.testing.assert_allclose(ours.grad.numpy(), gradient.numpy(), rtol=limit, atol=limit)


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d"])
def test_what_is_refused(infos, name):
    refused = 0
    for error in infos[name].error_inputs("cpu"):
        sample = error.sample_input
        if "not supported for strided" in error.error_regex:
            continue  # padding="same" with a stride, which is allowed here
        arrays = [x if x is None else x.resolve_conj().numpy() for x in (sample.input, *sample.args)]
        with pytest.raises((ShapeError, TypeError), match=f"{name}: "):
            getattr(F, name)(*arrays, **sample.kwargs)
        refused += 1
    assert refused >= 8
