"""Networks recorded instead of run."""

import inspect

import numpy as np
import pytest

from fastconv import Parameter, Tensor
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.graph import Node, Value, trace
from fastconv.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models import lenet5
from tests.trace_cases import CASES, N

OTHERS = {"checkpoint"}  # takes a function, and is recorded as what that does
OPERATIONS = [name for name in F.__all__ if inspect.isfunction(getattr(F, name)) and name not in OTHERS]
HUGE = 2**40  # a batch of so many that nothing of it can be allocated


def arrays(shapes, batch=N):
    """Arrays of the shapes of a case; those of a huge batch are one element repeated."""

    def array(shape):
        if isinstance(shape, list):
            return [array(each) for each in shape]
        dtype = "float32"
        if isinstance(shape[-1], str):
            shape, dtype = shape
        if batch == N:
            return np.random.default_rng(0).random(shape, np.float32).astype(dtype)
        return np.broadcast_to(np.zeros((), dtype), tuple(batch if n == N else n for n in shape))

    return [array(shape) for shape in shapes]


def flat(nested):
    return [each for item in nested for each in (item if isinstance(item, list) else [item])]


def traced_call(name, inputs, options):
    """The graph of one call, all of whose arrays are inputs."""

    def call(*tensors):
        rest = list(tensors)
        again = [[rest.pop(0) for _ in item] if isinstance(item, list) else rest.pop(0) for item in inputs]
        return getattr(F, name)(*again, **options)

    return trace(call, *flat(inputs))


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def test_every_operation_has_a_case():
    assert sorted(CASES) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_recorded_as_it_would_run(name):
    shapes, options = CASES[name]
    inputs = arrays(shapes)
    expected = as_tuple(getattr(F, name)(*inputs, **options))
    graph = traced_call(name, inputs, options)
    assert [(v.shape, v.dtype) for v in graph.outputs] == [(t.shape, t.dtype) for t in expected]
    node = graph.nodes[-1]
    assert node.outputs == graph.outputs
    assert node.inputs
    for found, wanted in zip(graph.run(*flat(inputs)), expected, strict=True):
        np.testing.assert_array_equal(found.data, wanted.data)


@pytest.mark.parametrize("name", OPERATIONS)
def test_recording_needs_no_memory(name):
    shapes, options = CASES[name]
    graph = traced_call(name, arrays(shapes, HUGE), options)
    assert max(value.size for value in graph.inputs) >= HUGE


def test_a_network_runs_from_its_graph():
    model = lenet5(rng=0).eval()
    x = np.random.default_rng(1).random((3, 1, 28, 28), np.float32)
    graph = trace(model, x.shape)
    np.testing.assert_array_equal(graph.run(x)[0].data, model(x).data)
    assert [node.path for node in graph.nodes][:3] == ["features.0", "features.1", "features.2"]
    assert graph.nodes[0].arguments["stride"] == (1, 1)
    assert graph.nodes[0].leaf
    names = [value.name for value in graph.constants()]
    assert names == [name for name, _ in model.named_parameters()]
    with pytest.raises(ShapeError, match="takes inputs of shapes"):
        graph.run(x[:1])


class Block(Module):
    def __init__(self):
        self.body = Sequential(Conv2d(4, 4, 3, padding=1, rng=0), ReLU())
        self.act = ReLU()

    def forward(self, x):
        return {"out": self.act(self.body(x) + x), "mean": (x.mean((2, 3)),)}


def test_nodes_know_their_layer():
    graph = trace(Block(), (1, 4, 8, 8))
    assert [(n.path, n.layer, n.op, n.leaf) for n in graph.nodes] == [
        ("body.0", "Conv2d", "conv2d", True),
        ("body.1", "ReLU", "relu", True),
        ("", "Block", "add", False),
        ("act", "ReLU", "relu", True),
        ("", "Block", "mean", False),
    ]
    add = graph.nodes[2]
    assert add.inputs == (graph.nodes[1].output, graph.inputs[0])
    assert [v.shape for v in graph.outputs] == [(1, 4, 8, 8), (1, 4)]
    assert graph.consumers()[graph.inputs[0]] == [graph.nodes[0], add, graph.nodes[4]]
    assert graph.nodes[0].attributes["padding"] == (1, 1)
    assert [name for name, _ in graph.nodes[0].named_inputs()] == ["input", "weight", "bias"]


def test_a_layer_called_twice_is_two_calls():
    layer = Linear(3, 3, rng=0)
    graph = trace(Sequential(layer, layer), (2, 3))
    first, second = graph.nodes
    assert (first.path, second.path) == ("0", "0")
    assert first.call != second.call
    assert first.inputs[1] is second.inputs[1]
    assert first.inputs[1].tensor is layer.weight


def test_nothing_is_learnt_from_a_trace():
    layer = BatchNorm2d(3)
    graph = trace(layer, (4, 3, 5, 5))
    assert graph.nodes[0].attributes["training"] is True
    assert layer.num_batches_tracked.item() == 0
    with pytest.raises(ShapeError, match="more than one value per channel"):
        trace(layer, (1, 3, 1, 1))


def test_dropout_is_recorded_although_it_does_nothing():
    graph = trace(Sequential(Dropout(0.5)).eval(), (2, 3))
    assert graph.nodes[0].attributes["training"] is False


def test_wrong_shapes_raise_what_running_does():
    model = Sequential(Conv2d(3, 8, 3), Flatten(), Linear(10, 2))
    with pytest.raises(ShapeError, match=r"^2: linear: weight of shape \(2, 10\) takes 10 features"):
        trace(model, (1, 3, 8, 8))
    with pytest.raises(ShapeError, match="operands of shapes"):
        trace(lambda x, y: x + y, (2, 3), (2, 4))
    with pytest.raises(ShapeError, match="matmul: shapes"):
        trace(lambda x, y: x @ y, (2, 3), (2, 3))


@pytest.mark.parametrize(
    "peek",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x.mean().item(),
        lambda x: Tensor(np.asarray(x)),
        lambda x: x.numpy(),
        lambda x: float(x[0, 0]),
        lambda x: x.tolist(),
        lambda x: x.requires_grad_(),
    ],
)
def test_a_network_must_not_look_at_values(peek):
    with pytest.raises(TypeError, match="trace: "):
        trace(peek, (2, 3))


def test_an_operation_that_is_not_recorded_is_an_error():
    from fastconv.autograd import as_array, record

    def own(input):
        return record(as_array(input, "own", "input") * 2, lambda grad: (grad * 2,), (input,))

    with pytest.raises(TypeError, match="cannot be recorded"):
        trace(own, (2, 3))


def test_bad_inputs():
    with pytest.raises(TypeError, match="at least one input"):
        trace(ReLU())
    with pytest.raises(TypeError, match="input must be a shape"):
        trace(ReLU(), 3)
    with pytest.raises(TypeError, match="trace: input must be an int"):
        trace(ReLU(), (1.5, 3))
    with pytest.raises(ShapeError, match="2\\*\\*59"):
        trace(ReLU(), (2**31 - 1,) * 3)
    with pytest.raises(TypeError, match="float32 or float64"):
        trace(ReLU(), (2, 3), dtype="int32")
    with pytest.raises(TypeError, match="a network returns tensors"):
        trace(lambda x: "text", (2, 3))


def test_tracing_ends_with_the_trace():
    with pytest.raises(ShapeError):
        trace(Linear(3, 2, rng=0), (2, 4))
    assert type(F.relu(np.zeros((2, 3), np.float32))) is Tensor
    weight = Parameter(np.ones((2, 3), np.float32))
    assert F.linear(np.ones((1, 3), np.float32), weight).tolist() == [[3.0, 3.0]]


def test_other_dtypes_and_example_arrays():
    graph = trace(MaxPool2d(2), np.zeros((1, 2, 4, 4)))
    assert graph.outputs[0].dtype == np.float64
    assert trace(ReLU(), (2, 3), dtype=np.float64).outputs[0].dtype == np.float64
    assert isinstance(graph.nodes[0], Node)
    assert isinstance(graph.outputs[0], Value)
    assert graph.outputs[0].nbytes == 64
