"""Starts the workers, has them take turns, and compares their results."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import LIBRARIES
from benchmarks.peers.results import Result, Timing, combined

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 2e-5  # relative to the largest value of a result, because sums of products cancel
STEP_TOLERANCE = 1e-3  # batch norm on the few values of late layers makes more of differences, and steps add them up
# These switches of OpenBLAS fit one machine and not another: the twin is to run as NumPy comes.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class WorkerError(RuntimeError):
    """A worker raised an error, or died."""


class DifferentResult(AssertionError):
    """Two contenders computed different things."""


class Process:
    """A contender's process, from this side of the pipe."""

    def __init__(self, contender: str, threads: int, compiled: bool = False) -> None:
        self.contender = contender
        environment = {**os.environ}
        for library in ("OMP", "MKL", "OPENBLAS", "FASTCONV"):
            environment[f"{library}_NUM_THREADS"] = str(threads)
        if contender == "twin":
            for name in UNSET:
                environment.pop(name, None)
        if compiled:
            environment["FASTCONV_PEERS_COMPILE"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", contender, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have the worker call one of its methods, and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"{self.contender}: the worker ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.contender}: {do} failed\n{answer['error']}")
        return answer["value"]

    def close(self) -> None:
        """Let the worker end."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def lacking(contenders: Iterable[str]) -> dict[str, list[str]]:
    """Return the contenders that cannot run here, and the modules they lack."""
    needed = {name: LIBRARIES[name].needs for name in contenders}
    absent = {
        name: [module for module in modules if importlib.util.find_spec(module) is None]
        for name, modules in needed.items()
    }
    return {name: modules for name, modules in absent.items() if modules}


@contextmanager
def processes(contenders: Iterable[str], threads: int, compiled: bool = False) -> Iterator[list[Process]]:
    """Start a process for each contender, and end them with the block."""
    with ExitStack() as stack:
        started = []
        for name in contenders:
            started.append(Process(name, threads, compiled))
            stack.callback(started[-1].close)
        yield started  # they import their libraries meanwhile


def _check_equal(case: Case, expected: list[np.ndarray], who: str, found: list[np.ndarray]) -> None:
    if [a.shape for a in found] != [a.shape for a in expected]:
        raise DifferentResult(
            f"{case.name}: {who} computes shapes {[a.shape for a in found]}, fastconv {[a.shape for a in expected]}"
        )
    tolerance = STEP_TOLERANCE if (case.op, case.mode) == ("network", "step") else TOLERANCE
    for number, (a, b) in enumerate(zip(found, expected, strict=True)):
        error = float(np.max(np.abs(a - b), initial=0)) / max(float(np.max(np.abs(b), initial=0)), 1e-30)
        if not error <= tolerance:
            raise DifferentResult(
                f"{case.name}: result {number} of {who} is {error:.1e} of the largest value away from fastconv's, "
                f"allowed is {tolerance:.0e}"
            )


def _load(path: str) -> list[np.ndarray]:
    with np.load(path) as arrays:
        return list(arrays.values())


def _prepare(case: Case, team: list[Process], result: Result) -> list[tuple[Process, str]]:
    """Have all prepare the case and compare what they compute; return who takes turns. The first must be fastconv."""
    entered = []
    expected: list[np.ndarray] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for process in team:
            try:
                files = process.ask("prepare", case=case.to_dict(), folder=folder)
            except WorkerError as error:
                if process.contender == "ours":
                    raise
                result.failed[process.contender] = str(error)
                continue
            for variant, path in files.items():
                arrays = case.comparable(_load(path))
                os.unlink(path)
                if expected is None:
                    expected = arrays
                title = LIBRARIES[process.contender].title
                _check_equal(case, expected, f"{title} {variant}".strip(), arrays)
                entered.append((process, variant))
    return entered


def measure(group: str, case: Case, team: list[Process], threads: int, rounds: int, seconds: float) -> Result:
    """Time one case.

    Parameters
    ----------
    team : list of Process
        fastconv's first: the others' results are compared with its.
    rounds : int
        How often each variant gets its turn.
    seconds : float
        Length of a turn; at least one call is timed.

    Raises
    ------
    DifferentResult
        If a contender's result is not fastconv's.
    """
    result = Result(group, case, threads)
    entered = _prepare(case, team, result)
    turns: list[list[dict[str, float]]] = [[] for _ in entered]
    for round_ in range(rounds):
        for place in range(len(entered)):
            turn = (place + round_) % len(entered)
            process, variant = entered[turn]
            if process.contender == "ours" and case.flops:
                result.peak = max(result.peak, process.ask("peak"))
            turns[turn].append(process.ask("time", variant=variant, seconds=seconds))
    for (process, variant), timed in zip(entered, turns, strict=True):
        median = statistics.median(turn["median"] for turn in timed)
        result.timings.append(Timing(process.contender, variant, median, min(turn["min"] for turn in timed)))
    return result


def measure_memory(case: Case, contenders: Iterable[str], threads: int) -> dict[tuple[str, str], int]:
    """Return the peak of memory that one call of a case takes, for each contender and variant in a new process."""
    found = {}
    for name in contenders:
        for variant in LIBRARIES[name].layouts:
            with processes([name], threads) as (process,):
                found[name, variant] = process.ask("memory", case=case.to_dict(), variant=variant)
    return found


@dataclass
class Work:
    """Cases to be timed together, and by whom: names of contenders, fastconv ("ours") first."""

    group: str
    cases: list[Case]
    contenders: list[str]


def _measure_all(
    work: list[Work],
    started: list[Process],
    threads: int,
    rounds: int,
    seconds: float,
    memory: bool,
    about: str,
    progress: Callable[[str], None],
) -> list[Result]:
    """Measure every case once, by these processes or, for memory, new ones; `about` is for the progress."""
    results = []
    for part in work:
        team = [process for process in started if process.contender in part.contenders]
        for number, case in enumerate(part.cases, 1):
            progress(f"{part.group} {number}/{len(part.cases)}, {about}: {case.name}")
            if memory:
                results.append(Result(part.group, case, threads, memory=measure_memory(case, part.contenders, threads)))
            else:
                results.append(measure(part.group, case, team, threads, rounds, seconds))
    return results


def run(
    work: list[Work],
    threads: Iterable[int],
    rounds: int,
    seconds: float,
    *,
    starts: int = 1,
    compiled: bool = False,
    memory: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[list[Result], dict[str, str]]:
    """Time all work on each number of threads; return the results and the contenders' versions.

    All of it is done `starts` times with new processes, whose arrays lie elsewhere in memory: what a cache makes of
    that lasts as long as a process. With `memory` the memory of training steps is measured instead.
    """
    results: list[Result] = []
    versions: dict[str, str] = {}
    names = list(dict.fromkeys(name for part in work for name in part.contenders))
    for count in threads:
        found = []
        for start in range(1, starts + 1):
            about = f"threads {count}" + (f", start {start}/{starts}" if starts > 1 else "")
            with processes(names, count, compiled) as started:
                versions.update({process.contender: process.ask("version") for process in started})
                found.append(_measure_all(work, started, count, rounds, seconds, memory, about, progress))
        merged = [combined(each) for each in zip(*found, strict=True)]
        peak = max(result.peak for result in merged)
        for result in merged:
            result.peak = peak if result.case.flops else 0.0
        results += merged
    return results, versions
