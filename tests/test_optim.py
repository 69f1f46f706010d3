import itertools

import numpy as np
import pytest

from fastconv import Parameter, Tensor
from fastconv.errors import DataError, ShapeError
from fastconv.optim import SGD
from fastconv.reference import optim as twin
from tests.helpers import randn

RULES = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"lr": 0.1, "momentum": 0.5, "dampening": 0.3},
    {"lr": 0.1, "weight_decay": 0.01},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True, "maximize": True},
]


def run(params, optimizer, steps=4):
    for step in range(steps):
        for i, p in enumerate(params):
            p.grad = Tensor(randn(*p.shape, seed=100 * step + i).astype(p.dtype))
        optimizer.step()


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sgd_is_the_twins_rule(each_isa, rule, dtype):
    shapes = [(), (1,), (17,), (3, 4, 5, 2), (0, 3)]
    params = [Parameter(randn(*s).astype(dtype)) for s in shapes]
    expected = [p.numpy().astype(np.float64) for p in params]
    velocities = [np.empty_like(e) for e in expected]
    run(params, SGD(params, **rule))
    given = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, **rule}
    sign = -1 if given.pop("maximize", False) else 1
    for step, (i, e) in itertools.product(range(4), enumerate(expected)):
        grad = sign * randn(*e.shape, seed=100 * step + i)
        twin.sgd_update(e, grad, velocities[i] if given["momentum"] else None, **given, first=step == 0)
    for p, e in zip(params, expected, strict=True):
        np.testing.assert_allclose(
            p.numpy(), e, rtol=3e-6 if dtype == np.float32 else 1e-13, atol=1e-6 if dtype == np.float32 else 1e-14
        )


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_sgd_is_pytorchs_rule(rule):
    torch = pytest.importorskip("torch")
    start = randn(5, 7)
    ours, theirs = Parameter(start), torch.nn.Parameter(torch.tensor(start))
    optimizer, other = SGD([ours], **rule), torch.optim.SGD([theirs], **rule)
    for step in range(5):
        grad = randn(5, 7, seed=step)
        ours.grad, theirs.grad = Tensor(grad), torch.tensor(grad)
        optimizer.step()
        other.step()
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-13, atol=1e-15)


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


def test_state_dict_has_pytorchs_form():
    torch = pytest.importorskip("torch")
    p, q = Parameter(randn(3)), torch.nn.Parameter(torch.tensor(randn(3)))
    optimizer, other = SGD([p], momentum=0.9), torch.optim.SGD([q], momentum=0.9)
    p.grad, q.grad = Tensor(randn(3)), torch.tensor(randn(3))
    optimizer.step()
    other.step()
    ours, theirs = optimizer.state_dict(), other.state_dict()
    assert ours["state"].keys() == theirs["state"].keys()
    assert ours["state"][0].keys() == theirs["state"][0].keys()
    assert np.array_equal(ours["state"][0]["momentum_buffer"], theirs["state"][0]["momentum_buffer"])
    assert ours["param_groups"][0].items() <= theirs["param_groups"][0].items()


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
