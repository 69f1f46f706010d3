import copy

import numpy as np
import pytest

from fastconv import Tensor
from fastconv.errors import ShapeError
from fastconv.layers import Flatten, Module, ReLU, Sequential


class Add(Module):
    def forward(self, x, other=0.0):
        return x + other


def test_hooks_see_what_goes_in_and_out():
    seen = []
    net = Sequential(ReLU(), Flatten())
    net[0].register_forward_pre_hook(lambda module, args: seen.append((module, args)))
    handle = net[0].register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
    x = Tensor(np.array([[-1.0, 2.0]], np.float32))
    out = net(x)
    assert seen[0] == (net[0], (x,))
    assert seen[1][:2] == (net[0], (x,))
    assert seen[1][2].tolist() == out.tolist() == [[0, 2]]
    handle.remove()
    handle.remove()
    net(x)
    assert len(seen) == 3


def test_what_hooks_return_takes_the_place():
    layer = Add()
    layer.register_forward_pre_hook(lambda module, args: args[0] * 10)
    layer.register_forward_pre_hook(lambda module, args: (args[0], 1.0))
    layer.register_forward_hook(lambda module, args, output: output * 2)
    layer.register_forward_hook(lambda module, args, output: None)
    assert layer(Tensor([1.0])).tolist() == [22]


def test_keyword_arguments():
    layer = Add()
    layer.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"other": kwargs["other"] + 1}), with_kwargs=True
    )
    seen = []
    layer.register_forward_hook(lambda module, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
    assert layer(Tensor([1.0]), other=2.0).tolist() == [4]
    assert seen == [{"other": 3.0}]


def test_order():
    layer, seen = Add(), []
    for name, prepend in (("b", False), ("c", False), ("a", True)):
        layer.register_forward_hook(lambda module, args, output, name=name: seen.append(name), prepend=prepend)
    layer(Tensor([1.0]))
    assert seen == ["a", "b", "c"]


def test_a_hook_may_remove_itself_and_lives_in_copies():
    layer, seen = Add(), []

    def once(module, args, output):
        seen.append(module)
        handle.remove()

    handle = layer.register_forward_hook(once)
    other = copy.deepcopy(layer)
    layer(Tensor([1.0]))
    layer(Tensor([1.0]))
    assert seen == [layer]
    other(Tensor([1.0]))
    assert seen == [layer, other]
    assert not list(layer.state_dict())


def test_errors_in_hooks_name_the_layer():
    net = Sequential(ReLU())

    def check(module, args):
        raise ShapeError("check: input must be 4-d")

    net[0].register_forward_pre_hook(check)
    with pytest.raises(ShapeError, match=r"^0: check: input must be 4-d"):
        net(Tensor([1.0]))
    for register in (net.register_forward_hook, net.register_forward_pre_hook):
        with pytest.raises(TypeError, match="Sequential: hook must be callable, got int"):
            register(3)


def test_hooks_that_are_always_called():
    def fail(*args):
        raise RuntimeError("stop")

    for place in ("register_forward_pre_hook", "register_forward_hook"):
        layer, seen = Add(), []
        layer.register_forward_hook(lambda module, args, output, seen=seen: seen.append("first"), always_call=True)
        getattr(layer, place)(fail)
        layer.register_forward_hook(lambda module, args, output, seen=seen: seen.append(output), always_call=True)
        layer.register_forward_hook(lambda module, args, output, seen=seen: seen.append("not reached"))
        with pytest.raises(RuntimeError, match="stop"):
            layer(Tensor([1.0]))
        assert seen[0] == "first"
        assert len(seen) == 2
        assert (seen[1] is None) == (place == "register_forward_pre_hook")
