"""The process a contender runs in: reads requests from standard input, answers on standard output, JSON by the line."""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import statistics
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import memory
from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run

SAMPLE = 200e-6  # calls are timed in batches at least this long, against the clock's resolution
WARM_UP = 2e-3
LONG = 0.2  # calls that last so long need no warm-up beyond the first turn's
SETTLED = 0.1  # the share of a core an idle process may still use
QUIET_WINDOW = 3e-3


def time_run(run: Run, seconds: float, once: float = 0.0) -> dict[str, float]:
    """Warm up, then time calls for about `seconds`; return median and minimum of the seconds a call.

    `once` is what a call took the last time, 0 if there was none.
    """
    call, clock = run.call, time.perf_counter
    with run.context:
        deadline = clock() + WARM_UP
        while once < LONG:
            start = clock()
            call()
            once = clock() - start
            if clock() >= deadline:
                break
        calls = max(1, math.ceil(SAMPLE / once))
        times = []
        for _ in range(min(max(1, round(seconds / (calls * once))), 1000)):
            start = clock()
            for _ in range(calls):
                call()
            times.append((clock() - start) / calls)
    return {"median": statistics.median(times), "min": min(times)}


def settle(limit: float = 1.0) -> None:
    """Return when the threads of this process have stopped spinning."""
    deadline, quiet = time.perf_counter() + limit, 0
    while quiet < 2 and time.perf_counter() < deadline:
        before = time.process_time()
        time.sleep(QUIET_WINDOW)
        quiet = quiet + 1 if time.process_time() - before < SETTLED * QUIET_WINDOW else 0


class Worker:
    """Answers requests with the contender's module."""

    def __init__(self, contender: str, threads: int) -> None:
        self.contender: Any = importlib.import_module(f"benchmarks.peers.contenders.{contender}")
        self.threads = threads
        self.runs: dict[str, Run] = {}
        self.took: dict[str, float] = {}

    def version(self) -> str:
        """Return the library's version."""
        return self.contender.version()

    def prepare(self, case: dict[str, Any], folder: str) -> dict[str, str]:
        """Prepare a case, and write every variant's result to a file: the answer says where."""
        self.runs.clear()
        self.took.clear()
        gc.collect()
        self.runs = self.contender.prepare(Case.from_dict(case), self.threads)
        files = {}
        for number, (variant, run) in enumerate(self.runs.items()):
            files[variant] = str(Path(folder) / f"{self.contender.__name__}-{number}.npz")
            with run.context:
                np.savez(files[variant], *run.result())
        settle()
        return files

    def time(self, variant: str, seconds: float) -> dict[str, float]:
        """Time a turn of a variant."""
        timed = time_run(self.runs[variant], seconds, self.took.get(variant, 0.0))
        self.took[variant] = timed["median"]
        settle()
        return timed

    def memory(self, case: dict[str, Any], variant: str) -> int:
        """Return the bytes that a variant of a case takes at most, in its third call, beyond this process before it."""
        before = memory.resident()
        run = self.contender.prepare(Case.from_dict(case), self.threads, variant)[variant]
        with run.context:
            run.call()
            run.call()
            memory.forget_peak()
            run.call()
        return memory.peak() - before

    def peak(self) -> float:
        """Measure the FMA peak."""
        return self.contender.fma_peak(self.threads)


def main() -> None:
    """Serve until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    gc.disable()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": getattr(worker, request.pop("do"))(**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=replies, flush=True)


if __name__ == "__main__":
    main()
