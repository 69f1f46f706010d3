"""Every optimiser against its twin and against PyTorch's, over twenty steps."""

import functools

import numpy as np
import pytest

from fastconv import Parameter, Tensor, optim
from fastconv.errors import DataError, ShapeError
from fastconv.reference import optim as twin
from tests.helpers import randn

SHAPES = [(), (17,), (3, 4, 5, 2), (0, 3)]
STEPS = 20
RULES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True, "maximize": True}),
    ("LARS", {"lr": 0.1, "weight_decay": 0.01, "trust_coefficient": 0.5}),
    ("LARS", {"lr": 0.1, "momentum": 0.0, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.5, "amsgrad": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.1, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-4}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
]
TORCHS = [(name, rule) for name, rule in RULES if name != "LARS"]


def gradient(shape, step, number):
    return randn(*shape, seed=100 * step + number)


def start(dtype=np.float64):
    return [Parameter(randn(*shape).astype(dtype)) for shape in SHAPES]


def run(params, optimizer, steps=range(STEPS)):
    for step in steps:
        for i, p in enumerate(params):
            p.grad = Tensor(gradient(p.shape, step, i).astype(p.dtype))
        optimizer.step()


def twins_step(name, p, number, rule):
    """The function that takes the twin's next step on the array `p`."""
    given = optim.__dict__[name]([Parameter([0.0])], **rule).param_groups[0]
    state = [np.zeros_like(p) for _ in range(3)]
    sign = -1 if given["maximize"] else 1
    pick = {key: given.get(key) for key in ("lr", "eps", "weight_decay", "momentum")}

    def take(step):
        grad, count = sign * gradient(p.shape, step, number), step + 1
        lr, eps, decay, momentum = pick.values()
        if name == "SGD":
            velocity = state[0] if momentum else None
            rest = (given["dampening"], decay, given["nesterov"], step == 0)
            twin.sgd_update(p, grad, velocity, lr, momentum, *rest)
        elif name == "LARS":
            twin.lars_update(p, grad, state[0], lr, momentum, decay, given["trust_coefficient"])
        elif name in ("Adam", "AdamW"):
            top = state[2] if given["amsgrad"] else None
            twin.adam_update(p, grad, *state[:2], top, count, lr, given["betas"], eps, decay, name == "AdamW")
        elif name == "RMSprop":
            kept = (state[1] if given["centered"] else None, state[2] if momentum else None)
            twin.rmsprop_update(p, grad, state[0], *kept, lr, given["alpha"], eps, decay, momentum)
        elif name == "Adagrad":
            if step == 0:
                state[0] += given["initial_accumulator_value"]
            twin.adagrad_update(p, grad, state[0], count, lr, given["lr_decay"], eps, decay)
        else:
            twin.adadelta_update(p, grad, *state[:2], lr, given["rho"], eps, decay)

    return take


@pytest.mark.parametrize(("name", "rule"), RULES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_twins_rule(each_isa, name, rule, dtype):
    params = start(dtype)
    expected = [np.array(p.numpy(), np.float64) for p in params]
    run(params, getattr(optim, name)(params, **rule))
    for i, e in enumerate(expected):
        take = twins_step(name, e, i, rule)
        for step in range(STEPS):
            take(step)
    limit = {"rtol": 3e-6, "atol": 3e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    for p, e in zip(params, expected, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.numpy(), e, **limit)


@functools.cache
def pytorchs_run(number, dtype):
    torch = pytest.importorskip("torch")
    name, rule = TORCHS[number]
    params = [torch.nn.Parameter(torch.tensor(randn(*shape).astype(dtype))) for shape in SHAPES]
    optimizer = getattr(torch.optim, name)(params, **rule)
    for step in range(STEPS):
        for i, p in enumerate(params):
            p.grad = torch.tensor(gradient(tuple(p.shape), step, i).astype(dtype))
        optimizer.step()
    return [p.detach().numpy() for p in params], optimizer.state_dict()


@pytest.mark.parametrize("number", range(len(TORCHS)))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_pytorchs_rule(each_isa, number, dtype):
    theirs, _ = pytorchs_run(number, dtype)
    name, rule = TORCHS[number]
    params = start(dtype)
    run(params, getattr(optim, name)(params, **rule))
    limit = {"rtol": 1e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-14}
    for p, e in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), e, **limit)


@pytest.mark.parametrize(
    ("name", "rule", "average"),
    [
        ("Adam", {"betas": (0.0, 0.9)}, "exp_avg"),
        ("Adam", {"betas": (0.5, 0.9)}, "exp_avg"),
        ("RMSprop", {"alpha": 0.5, "centered": True}, "grad_avg"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_averages_that_forget_quickly_are_rounded_as_pytorchs(each_isa, name, rule, average, dtype):
    torch = pytest.importorskip("torch")
    ours, theirs = Parameter(np.zeros(64, dtype)), torch.nn.Parameter(torch.tensor(np.zeros(64, dtype)))
    optimizers = getattr(optim, name)([ours], **rule), getattr(torch.optim, name)([theirs], **rule, foreach=False)
    for step in range(STEPS):
        grad = (randn(64, seed=step) * 10.0 ** (step % 5)).astype(dtype)  # what is left of larger ones would be seen
        ours.grad, theirs.grad = Tensor(grad), torch.tensor(grad)
        for each in optimizers:
            each.step()
        found, expected = (np.asarray(each.state_dict()["state"][0][average]) for each in optimizers)
        near = 2 * np.spacing(np.maximum(abs(expected), abs(grad) * dtype(1e-3)))
        np.testing.assert_array_less(abs(found - expected), near)


def test_an_average_that_forgets_at_once_is_the_gradient(each_isa):
    p = Parameter(np.zeros(64))
    optimizer = optim.Adam([p], betas=(0.0, 0.9))
    for step in range(3):
        p.grad = Tensor(randn(64, seed=step) * 10.0 ** (3 - step))
        optimizer.step()
        np.testing.assert_array_equal(optimizer.state_dict()["state"][0]["exp_avg"], p.grad)


@pytest.mark.parametrize("number", range(len(TORCHS)))
def test_pytorchs_state_loads(number):
    theirs, state = pytorchs_run(number, np.float64)
    name, rule = TORCHS[number]
    params = start()
    optimizer = getattr(optim, name)(params, **rule)
    run(params, optimizer)
    ours = optimizer.state_dict()
    assert ours["state"].keys() == state["state"].keys()
    for key, kept in ours["state"].items():
        assert kept.keys() == state["state"][key].keys()
        for what, array in kept.items():
            np.testing.assert_allclose(np.asarray(array), state["state"][key][what], rtol=1e-12, atol=1e-14)
    assert ours["param_groups"][0].items() <= state["param_groups"][0].items()
    others = [Parameter(p) for p in theirs]
    other = getattr(optim, name)(others, lr=7.0)
    other.load_state_dict(state)
    for each, own in ((params, optimizer), (others, other)):
        run(each, own, range(STEPS, STEPS + 3))
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("name", "rule"), RULES, ids=str)
def test_resumed_bit_for_bit(name, rule):
    params = start(np.float32)
    optimizer = getattr(optim, name)(params, **rule)
    run(params, optimizer, range(5))
    others = [Parameter(p.numpy()) for p in params]
    other = getattr(optim, name)(others, lr=7.0)
    state = optimizer.state_dict()
    copied = {
        "param_groups": state["param_groups"],
        "state": {n: {k: np.array(a) for k, a in kept.items()} for n, kept in state["state"].items()},
    }
    other.load_state_dict(copied)
    for each, own in ((params, optimizer), (others, other)):
        run(each, own, range(5, 9))
    for p, q in zip(params, others, strict=True):
        assert np.array_equal(p.numpy(), q.numpy())
    assert repr(other) == repr(optimizer)


@pytest.mark.parametrize(("name", "rule"), [RULES[1], RULES[9], RULES[15], RULES[16], RULES[18]], ids=str)
def test_a_state_that_does_not_fit_changes_nothing(name, rule):
    params = start()
    optimizer = getattr(optim, name)(params, **rule)
    run(params, optimizer, range(2))
    state = optimizer.state_dict()
    some = next(k for k in state["state"][1] if k != "step")
    for change, error in [
        ({some: np.ones(18)}, ShapeError),
        ({some: np.ones(17, np.complex64)}, TypeError),
        ({"velocity": np.ones(17)}, DataError),
        *([({"step": bad}, DataError) for bad in (-1, 1.5, np.nan, [1, 2])] if "step" in optimizer.keeps else []),
        *([({some: None}, DataError)] if "step" in optimizer.keeps else []),
    ]:
        bad = {**state, "state": {**state["state"], 1: {**state["state"][1], **change}}}
        before = {k: np.array(a) for k, a in optimizer.state[params[1]].items()}
        with pytest.raises(error, match=f"{name}: "):
            optimizer.load_state_dict(bad)
        for key, array in before.items():
            assert np.array_equal(optimizer.state[params[1]][key], array)


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("Adam", {"betas": (0.9, 1.0)}, ValueError),
        ("Adam", {"betas": (-0.1, 0.9)}, ValueError),
        ("Adam", {"betas": 0.9}, TypeError),
        ("Adam", {"betas": (0.9,)}, ShapeError),
        ("AdamW", {"eps": -1.0}, ValueError),
        ("AdamW", {"weight_decay": np.inf}, ValueError),
        ("RMSprop", {"alpha": 1.0}, ValueError),
        ("RMSprop", {"momentum": -1}, ValueError),
        ("Adagrad", {"lr_decay": -1.0}, ValueError),
        ("Adagrad", {"initial_accumulator_value": -1.0}, ValueError),
        ("Adadelta", {"rho": 2}, ValueError),
        ("Adadelta", {"lr": "1"}, TypeError),
        ("LARS", {"trust_coefficient": -1.0}, ValueError),
    ],
)
def test_wrong_options(name, options, error):
    with pytest.raises(error, match=rf"{name}: {next(iter(options))} must be"):
        getattr(optim, name)([Parameter([1.0])], **options)


def test_lars_moves_what_is_0_and_leaves_groups_out():
    zero, bias = Parameter([0.0, 0.0]), Parameter([3.0, 4.0])
    optimizer = optim.LARS([{"params": [zero]}, {"params": [bias], "adapt": False}], lr=0.5)
    zero.grad, bias.grad = Tensor([1.0, 0.0]), Tensor([1.0, 0.0])
    optimizer.step()
    assert zero.tolist() == [-0.5, 0]
    assert bias.tolist() == [2.5, 4]


def test_large_arrays_begin_a_cache_line():
    p = Parameter(np.zeros((64, 64, 3, 3), np.float32))
    p.grad = Tensor(np.ones_like(p.data))
    optimizer = optim.Adam([p])
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    kept = [array for name, array in optimizer.state[p].items() if name != "step"]
    assert [array.ctypes.data % 64 for array in (p.data, *kept)] == [0, 0, 0]


def test_state_follows_the_parameters_dtype():
    p = Parameter([1.0, 2.0])
    optimizer = optim.Adam([p])
    p.grad = Tensor([1.0, 1.0])
    optimizer.step()
    p.convert(np.dtype(np.float64))
    p.grad = Tensor(np.ones(2))
    optimizer.step()
    assert {k: a.dtype.name for k, a in optimizer.state[p].items()} == {
        "step": "int64",
        "exp_avg": "float64",
        "exp_avg_sq": "float64",
    }
