"""The schedule that listens to a metric."""

import numpy as np
import pytest

from fastconv import lr_scheduler as schedules
from tests.test_lr_scheduler import optimizer

PLATEAUS = [
    {"patience": 1},
    {"patience": 0, "cooldown": 2, "factor": 0.5},
    {"mode": "max", "patience": 1, "min_lr": [1e-3, 5e-3]},
    {"patience": 0, "threshold": 0.3, "threshold_mode": "abs"},
    {"mode": "max", "patience": 0, "threshold": 0.1, "threshold_mode": "abs", "eps": 1e-3},
]
METRICS = [3.0, 2.5, 2.4, 2.4, 2.41, float("nan"), 2.3, 2.3, 2.3, 2.0, 2.2, 2.2, 2.2, 1.0, 1.0, 1.0, -1.0, -1.0]


@pytest.mark.parametrize("options", PLATEAUS)
def test_plateau_is_pytorchs(options):
    torch = pytest.importorskip("torch")
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "lr": 0.01}]
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(torch.optim.SGD(groups, lr=0.1), **options)
    ours = schedules.ReduceLROnPlateau(optimizer(), **options)
    for metric in METRICS:
        ours.step(metric)
        theirs.step(metric)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)


def test_plateau():
    schedule = schedules.ReduceLROnPlateau(optimizer(), patience=1, min_lr=0.005)
    found = []
    for metric in [1.0, 0.9, 0.95, 0.96, 0.97, 0.98, 0.5]:
        schedule.step(metric)
        found.append(schedule.get_last_lr())
    assert np.array(found)[:, 0] == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.005, 0.005])
    assert found[3][1] == 0.005
    with pytest.raises(TypeError, match="ReduceLROnPlateau: step needs the metric"):
        schedule.step()


def test_plateau_continues_from_its_state():
    first = schedules.ReduceLROnPlateau(optimizer(), patience=1, cooldown=1)
    for metric in METRICS[:8]:
        first.step(metric)
    second = schedules.ReduceLROnPlateau(optimizer(), patience=1, cooldown=1)
    second.load_state_dict(first.state_dict())
    assert second.get_last_lr() == first.get_last_lr()
    for metric in METRICS[8:]:
        first.step(metric)
        second.step(metric)
        assert second.get_last_lr() == first.get_last_lr()
