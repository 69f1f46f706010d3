import copy

import numpy as np
import pytest

from fastconv import Parameter, Tensor, gradcheck
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers import Branches, Flatten, Linear, Module, ModuleDict, ModuleList, ReLU, Sequential, Tanh
from tests.helpers import randn


class Scale(Module):
    def __init__(self, size, factor=1.0):
        self.factor = Parameter(np.full(size, factor, np.float32))

    def forward(self, x):
        return x * self.factor


def names(module):
    return [name for name, _ in module.named_children()]


def test_sequential():
    a, b, c = Scale(2), Flatten(), Scale(2)
    net = Sequential(a, b)
    assert net.append(c) is net
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert b in net
    assert Flatten() not in net
    assert net[0] is a
    assert net[-1] is c
    assert list(net[1:]) == [b, c]
    assert names(net[1:]) == ["1", "2"]
    named = Sequential({"conv": a, "flat": b})
    assert [name for name, _ in named.named_parameters()] == ["conv.factor"]
    assert named.conv is a
    assert Sequential()(7) == 7
    assert names(net + named) == ["0", "1", "2"]  # of the five, two are there twice
    assert list(net + Sequential(a)) == [a, b, c, a]


def test_a_module_that_is_there_twice_runs_twice():
    double = Scale(2, 2.0)
    net = Sequential(double, double)
    assert len(net) == 2
    assert net([1.0, 1.0]).tolist() == [4, 4]
    assert names(net) == ["0"]


@pytest.mark.parametrize("kind", [lambda *m: Sequential(*m), lambda *m: ModuleList(m), lambda *m: Branches(*m)])
def test_lists_change_as_lists_do(kind):
    a, b, c, d = (Scale(1, f) for f in (1, 2, 3, 4))
    net = kind(a, b, c)
    net.insert(1, d)
    assert list(net) == [a, d, b, c]
    net.insert(-1, d)
    assert list(net) == [a, d, b, d, c]
    assert [name for name, _ in net.named_parameters()] == ["0.factor", "1.factor", "2.factor", "4.factor"]
    del net[1]
    assert list(net) == [a, b, d, c]
    assert names(net) == ["0", "1", "2", "3"]
    assert net.pop() is c
    assert net.pop(0) is a
    net[0] = c
    assert list(net) == [c, d]
    assert net.extend([a, b]) is net
    assert list(net) == [c, d, a, b]
    del net[::2]
    assert list(net) == [d, b]
    assert names(net) == ["0", "1"]
    assert type(net[:1]) is type(net)
    assert list(copy.deepcopy(net)) != list(net)
    for bad in (2, -3):
        with pytest.raises(IndexError, match=f"index must be from -2 to 1, got {bad}"):
            net[bad]
    with pytest.raises(TypeError, match="index must be an int or a slice, got str"):
        net["0"]
    with pytest.raises(TypeError, match="insert takes a Module, got int"):
        net.insert(0, 3)
    with pytest.raises(TypeError, match="layer '3' must be a Module, got int"):
        net.extend([a, 3])
    for bad in (3, None, Flatten()):
        with pytest.raises(TypeError, match="modules must be an iterable of Modules"):
            net.extend(bad)
    assert list(net) == [d, b]


def test_a_slice_grows_past_its_names():
    part = Sequential(Flatten(), Flatten(), Flatten())[1:]
    part.append(Flatten())
    assert names(part) == ["1", "2", "3"]
    named = Sequential({"a": Flatten(), "b": Flatten()})
    with pytest.raises(ValueError, match="cannot insert by position, the layers have names: a"):
        named.insert(0, Flatten())
    del named[0]
    assert names(named) == ["b"]
    named[0] = Flatten()
    assert names(named) == ["b"]


@pytest.mark.parametrize("bad", [3, None, "conv", F.flatten])
def test_sequential_takes_modules_only(bad):
    with pytest.raises(TypeError, match="Sequential: layer '0' must be a Module"):
        Sequential(bad)


@pytest.mark.parametrize("kind", [Sequential, ModuleDict, Branches])
def test_names(kind):
    for name in ("forward", "a.b", "training", ""):
        with pytest.raises(ValueError, match=f"{kind.__name__}: a layer cannot be named '{name}'"):
            kind({name: Flatten()})
    with pytest.raises(TypeError, match="names must be strings, got 1"):
        kind({1: Flatten()})


def test_module_list():
    layers = ModuleList(Linear(2, 2, rng=0) for _ in range(3))
    layers += [ReLU()]
    assert list(layers.state_dict())[-1] == "2.bias"
    assert len(layers + layers) == 8
    assert len(layers) == 4
    assert repr(layers) == "\n".join(
        [
            "ModuleList(",
            "  (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)",
            "  (3): ReLU()",
            ")",
        ]
    )
    assert names(layers[1:]) == ["0", "1", "2"]
    assert repr(ModuleList()) == "ModuleList()"
    with pytest.raises(NotImplementedError, match="ModuleList defines no forward"):
        layers(1)


def test_module_dict():
    a, b = ReLU(), Tanh()
    held = ModuleDict({"a": a})
    held["b"] = b
    assert held.keys() == list(held) == ["a", "b"]
    assert held.values() == [a, b]
    assert held.items() == [("a", a), ("b", b)]
    assert len(held) == 2
    assert held["b"] is held.b is b
    assert held.pop("a") is a
    assert "a" not in held
    assert names(ModuleDict(held)) == names(ModuleDict([("b", b)])) == ["b"]
    held.update({"b": a, "c": b})
    assert held.values() == [a, b]
    with pytest.raises(TypeError, match="layer 'd' must be a Module, got int"):
        held.update({"b": b, "d": 3})
    assert held.values() == [a, b]
    for use in (held.pop, held.__getitem__, held.__delitem__):
        with pytest.raises(KeyError, match=r"no module 'x', there are \['b', 'c'\]"):
            use("x")
    held.clear()
    assert not len(held)


def test_containers_print_and_name_as_pytorchs():
    torch = pytest.importorskip("torch")

    def build(m):
        inner = m.Sequential(m.Flatten(), m.ReLU())
        return m.ModuleList([m.ReLU(), m.ReLU(), m.ModuleDict({"a": inner, "b": m.Tanh()}), m.Sequential()])

    import fastconv.layers as ours

    assert repr(build(ours)) == repr(build(torch.nn))
    assert [n for n, _ in build(ours).named_modules()] == [n for n, _ in build(torch.nn).named_modules()]


def test_branches():
    x = randn(2, 3, 4, 4)
    both = Branches({"same": Sequential(), "half": Scale(1, 0.5)})
    both.double()
    out = both(Tensor(x))
    assert np.array_equal(out.detach(), np.concatenate([x, x / 2], 1))
    assert list(both.state_dict()) == ["half.factor"]
    assert repr(both).startswith("Branches(\n  merge='concat', dim=1\n  (same): Sequential()\n")
    total = Branches(Sequential(), Scale(1, 0.5), ReLU(), merge="sum").double()
    assert np.array_equal(total(Tensor(x)).detach(), x + x / 2 + np.maximum(x, 0))
    assert repr(total[:1]) == "Branches(\n  merge='sum'\n  (0): Sequential()\n)"
    for net in (both, total):
        gradcheck(net, [x])


def test_branches_that_do_not_fit():
    x = np.ones((2, 3, 4, 4), np.float32)
    with pytest.raises(
        ShapeError, match=r"inner: Branches: outputs to be added have shapes \(2, 3, 4, 4\) and \(2, 48"
    ):
        Sequential({"inner": Branches(Sequential(), Flatten(), merge="sum")})(x)
    with pytest.raises(ShapeError, match="inner: cat: "):
        Sequential({"inner": Branches(Sequential(), Flatten())})(x)
    with pytest.raises(ShapeError, match=r"^low: mul: "):
        Branches({"low": Scale(3)})(x)
    with pytest.raises(ValueError, match="merge must be concat or sum, got 'mean'"):
        Branches(ReLU(), merge="mean")
    with pytest.raises(TypeError, match="Branches: dim must be an int"):
        Branches(ReLU(), dim="channels")
    with pytest.raises(ValueError, match="at least one branch"):
        Branches()
