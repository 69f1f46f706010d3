import numpy as np
import pytest

from fastconv import Parameter, Tensor
from fastconv.errors import DataError, ShapeError
from fastconv.optim import SGD
from tests.helpers import randn


def run(params, optimizer, steps=4):
    for step in range(steps):
        for i, p in enumerate(params):
            p.grad = Tensor(randn(*p.shape, seed=100 * step + i).astype(p.dtype))
        optimizer.step()


def test_groups_have_their_own_options():
    a, b = Parameter([1.0]), Parameter([1.0])
    optimizer = SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1, momentum=0.9)
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.5]
    assert all(g["momentum"] == 0.9 for g in optimizer.param_groups)
    a.grad = b.grad = Tensor([1.0])
    optimizer.step()
    assert a.numpy() == np.float32(0.9)
    assert b.numpy() == 0.5


def test_parameters_without_a_gradient_stay():
    a, b = Parameter([1.0]), Parameter([1.0])
    optimizer = SGD([a, b], lr=0.1, weight_decay=1.0)
    a.grad = Tensor([1.0])
    optimizer.step()
    assert b.numpy() == 1
    assert b.version == 0
    assert a.version == 1
    optimizer.zero_grad()
    assert a.grad is None


def test_a_step_raises_the_version_and_empties_the_cache():
    p = Parameter([1.0, 2.0])
    p.cache["packed"] = 1
    view = p.numpy()
    run([p], SGD([p]), steps=3)
    assert p.version == 3
    assert not p.cache
    assert not view.flags.writeable
    assert np.array_equal(view, p.numpy())


def test_a_gradient_that_does_not_fit_changes_nothing():
    a, b = Parameter([1.0, 2.0]), Parameter([1.0])
    optimizer = SGD([a, b])
    a.grad, b.grad = Tensor([1.0, 1.0]), Tensor([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"SGD: grad must be float32 of shape \(1,\), got float32 of shape \(2,\)"):
        optimizer.step()
    b.grad = Tensor(np.ones(1))
    with pytest.raises(ShapeError, match="float64"):
        optimizer.step()
    assert a.tolist() == [1, 2]


def test_a_gradient_of_any_strides():
    p = Parameter(np.zeros((3, 4)))
    p.grad = Tensor(randn(4, 3).T)
    p.grad.data.flags.writeable = False
    SGD([p], lr=1).step()
    assert np.array_equal(p.numpy(), -p.grad.data)


def test_state_dict_continues_where_it_was():
    def fresh():
        return [Parameter(randn(3, 4)), Parameter(randn(4))]

    params = fresh()
    optimizer = SGD(params, lr=0.1, momentum=0.9)
    run(params, optimizer)
    others = fresh()
    for p, q in zip(params, others, strict=True):
        q.assign(p)
    other = SGD(others, lr=1.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.1
    run(params, optimizer)
    run(others, other)
    for p, q in zip(params, others, strict=True):
        assert np.array_equal(p.numpy(), q.numpy())


def test_a_state_that_does_not_fit_changes_nothing():
    p = Parameter(randn(3))
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    run([p], optimizer)
    good = optimizer.state_dict()
    group = good["param_groups"][0]
    for bad, error in (
        ({}, DataError),
        ({"state": {}, "param_groups": []}, DataError),
        ({"state": {1: {}}, "param_groups": [group]}, DataError),
        ({"state": {0: {"momentum_buffer": np.ones(4)}}, "param_groups": [group]}, ShapeError),
        ({"state": {}, "param_groups": [{**group, "lr": -1.0}]}, ValueError),
    ):
        with pytest.raises(error, match="SGD: "):
            optimizer.load_state_dict(bad)
        assert optimizer.param_groups[0]["lr"] == 0.1
        assert "momentum_buffer" in optimizer.state[p]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lr": -1.0}, ValueError),
        ({"lr": np.nan}, ValueError),
        ({"lr": "0.1"}, TypeError),
        ({"momentum": -0.1}, ValueError),
        ({"weight_decay": -1}, ValueError),
        ({"nesterov": True}, ValueError),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError),
    ],
)
def test_wrong_options(options, error):
    with pytest.raises(error, match="SGD: "):
        SGD([Parameter([1.0])], **options)


@pytest.mark.parametrize(
    "params",
    [
        Parameter([1.0]),
        [Tensor([1.0])],
        [np.ones(1)],
        3,
        [],
        [{"lr": 1.0}],
        [{"params": [Parameter([1.0])], "speed": 1}],
    ],
)
def test_wrong_params(params):
    with pytest.raises((TypeError, ValueError), match="SGD: "):
        SGD(params)


def test_a_parameter_given_twice():
    p = Parameter([1.0])
    with pytest.raises(ValueError, match="twice"):
        SGD([p, p])
    with pytest.raises(ValueError, match="twice"):
        SGD([{"params": [p]}, {"params": [p]}])


def test_numpy_numbers_and_a_generator_of_params():
    p = Parameter([1.0])
    SGD((q for q in [p]), lr=np.float64(0.1))


def test_names_are_kept_and_mentioned():
    params = [("first.weight", Parameter([1.0])), ("first.bias", Parameter([1.0]))]
    optimizer = SGD(params, lr=0.1)
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["first.weight", "first.bias"]
    params[1][1].grad = Tensor([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"SGD: grad of first\.bias must be float32"):
        optimizer.step()
    with pytest.raises(TypeError, match="SGD: params must be Parameters, got int"):
        SGD([("a", 3)])


def test_a_closure_computes_the_gradients():
    p = Parameter([2.0])
    optimizer = SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4
    assert p.numpy() == np.float32(1.6)
    assert optimizer.step() is None


def test_gradients_of_zero():
    a, b = Parameter([2.0, 3.0]), Parameter([2.0])
    optimizer = SGD([a, b])
    a.grad = Tensor([1.0, 1.0])
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0, 0]
    assert b.grad is None


def test_text():
    a, b = Parameter([2.0]), Parameter([2.0])
    text = repr(SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=1))
    assert text.splitlines() == [
        "SGD(",
        "  1 parameters: lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False",
        "  1 parameters: lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False",
        ")",
    ]
