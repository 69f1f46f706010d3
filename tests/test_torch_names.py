"""Whoever knows torch.nn finds the same names, arguments, orders, defaults, state-dict keys and descriptions."""

import inspect
import re
import warnings

import numpy as np
import pytest

import fastconv
from fastconv import functional as F
from fastconv import layers

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

SPACES = {
    "layers": (layers, nn),
    "functional": (F, nn.functional),
    "optim": (fastconv.optim, torch.optim),
    "lr_scheduler": (fastconv.lr_scheduler, torch.optim.lr_scheduler),
    "init": (fastconv.init, nn.init),
}
# Of another device, for other hardware, deprecated, drawn from a global state.
THEIRS = {"device", "dtype", "_stacklevel", "foreach", "fused", "capturable", "differentiable", "generator"}
THEIRS |= {"min_value", "max_value"}
LATE = {"weight"}  # of losses that are means of differences, new in PyTorch 2.9
OURS = {"rng", "algorithm", "within_channel", "distribution", "residual", "activation"}
# PyTorch has no signature of these, or one that says nothing; or they hold other things.
UNLIKE = {"Module", "Sequential", "Parameter", "Buffer", "Optimizer", "LRScheduler", "Sigmoid", "Tanh"}


def arguments(function):
    """Names and defaults, in order."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in given):
        return None
    return {p.name: p.default for p in given if p.name != "self"}


def shared(ours, theirs):
    for name in sorted(set(dir(ours)) & set(dir(theirs)) - UNLIKE):
        function, other = getattr(ours, name), getattr(theirs, name)
        public = not name.startswith("_") and callable(function) and not inspect.ismodule(function)
        if public and getattr(function, "__module__", "").startswith("fastconv"):
            yield name, arguments(function), arguments(other)


@pytest.mark.parametrize("space", SPACES)
def test_arguments_have_the_same_names_order_and_defaults(space):
    compared = 0
    for name, ours, theirs in shared(*SPACES[space]):
        if theirs is None or ours is None:
            continue
        left = THEIRS - {"dtype"} if space == "functional" else THEIRS
        wanted = {key: value for key, value in theirs.items() if key not in left}
        if name in ("mse_loss", "l1_loss", "huber_loss"):
            wanted = {key: value for key, value in wanted.items() if key not in LATE}
        found = {key: value for key, value in ours.items() if key not in OURS}
        assert list(found) == list(wanted), name
        for key, value in wanted.items():
            optional = value is inspect.Parameter.empty  # ours may have a default where theirs has none
            assert optional or found[key] == value, (name, key)
        compared += 1
    assert compared > 5


LAYERS = {
    "AdaptiveAvgPool2d": [(3,), ((3, None),)],
    "AdaptiveMaxPool2d": [((2, 3), True)],
    "AvgPool2d": [(2,), (3, 2, 1, True, False, 5)],
    "BatchNorm1d": [(4,)],
    "BatchNorm2d": [(4,), (4, 1e-3, None, False, False), (4, {"bias": False})],
    "CELU": [(), (2.0,)],
    "ConstantPad2d": [(1, 3.5)],
    "Conv1d": [(4, 6, 3)],
    "Conv2d": [(4, 6, (3, 5), 2, 1, 2, 2, False), (4, 6, 3, 1, "same"), (4, 6, 3, 1, 2, 1, 1, False, "circular")],
    "ConvTranspose2d": [(4, 6, 3, 2, 1, 1)],
    "Dropout": [(), (0.3, True)],
    "Dropout2d": [()],
    "ELU": [(), (0.5, True)],
    "Flatten": [()],
    "Fold": [((4, 5), (2, 2))],
    "GELU": [(), ("tanh",)],
    "GroupNorm": [(2, 4), (2, 4, 1e-3, False), (2, 4, {"bias": False})],
    "Hardswish": [()],
    "Hardtanh": [(), (-2.0, 3.0, True)],
    "Identity": [()],
    "InstanceNorm2d": [(4,), (4, 1e-5, 0.1, True, True), (4, {"affine": True, "bias": False})],
    "LPPool2d": [(2, 3), (2, 3, 2, True)],
    "LayerNorm": [(4,), ((3, 4), 1e-5, True, False)],
    "LeakyReLU": [(), (0.2, True)],
    "Linear": [(3, 4), (3, 4, False)],
    "LocalResponseNorm": [(5,), (5, 5e-4, 0.75, 2.0)],
    "LogSoftmax": [(1,)],
    "MaxPool2d": [(2,), ((3, 2), 2, 1, 2, True, True)],
    "Mish": [()],
    "PReLU": [(), (4,)],
    "PixelShuffle": [(2,)],
    "RReLU": [(), (0.1, 0.2, True)],
    "ReLU": [(), (True,)],
    "ReLU6": [(), (True,)],
    "ReflectionPad2d": [((1, 2, 1, 0),)],
    "SELU": [()],
    "SiLU": [()],
    "Softmax": [(), (1,)],
    "Softplus": [(), (2.0, 10.0)],
    "Unflatten": [(1, (2, 3))],
    "Unfold": [(3,)],
    "Upsample": [(None, 2), (8, None, "bilinear")],
    "ZeroPad2d": [(1,)],
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_hold_and_say_the_same(name):
    for given in LAYERS[name]:
        options = next((each for each in given if isinstance(each, dict)), {})
        given = [each for each in given if each is not options]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, theirs = getattr(layers, name)(*given, **options), getattr(nn, name)(*given, **options)
        said = [re.sub(", bias=(True|False)", "", repr(each)) for each in (ours, theirs)]  # of norms since 2.12 only
        assert said[0] == said[1]
        found = [(key, tuple(value.shape)) for key, value in ours.state_dict().items()]
        assert found == [(key, tuple(value.shape)) for key, value in theirs.state_dict().items()]


def test_a_tree_of_layers_reads_the_same():
    def tree(space):
        parts = space.ModuleList([space.ReLU(), space.ReLU()])
        heads = space.ModuleDict({"a": space.Linear(1, 2)})
        return space.Sequential(space.Conv2d(1, 2, 3), parts, heads)

    assert repr(tree(layers)) == repr(tree(nn))


@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_former_names_of_reductions(size_average, reduce):
    scores, labels = np.random.default_rng(0).standard_normal((5, 4)), np.array([0, 1, 2, 3, 1])
    shares = np.random.default_rng(1).random((5, 4))
    former = {"size_average": size_average, "reduce": reduce}
    for name in ("cross_entropy", "nll_loss", "multi_margin_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "kl_div"):
        given = scores, shares if name in ("mse_loss", "l1_loss", "smooth_l1_loss", "kl_div") else labels
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = getattr(nn.functional, name)(*map(torch.tensor, given), **former)
        np.testing.assert_allclose(getattr(F, name)(*given, **former), expected, rtol=1e-9)
