import copy

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, Tensor
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers import BatchNorm2d, Buffer, Conv1d, Conv2d, Dropout, Flatten, Linear, Module, Sequential
from tests.helpers import randn


class Scale(Module):
    def __init__(self, size, dtype=np.float32):
        self.factor = Parameter(np.ones(size, dtype))
        self.offset = None
        self.count = Buffer(np.zeros(2, dtype))
        self.size = size

    def forward(self, x):
        return x * self.factor

    def extra_repr(self):
        return f"{self.size}"


class Net(Module):
    def __init__(self):
        self.first = Scale(2)
        self.inner = Sequential(Scale(2), Flatten(), Scale(2))
        self.bias = Parameter([0.0, 0.0])

    def forward(self, x):
        return self.inner(self.first(x)) + self.bias


def names(pairs):
    return [name for name, _ in pairs]


def test_what_it_holds():
    net = Net()
    assert names(net.named_parameters()) == ["bias", "first.factor", "inner.0.factor", "inner.2.factor"]
    assert names(net.named_buffers()) == ["first.count", "inner.0.count", "inner.2.count"]
    assert names(net.named_modules()) == ["", "first", "inner", "inner.0", "inner.1", "inner.2"]
    assert names(net.named_children()) == ["first", "inner"]
    assert list(net.children()) == [net.first, net.inner]
    assert next(net.modules()) is net
    assert next(net.parameters()) is net.bias
    assert len(list(net.buffers())) == 3


def test_order_and_names_are_pytorchs():
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.PReLU(2)
            self.inner = torch.nn.Sequential(torch.nn.PReLU(2), torch.nn.Flatten(), torch.nn.PReLU(2))
            self.bias = torch.nn.Parameter(torch.zeros(2))

    ours, theirs = Net(), Theirs()
    assert [n.replace("factor", "weight") for n in names(ours.named_parameters())] == names(theirs.named_parameters())
    assert names(ours.named_modules()) == names(theirs.named_modules())
    assert names(ours.named_children()) == names(theirs.named_children())
    for options in ({"prefix": "net"}, {"recurse": False}, {"remove_duplicate": False}):
        ours.again, theirs.again = ours.first, theirs.first
        mine = [n.replace("factor", "weight") for n in names(ours.named_parameters(**options))]
        assert mine == names(theirs.named_parameters(**options))
    assert names(ours.named_modules(None, "net", remove_duplicate=False)) == names(
        theirs.named_modules(None, "net", remove_duplicate=False)
    )
    assert names(ours.named_children()) == names(theirs.named_children())


def test_what_is_directly_inside_and_paths():
    net = Net()
    net.again = net.first
    assert names(net.named_parameters(recurse=False)) == ["bias"]
    assert list(net.parameters(recurse=False)) == [net.bias]
    assert list(net.buffers(recurse=False)) == []
    assert names(net.named_children()) == ["first", "inner"]
    with pytest.raises(TypeError, match="named_modules: memo must be a set"):
        next(net.named_modules("net"))
    memo = {next(net.children())}
    assert len(names(net.named_modules(memo))) == len(memo) - 1 < len(names(net.named_modules()))
    assert names(net.named_modules(prefix="net")) == [
        "net",
        "net.first",
        "net.inner",
        "net.inner.0",
        "net.inner.1",
        "net.inner.2",
    ]
    assert names(net.named_parameters(remove_duplicate=False)) == [*names(net.named_parameters()), "again.factor"]
    assert net.get_submodule("inner.2") is net.inner[2]
    assert net.get_submodule("") is net
    for bad in ("inner.3", "bias", "inner.0.factor", "first."):
        with pytest.raises(AttributeError, match=f"Net has no module '{bad}'"):
            net.get_submodule(bad)


def test_shared_modules_are_listed_once_but_have_two_paths():
    shared = Scale(2)
    net = Sequential(shared, shared)
    assert names(net.named_parameters()) == ["0.factor"]
    assert len(list(net.modules())) == 2
    assert list(net.state_dict()) == ["0.factor", "0.count", "1.factor", "1.count"]
    net.load_state_dict(net.state_dict())


def test_no_init_is_needed():
    class Bare(Module):
        def forward(self, x):
            return x

    layer = Bare()
    assert layer.training
    assert not layer.eval().training
    assert Bare().training
    assert layer(3) == 3
    assert repr(layer) == "Bare()"
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()(1)


def test_train_and_eval():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())


def test_gradients():
    net = Net()
    net(Tensor(np.ones((3, 2), np.float32))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net
    assert not net(Tensor(np.ones((3, 2), np.float32))).requires_grad


def test_apply_goes_from_the_inside_out():
    seen = []
    net = Net()
    assert net.apply(seen.append) is net
    assert seen[-1] is net
    assert seen == [net.first, *net.inner, net.inner, net]


def test_to_converts_everything():
    net = Net()
    net.first.flags = Buffer([1, 0])
    net.first.factor.grad = Tensor([1.0, 1.0])
    assert net.to(fastconv.float64) is net
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    assert net.first.count.dtype == np.float64
    assert net.first.factor.grad is None
    assert net.float().bias.dtype == np.float32
    assert net.double().bias.dtype == np.float64
    for bad in (np.float16, int, "half", None):
        with pytest.raises(TypeError, match="to: dtype must be float32 or float64"):
            net.to(bad)


def test_attributes_that_are_parameters_stay_parameters():
    layer = Scale(2)
    with pytest.raises(TypeError, match=r"Scale: factor is a Parameter .* use factor.assign"):
        layer.factor = np.ones(2)
    with pytest.raises(TypeError, match=r"Scale: count is a Buffer and takes only another or None, got Tensor"):
        layer.count = Tensor([1.0])
    net = Net()
    with pytest.raises(TypeError, match=r"Net: first is a Module .* got function"):
        net.first = F.relu
    net.first = None
    assert names(net.named_modules())[1] == "inner"
    layer.factor = Parameter([1.0])
    layer.factor = None
    assert names(layer.named_parameters()) == []


def test_deepcopy_is_independent():
    net = Net()
    other = copy.deepcopy(net)
    net.bias.assign([1, 2])
    net.first.count.data[...] = 1
    assert other.bias.tolist() == [0, 0]
    assert other.first.count.tolist() == [0, 0]
    assert names(other.named_parameters()) == names(net.named_parameters())


def test_errors_name_the_layers_path():
    net = Sequential(Sequential(Scale(2), Scale(3)), Flatten(5))
    with pytest.raises(ShapeError, match=r"^0\.1: mul: operands of shapes \(4, 2\) and \(3,\)"):
        net(np.ones((4, 2), np.float32))
    with pytest.raises(TypeError, match=r"^0\.0: mul: input is float64 but other is float32"):
        net(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"^mul: "):
        Scale(3)(np.ones((4, 2), np.float32))
    with pytest.raises(ShapeError, match=r"^1: flatten: start_dim"):
        Sequential({"0": Scale(2), "1": Flatten(5)})(np.ones((4, 2), np.float32))


def test_other_errors_pass_unchanged():
    class Broken(Module):
        def forward(self, x):
            raise KeyError("x")

    with pytest.raises(KeyError, match=r"^'x'$"):
        Sequential(Broken())(1)


def test_text():
    assert repr(Net()) == "\n".join(
        [
            "Net(",
            "  (first): Scale(2)",
            "  (inner): Sequential(",
            "    (0): Scale(2)",
            "    (1): Flatten(start_dim=1, end_dim=-1)",
            "    (2): Scale(2)",
            "  )",
            ")",
        ]
    )
    net = Net()
    net.extra_repr = lambda: "classes=2"
    assert repr(net).startswith("Net(\n  classes=2\n  (first): Scale(2)\n")


def test_flatten():
    x = Tensor(randn(2, 3, 4, 5), requires_grad=True)
    assert Flatten()(x).shape == (2, 60)
    assert Flatten(0, 1)(x).shape == (6, 4, 5)


def test_dropout():
    layer = Dropout(0.4, rng=3)
    x = Tensor(np.ones(100, np.float32))
    first, second = layer(x), layer(x)
    assert (first != second).data.any()
    assert np.array_equal(Dropout(0.4, rng=3)(x), first)
    assert layer.eval()(x) is x
    assert repr(layer) == "Dropout(p=0.4, inplace=False)"
    with pytest.raises(ValueError, match="Dropout: p must be a number from 0 to 1"):
        Dropout(2)
    with pytest.raises(TypeError, match="Dropout: rng"):
        Dropout(rng="a")


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        ([Conv2d(3, 4, 3)], (1, 8, 8, 3), r"0: conv2d: .* np.moveaxis\(input, -1, -3\)"),
        ([Conv2d(1, 4, 3)], (5, 8, 8), r"0: conv2d: .* input\[:, None\]"),
        ([Flatten(2, 3), Conv1d(3, 4, 3)], (1, 2, 8, 8), "1: conv1d: .* has 2; a layer with in_channels=2 would fit"),
        ([Linear(12, 4)], (5, 3, 2, 2), "0: linear: .* put a Flatten in front"),
        ([Flatten(), Linear(10, 4)], (5, 3, 2, 2), "1: linear: .* in_features=12 would fit"),
        ([Linear(10, 4)], (5, 3, 2), "0: linear: .* the last axis must be 10 long"),
        ([Sequential(BatchNorm2d(4))], (5, 3, 2, 2), r"0.0: BatchNorm2d: .* got shape .*; num_features=3 would fit"),
    ],
)
def test_shape_errors_name_the_layer_and_the_likely_fix(network, shape, message):
    with pytest.raises(ShapeError, match=message):
        Sequential(*network)(np.zeros(shape, np.float32))
