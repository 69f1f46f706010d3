"""What was measured of a case."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import LIBRARIES


@dataclass
class Timing:
    """Seconds a call of one variant: the median of its turns' medians, and the shortest of all."""

    contender: str
    variant: str
    median: float
    min: float


@dataclass
class Result:
    """A case's timings on a number of threads.

    `peak` is in operations a second, 0 where a share of it says nothing; `memory` has the bytes of each contender and
    variant, where they were measured.
    """

    group: str
    case: Case
    threads: int
    timings: list[Timing] = field(default_factory=list)
    peak: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    memory: dict[tuple[str, str], int] = field(default_factory=dict)

    def best(self, contenders: Iterable[str]) -> Timing | None:
        """The fastest variant of these contenders."""
        names = set(contenders)
        return min((t for t in self.timings if t.contender in names), key=lambda t: t.median, default=None)

    @property
    def best_peer(self) -> Timing | None:
        """The fastest of the other libraries."""
        return self.best(name for name, library in LIBRARIES.items() if library.peer)

    def metric(self, name: str) -> float | None:
        """Return a figure that a `Goal` may name, None where it was not measured."""
        if name == "memory":
            least = min((n for (who, _), n in self.memory.items() if who != "ours"), default=None)
            return least / self.memory["ours", ""] if least else None
        ours = self.best(["ours"])
        other = {"ratio": self.best_peer, "numpy": self.best(["twin"])}.get(name)
        if ours is None:
            return None
        if name == "seconds":
            return ours.median
        if name == "peak":
            return self.case.flops / ours.median / self.peak if self.peak else None
        return other.median / ours.median if other else None


def combined(found: Sequence[Result]) -> Result:
    """Return one result for several of a case: medians of their medians, the shortest and the least of all."""
    first = found[0]
    by_name: dict[tuple[str, str], list[Timing]] = {}
    memory: dict[tuple[str, str], int] = {}
    for result in found:
        for timing in result.timings:
            by_name.setdefault((timing.contender, timing.variant), []).append(timing)
        for key, taken in result.memory.items():
            memory[key] = min(taken, memory.get(key, taken))
    timings = [
        Timing(*key, statistics.median(t.median for t in each), min(t.min for t in each))
        for key, each in by_name.items()
    ]
    failed = {name: why for result in found for name, why in result.failed.items()}
    return Result(first.group, first.case, first.threads, timings, max(r.peak for r in found), failed, memory)
