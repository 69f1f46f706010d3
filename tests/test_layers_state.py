import numpy as np
import pytest

from fastconv import Parameter
from fastconv.errors import DataError, ShapeError
from fastconv.layers import Buffer, Module, Sequential
from tests.helpers import randn
from tests.test_layers_module import Net, Scale


def test_state_dict_order_is_pytorchs():
    torch = pytest.importorskip("torch")

    class Ours(Module):
        def __init__(self):
            self.count = Buffer([0.0])
            self.inner = Sequential(Scale(2))
            self.weight = Parameter([1.0])

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))
            self.inner = torch.nn.Sequential(torch.nn.PReLU(2))
            self.weight = torch.nn.Parameter(torch.ones(1))

    ours = [n.replace("factor", "weight") for n in Ours().state_dict() if n != "inner.0.count"]
    assert ours == list(Theirs().state_dict())


def test_state_dict_shares_memory():
    net = Net()
    state = net.state_dict()
    assert list(state) == [
        "bias",
        "first.factor",
        "first.count",
        "inner.0.factor",
        "inner.0.count",
        "inner.2.factor",
        "inner.2.count",
    ]
    assert next(iter(net.state_dict(prefix="net."))) == "net.bias"
    net.bias.assign([1, 2])
    assert state["bias"].tolist() == [1, 2]
    assert not state["bias"].requires_grad


def test_load_state_dict():
    source, target = Net(), Net()
    for p in source.parameters():
        p.assign(randn(*p.shape).astype(np.float32))
    source.first.count.data[...] = 3
    target.load_state_dict(source.state_dict())
    for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True):
        assert np.array_equal(a, b)
        assert not np.shares_memory(a.data, b.data)
    assert target.bias.version == 1
    arrays = {name: value.numpy() for name, value in source.state_dict().items()}
    target.double().load_state_dict(arrays)
    assert target.bias.dtype == np.float64


def test_a_state_that_does_not_fit_changes_nothing():
    net = Net()
    good = {name: np.full(value.shape, 5, np.float32) for name, value in net.state_dict().items()}
    without = {name: value for name, value in good.items() if name != "bias"}
    cases = [
        (without, DataError, "missing: bias"),
        ({**good, "head.weight": np.ones(1)}, DataError, "unexpected: head.weight"),
        ({**good, "bias": np.ones(3, np.float32)}, ShapeError, r"wrong shape: bias has \(2,\), given \(3,\)"),
        ({**good, "bias": np.ones(2)}, TypeError, "wrong dtype: bias has float32, given float64"),
        ({**good, "bias": "text"}, TypeError, "load_state_dict: bias must be"),
        (
            {**without, "x": 1, "first.factor": np.ones(1)},
            DataError,
            "missing: bias; unexpected: x; wrong shape: first.fac",
        ),
    ]
    for bad, error, message in cases:
        with pytest.raises(error, match=message):
            net.load_state_dict(bad)
        assert net.bias.tolist() == [0, 0]
        assert net.first.factor.tolist() == [1, 1]
    ignored = net.load_state_dict({**without, "head.weight": np.ones(1)}, strict=False)
    assert ignored == (["bias"], ["head.weight"])
    assert net.first.factor.tolist() == [5, 5]
    with pytest.raises(TypeError, match="load_state_dict: state_dict must be a mapping, got list"):
        net.load_state_dict([1])
    with pytest.raises(ShapeError):
        net.load_state_dict({"bias": np.ones(3, np.float32)}, strict=False)


def test_registering_as_pytorchs_modules_do():
    class Layer(Module):
        def __init__(self):
            super().__init__()
            self.register_parameter("weight", Parameter([1.0]))
            self.register_parameter("bias", None)
            self.register_buffer("mean", np.zeros(2, np.float32))
            self.register_buffer("table", np.arange(3.0), persistent=False)
            self.register_module("inner", Scale(2))
            self.add_module("last", Scale(1))

    layer = Layer()
    assert list(layer.state_dict()) == ["weight", "mean", "inner.factor", "inner.count", "last.factor", "last.count"]
    assert [name for name, _ in layer.named_buffers(recurse=False)] == ["mean", "table"]
    assert isinstance(layer.mean, Buffer)
    assert layer.bias is None
    layer.register_parameter("bias", Parameter([0.0]))
    layer.register_buffer("table", [1.0])
    assert list(layer.state_dict())[:4] == ["weight", "bias", "mean", "table"]
    assert layer.get_parameter("inner.factor") is layer.inner.factor
    assert layer.get_buffer("mean") is layer.mean
    assert layer.double().table.dtype == np.float64
    for wrong in ("inner.count", "factor", "last.other"):
        with pytest.raises(AttributeError, match=f"no parameter '{wrong}'|no module"):
            layer.get_parameter(wrong)
    for name in ("a.b", "", "forward", "weight"):
        with pytest.raises(KeyError, match="cannot be named"):
            layer.register_buffer(name, [1.0])
    with pytest.raises(TypeError, match="a parameter is wanted for 'w', got Tensor"):
        layer.register_parameter("w", layer.weight.detach())
    with pytest.raises(TypeError, match="a module must have a string"):
        layer.add_module(1, Scale(1))
