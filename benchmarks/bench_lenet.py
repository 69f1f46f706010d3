"""LeNet-5 whole: on one image, on a batch, and a training step."""

from __future__ import annotations

import pytest

from benchmarks.conftest import Race
from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import ours, twin
from benchmarks.peers.groups import lenet_cases
from fastconv import get_num_threads


@pytest.mark.parametrize("case", lenet_cases(), ids=lambda case: case.name)
def test_lenet(race: Race, case: Case) -> None:
    sides = [contender.prepare(case, get_num_threads())[""] for contender in (ours, twin)]
    with sides[0].context:
        race.run(f"LeNet-5 {case.name}", *(side.result for side in sides), timed=[side.call for side in sides])
