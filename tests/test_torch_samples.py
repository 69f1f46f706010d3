"""Values and gradients against PyTorch's, on the samples that PyTorch tests its own functions with."""

import warnings

import numpy as np
import pytest

from fastconv import Tensor
from fastconv import functional as F

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    invocations = pytest.importorskip("torch.testing._internal.common_methods_invocations")

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own
NOT_OURS = ("complex", "without_cudnn", "binary")  # binary: max and min of two tensors
INFOS = [info for info in invocations.op_db if info.variant_test_name not in NOT_OURS]
LIMITS = {torch.float64: 1e-6, torch.float32: 1e-4}

NAMES = {
    "batch_norm": "nn.functional.batch_norm",
    "binary_cross_entropy_with_logits": "nn.functional.binary_cross_entropy_with_logits",
    "celu": "nn.functional.celu",
    "cross_entropy": "nn.functional.cross_entropy",
    "elu": "nn.functional.elu",
    "gelu": "nn.functional.gelu",
    "group_norm": "nn.functional.group_norm",
    "hardsigmoid": "nn.functional.hardsigmoid",
    "hardswish": "nn.functional.hardswish",
    "hardtanh": "nn.functional.hardtanh",
    "huber_loss": "nn.functional.huber_loss",
    "instance_norm": "nn.functional.instance_norm",
    "kl_div": "nn.functional.kl_div",
    "l1_loss": "nn.functional.l1_loss",
    "layer_norm": "nn.functional.layer_norm",
    "linear": "nn.functional.linear",
    "log_softmax": "log_softmax",
    "softmax": "softmax",
    "leaky_relu": "nn.functional.leaky_relu",
    "local_response_norm": "nn.functional.local_response_norm",
    "mish": "nn.functional.mish",
    "mse_loss": "nn.functional.mse_loss",
    "multi_margin_loss": "nn.functional.multi_margin_loss",
    "nll_loss": "nn.functional.nll_loss",
    "prelu": "nn.functional.prelu",
    "relu": "nn.functional.relu",
    "relu6": "nn.functional.relu6",
    "rrelu": "nn.functional.rrelu",
    "selu": "nn.functional.selu",
    "sigmoid": "sigmoid",
    "silu": "nn.functional.silu",
    "smooth_l1_loss": "nn.functional.smooth_l1_loss",
    "softplus": "nn.functional.softplus",
    "tanh": "tanh",
    **{
        name: name for name in ("abs", "add", "amax", "amin", "clone", "div", "exp", "flatten", "log", "matmul", "mean")
    },
    **{name: name for name in ("mul", "neg", "permute", "pow", "reshape", "sqrt", "squeeze", "stack", "sub", "sum")},
    **{name: name for name in ("cat", "transpose", "unflatten", "unsqueeze", "max", "min", "argmax", "argmin")},
    **{name: name for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}


def is_not_ours(name, sample):
    """Samples of what is left out on purpose, or random."""
    return (name == "rrelu" and sample.kwargs.get("training")) or "memory_format" in sample.kwargs


class Given:
    """A sample's arguments for us, with the tensors that both sides differentiate."""

    def __init__(self):
        self.pairs = []

    def convert(self, value):
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], torch.Tensor):
            return [self.convert(each) for each in value]
        if isinstance(value, torch.dtype):
            return str(value).removeprefix("torch.")
        if not isinstance(value, torch.Tensor):
            return value
        array = value.detach().numpy().copy()
        if not value.requires_grad:
            return array
        ours = Tensor(array, requires_grad=True)
        self.pairs.append((ours, value))
        return ours


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_samples(name, dtype):
    torch.manual_seed(0)
    limit, tried = LIMITS[dtype], 0
    infos = [info for info in INFOS if info.name == NAMES[name]]
    samples = [(info, each) for info in infos for each in info.sample_inputs("cpu", dtype, requires_grad=True)]
    for info, sample in samples:
        if is_not_ours(name, sample):
            continue
        given = Given()
        args = [given.convert(each) for each in (sample.input, *sample.args)]
        kwargs = {key: given.convert(each) for key, each in sample.kwargs.items()}
        theirs = info.op(sample.input, *sample.args, **sample.kwargs)
        ours = getattr(F, name)(*args, **kwargs)
        what = f"{name}{[getattr(a, 'shape', a) for a in args]} {kwargs}"
        tried += 1
        if isinstance(theirs, tuple):
            assert np.array_equal(ours[1], theirs[1].numpy()), what
            theirs, ours = theirs[0], ours[0]
        np.testing.assert_allclose(
            ours.detach(), theirs.detach().numpy(), rtol=limit, atol=limit * 1e-2, equal_nan=True, err_msg=what
        )
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch."), what
        if not theirs.requires_grad:
            continue
        grad = torch.randn_like(theirs)
        expected = torch.autograd.grad(theirs, [t for _, t in given.pairs], grad, allow_unused=True)
        ours.backward(grad.numpy())
        for (mine, _), other in zip(given.pairs, expected, strict=True):
            if other is not None:
                scale = max(1.0, float(other.abs().max())) if other.numel() else 1.0
                np.testing.assert_allclose(mine.grad, other.numpy(), rtol=limit, atol=limit * scale, err_msg=what)
    assert tried
