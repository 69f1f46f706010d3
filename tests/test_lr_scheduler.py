import numpy as np
import pytest

from fastconv import Parameter
from fastconv import lr_scheduler as schedules
from fastconv.optim import SGD, Adam


def optimizer(momentum=0.9):
    return SGD([{"params": [Parameter([0.0])]}, {"params": [Parameter([0.0])], "lr": 0.01}], lr=0.1, momentum=momentum)


def rates(schedule, steps):
    found = [schedule.get_last_lr()]
    for _ in range(steps - 1):
        schedule.step()
        found.append(schedule.get_last_lr())
    return np.array(found)


CASES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5]}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: 2.0]}),
    ("LinearLR", {"start_factor": 0.1, "total_iters": 4}),
    ("LinearLR", {}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.001}),
    ("CosineAnnealingLR", {"T_max": 4}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.1, "total_iters": 1}),
    ("PolynomialLR", {"total_iters": 8, "power": 2.5}),
    ("PolynomialLR", {}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "eta_min": 0.001}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 2}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12}),
    ("OneCycleLR", {"max_lr": [0.5, 0.2], "epochs": 4, "steps_per_epoch": 3, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 12, "pct_start": 1.0, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 12, "pct_start": 0.01}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 12, "pct_start": 0.3, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 12, "base_momentum": [0.8, 0.7], "max_momentum": [0.9, 0.95]}),
]


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize(("name", "options"), CASES)
def test_rates_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD(
        [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "lr": 0.01}], lr=0.1, momentum=0.9
    )
    ours = optimizer()
    schedule, other = (
        getattr(schedules, name)(ours, **options),
        getattr(torch.optim.lr_scheduler, name)(theirs, **options),
    )
    for _ in range(11):
        np.testing.assert_allclose(schedule.get_last_lr(), other.get_last_lr(), rtol=1e-12, atol=1e-16)
        assert [g["momentum"] for g in ours.param_groups] == pytest.approx([g["momentum"] for g in theirs.param_groups])
        schedule.step()
        other.step()


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("options", [{"T_0": 3, "eta_min": 0.001}, {"T_0": 2, "T_mult": 2}])
def test_restarts_between_steps_are_pytorchs(options):
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(torch.optim.SGD([torch.zeros(1)], lr=0.1), **options)
    ours = schedules.CosineAnnealingWarmRestarts(SGD([Parameter([0.0])], lr=0.1), **options)
    for place in [*(epoch + batch / 4 for epoch in range(9) for batch in range(4)), *4 * [None]]:
        ours.step(place)
        theirs.step(place)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)
        assert ours.last_epoch == theirs.last_epoch
    state = ours.state_dict()
    again = schedules.CosineAnnealingWarmRestarts(SGD([Parameter([0.0])], lr=0.1), **options)
    with pytest.raises(ValueError, match="between"):
        again.load_state_dict({**state, "between": -1.0})
    assert again.get_last_lr() == [0.1]
    again.load_state_dict(state)
    assert again.get_last_lr() == ours.get_last_lr()


def test_one_cycle_wants_a_number_for_each_group():
    with pytest.raises(ValueError, match=r"OneCycleLR: base_momentum must be one number or 2, .* got \[0.8\]"):
        schedules.OneCycleLR(optimizer(), 1.0, total_steps=9, base_momentum=[0.8])


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_sequence_is_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    ours = SGD([Parameter([0.0])], lr=0.1)
    pair = []
    for module, o in ((schedules, ours), (torch.optim.lr_scheduler, theirs)):
        parts = [module.LinearLR(o, 0.1, total_iters=3), module.CosineAnnealingLR(o, 7)]
        pair.append(module.SequentialLR(o, parts, milestones=[3]))
    for _ in range(10):
        np.testing.assert_allclose(pair[0].get_last_lr(), pair[1].get_last_lr(), rtol=1e-12, atol=1e-16)
        for schedule in pair:
            schedule.step()


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_chain_is_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    ours = SGD([Parameter([0.0])], lr=0.1)
    pair = []
    for module, o in ((schedules, ours), (torch.optim.lr_scheduler, theirs)):
        parts = [module.ConstantLR(o, 0.1, 4), module.ExponentialLR(o, 0.9), module.CosineAnnealingLR(o, 20)]
        pair.append(module.ChainedScheduler(parts))
    for _ in range(10):
        np.testing.assert_allclose(pair[0].get_last_lr(), pair[1].get_last_lr(), rtol=1e-12, atol=1e-16)
        for schedule in pair:
            schedule.step()


def test_momentum_in_a_sequence():
    o = optimizer()
    parts = [schedules.ConstantLR(o, 0.5, 2), schedules.OneCycleLR(o, 1.0, 10)]
    schedule = schedules.SequentialLR(o, parts, [2])
    for _ in range(2):
        schedule.step()
    assert o.param_groups[0]["lr"] == pytest.approx(0.04)
    schedule.step()
    assert 0.85 < o.param_groups[0]["momentum"] < 0.95


def test_step():
    assert rates(schedules.StepLR(optimizer(), 2, 0.5), 6)[:, 0] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_multi_step():
    assert rates(schedules.MultiStepLR(optimizer(), [1, 3]), 5)[:, 0] == pytest.approx([0.1, 0.01, 0.01, 1e-3, 1e-3])


def test_cosine_ends_at_eta_min():
    found = rates(schedules.CosineAnnealingLR(optimizer(), 8, 0.02), 9)[:, 0]
    assert found[[0, 4, 8]] == pytest.approx([0.1, 0.06, 0.02])


def test_linear_warm_up():
    assert rates(schedules.LinearLR(optimizer(), 0.5, total_iters=2), 4)[:, 0] == pytest.approx([0.05, 0.075, 0.1, 0.1])


def test_one_cycle():
    o = optimizer()
    schedule = schedules.OneCycleLR(o, 1.0, 11, pct_start=4 / 11)
    assert o.param_groups[0]["momentum"] == 0.95
    found = rates(schedule, 11)
    assert found[[0, 3, 10], 0] == pytest.approx([0.04, 1.0, 4e-6])
    assert found.argmax(0).tolist() == [3, 3]
    schedule.step()  # the loop's last, after the last batch: PyTorch allows it too
    with pytest.raises(ValueError, match="cycle of 11 steps is over"):
        schedule.step()


def test_one_cycle_moves_adams_first_beta():
    o = Adam([Parameter([0.0])])
    schedule = schedules.OneCycleLR(o, 1.0, 11, pct_start=4 / 11)
    assert o.param_groups[0]["betas"] == (0.95, 0.999)
    rates(schedule, 4)
    assert o.param_groups[0]["betas"][0] < 0.87


def test_a_schedule_continues_from_its_state():
    first = schedules.CosineAnnealingLR(optimizer(), 10)
    rates(first, 4)
    second = schedules.CosineAnnealingLR(optimizer(), 10)
    second.load_state_dict(first.state_dict())
    assert second.get_last_lr() == first.get_last_lr()
    assert np.array_equal(rates(second, 5), rates(first, 5))


def combined():
    o = optimizer()
    inner = schedules.ChainedScheduler([schedules.StepLR(o, 2), schedules.ExponentialLR(o, 0.9)])
    return schedules.SequentialLR(o, [schedules.LinearLR(o), inner], [3])


def test_combined_schedules_continue_from_their_state():
    first = combined()
    rates(first, 5)
    second = combined()
    second.load_state_dict(first.state_dict())
    assert np.array_equal(rates(second, 5), rates(first, 5))


@pytest.mark.parametrize("make", [combined, lambda: schedules.ReduceLROnPlateau(optimizer())])
def test_a_state_that_does_not_fit_changes_nothing(make):
    schedule = make()
    state, before = schedule.state_dict(), schedule.get_last_lr()
    for bad in ({}, {**state, "base_lrs": [0.1]}, {**state, "last_epoch": -1}, {**state, "base_lrs": [0.1, "x"]}, None):
        with pytest.raises((ValueError, TypeError), match=r"SequentialLR: |ReduceLROnPlateau: "):
            schedule.load_state_dict(bad)
        assert schedule.get_last_lr() == before
        assert schedule.state_dict() == state


def test_last_epoch_continues_too():
    o = optimizer()
    rates(schedules.StepLR(o, 2), 3)
    assert schedules.StepLR(o, 2, last_epoch=3).get_last_lr() == pytest.approx([1e-3, 1e-4])


@pytest.mark.parametrize(
    "make",
    [
        lambda o: schedules.StepLR(None, 1),
        lambda o: schedules.StepLR(o, 0),
        lambda o: schedules.StepLR(o, 1.5),
        lambda o: schedules.LinearLR(o, start_factor=2.0),
        lambda o: schedules.CosineAnnealingLR(o, 0),
        lambda o: schedules.LambdaLR(o, [abs]),
        lambda o: schedules.OneCycleLR(o, 1.0),
        lambda o: schedules.OneCycleLR(o, [1.0], 5),
        lambda o: schedules.OneCycleLR(o, 1.0, 5, anneal_strategy="steep"),
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [3]),
        lambda o: schedules.SequentialLR(o, [], []),
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(optimizer(), 1)], []),
        lambda o: schedules.SequentialLR(o, [schedules.ReduceLROnPlateau(o)], []),
        lambda o: schedules.ExponentialLR(o, -1),
        lambda o: schedules.ConstantLR(o, 2.0),
        lambda o: schedules.PolynomialLR(o, 0),
        lambda o: schedules.PolynomialLR(o, power="2"),
    ],
)
def test_wrong_arguments(make):
    o = optimizer()
    with pytest.raises((TypeError, ValueError), match="LR: "):
        make(o)
    assert [g["lr"] for g in o.param_groups] == [0.1, 0.01]


@pytest.mark.parametrize(
    "make",
    [
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 0),
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 1.5),
        lambda o: schedules.ChainedScheduler([]),
        lambda o: schedules.ChainedScheduler([3]),
        lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 1), schedules.StepLR(optimizer(), 1)]),
        lambda o: schedules.ReduceLROnPlateau(o, "least"),
        lambda o: schedules.ReduceLROnPlateau(o, factor=1.0),
        lambda o: schedules.ReduceLROnPlateau(o, patience=-1),
        lambda o: schedules.ReduceLROnPlateau(o, threshold_mode="relative"),
        lambda o: schedules.ReduceLROnPlateau(o, min_lr=[0.1]),
        lambda o: schedules.ReduceLROnPlateau(None),
    ],
)
def test_more_wrong_arguments(make):
    o = optimizer()
    with pytest.raises(
        (TypeError, ValueError), match=r"CosineAnnealingWarmRestarts: |ChainedScheduler: |ReduceLROnPlateau: "
    ):
        make(o)
    assert [g["lr"] for g in o.param_groups] == [0.1, 0.01]
