"""Results as tables for the terminal and for Markdown, and as JSON."""

from __future__ import annotations

import math
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.peers.contenders import LIBRARIES
from benchmarks.peers.runner import Result

METRICS = {"ratio": "{:.2f}", "numpy": "{:.1f}", "peak": "{:.0%}", "memory": "{:.2f}", "seconds": "{}"}


@dataclass
class Table:
    """Text in rows; the first column is left-aligned."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


def seconds(value: float) -> str:
    """Three significant digits with a unit."""
    unit, factor = next(((u, f) for u, f in (("s", 1), ("ms", 1e3), ("µs", 1e6)) if value * f >= 1), ("µs", 1e6))
    scaled = value * factor
    return f"{scaled:.{max(0, 2 - math.floor(math.log10(max(scaled, 0.01))))}f} {unit}"


def _cell(result: Result, name: str) -> str:
    """Return a contender's best time, or where memory was measured what it took least of."""
    timing = result.best([name])
    taken = [(size, variant) for (who, variant), size in result.memory.items() if who == name]
    if timing is None and not taken:
        return "–"
    text, variant = (
        (seconds(timing.median), timing.variant) if timing else (f"{min(taken)[0] / 1e6:.0f} MB", min(taken)[1])
    )
    return f"{text} ({variant})" if variant else text


def _number(result: Result, metric: str) -> str:
    value = result.metric(metric)
    return "–" if value is None else METRICS[metric].format(value)


def goals(result: Result) -> list[tuple[str, bool]]:
    """Every goal of the case by itself that could be measured, and whether it was reached."""
    judged = []
    for metric, bound, threads in result.case.goals:
        value = result.metric(metric)
        if value is not None and threads in (None, result.threads):
            if metric == "seconds":
                judged.append((f"≤ {seconds(bound)}", value <= bound))
            else:
                judged.append((f"{metric} ≥ {METRICS[metric].format(bound)}", value >= bound))
    return judged


def _goal_cell(result: Result) -> str:
    return ", ".join(f"{text} {'reached' if reached else 'MISSED'}" for text, reached in goals(result))


def geometric_mean(values: Iterable[float]) -> float:
    """Return the mean that fits ratios."""
    return statistics.geometric_mean(values)


def table(group: str, threads: int, results: list[Result], mean: float = 0.0) -> Table:
    """One group on one number of threads; columns that would be empty are left out. `mean`: the goal of the means."""
    entered = {t.contender for r in results for t in r.timings} | {name for r in results for name, _ in r.memory}
    names = [name for name in LIBRARIES if name in entered]
    metrics = {"ratio": "ratio to best peer", "numpy": "ratio to NumPy", "memory": "best peer's memory to ours"}
    shown = [(metric, title) for metric, title in metrics.items() if any(r.metric(metric) for r in results)]
    floating = any(r.peak for r in results)
    judged = any(map(goals, results))
    columns = [group, *(LIBRARIES[name].title for name in names), *(title for _, title in shown)]
    columns += ["GFLOP/s", "of peak"] * floating + ["goals"] * judged
    rows = []
    for result in results:
        row = [result.case.name, *(_cell(result, name) for name in names)]
        row += [_number(result, metric) for metric, _ in shown]
        if floating:
            ours = result.best(["ours"])
            row.append(f"{result.case.flops / ours.median / 1e9:.0f}" if ours and result.peak else "–")
            row.append(_number(result, "peak"))
        rows.append(row + [_goal_cell(result)] * judged)
    notes = []
    for metric, title in shown:
        goal = mean if metric == "ratio" else 0.0
        notes += _means(title, [value for r in results if (value := r.metric(metric))], goal)
    for name in dict.fromkeys(result.case.kind for result in results if result.case.kind):
        kind = [r for r in results if r.case.kind == name]
        values = [value for r in kind if (value := r.metric("ratio"))]
        goal = max((each.bound for each in kind[0].case.goals if each.metric == "mean"), default=0.0)
        shares = [value for r in kind if (value := r.metric("peak"))]
        about = f", {geometric_mean(shares):.0%} of the peak" if shares else ""
        notes += [note + about for note in _means(f"{name}, {len(values)} cases", values, goal)]
    missed = sum(not reached for result in results for _, reached in goals(result))
    if judged:
        notes.append(f"goals missed: {missed} of {sum(len(goals(result)) for result in results)}")
    if floating:
        notes.append(f"FMA peak: {max(r.peak for r in results) / 1e9:.0f} GFLOP/s")
    for result in results:
        for name, error in result.failed.items():
            notes.append(f"{result.case.name}: {LIBRARIES[name].title} failed: {error.strip().splitlines()[-1]}")
    return Table(f"{group}, {threads} thread{'s' * (threads > 1)}", columns, rows, notes)


def _means(title: str, values: list[float], goal: float = 0.0) -> list[str]:
    """A note on the ratios, if there are several."""
    if len(values) < 2:
        return []
    found = geometric_mean(values)
    judged = f" (≥ {goal:.2f} {'reached' if found >= goal else 'MISSED'})" if goal else ""
    return [f"{title}: geometric mean {found:.2f}{judged}, lowest {min(values):.2f}"]


def tables(results: list[Result], means: Mapping[str, float] | None = None) -> list[Table]:
    """All groups, in the order they ran; `means` has what the geometric mean of a group shall reach."""
    parts: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        parts.setdefault((result.group, result.threads), []).append(result)
    return [table(group, threads, part, (means or {}).get(group, 0.0)) for (group, threads), part in parts.items()]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def header(versions: dict[str, str], arguments: list[str]) -> dict[str, str]:
    """Return what a reader needs to judge the figures, and to repeat them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "command": shlex.join(["python", "-m", "benchmarks.peers", *arguments]),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_processor()}, {cores} cores, {platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{LIBRARIES[name].title: version for name, version in versions.items()},
    }


def show(heads: dict[str, str], found: list[Table]) -> None:
    """Print to standard output, with rich where it is installed."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable
    except ImportError:
        print(markdown(heads, found))
        return
    # Redirected output is not a terminal of 80 columns: lines may be as long as they are.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for key, value in heads.items():
        console.print(f"{key}: {value}", markup=False)
    for each in found:
        grid = RichTable(title=each.title, title_justify="left", box=box.SIMPLE_HEAD)
        for number, column in enumerate(each.columns):
            grid.add_column(column, justify="left" if number == 0 else "right")
        for row in each.rows:
            grid.add_row(*row)
        console.print(grid)
        for note in each.notes:
            console.print(note, markup=False)


def markdown(heads: dict[str, str], found: list[Table]) -> str:
    """Return the tables as Markdown, for the documents."""
    lines = [f"- {key}: {f'`{value}`' if key == 'command' else value}" for key, value in heads.items()]
    for each in found:
        lines += ["", f"**{each.title}**", "", "| " + " | ".join(each.columns) + " |"]
        lines.append("|" + " --- |" + " ---: |" * (len(each.columns) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in each.rows]
        lines += ["", *(f"- {note}" for note in each.notes)] if each.notes else []
    return "\n".join(lines)


def as_json(heads: dict[str, str], results: list[Result]) -> dict[str, Any]:
    """Return everything that was measured, as plain values."""
    return {
        "about": heads,
        "results": [
            {
                "group": result.group,
                "case": {key: value for key, value in result.case.to_dict().items() if key != "program"},
                "threads": result.threads,
                "timings": [vars(timing) for timing in result.timings],
                "peak": result.peak,
                "memory_bytes": {f"{who} {variant}".strip(): size for (who, variant), size in result.memory.items()},
                **{metric: result.metric(metric) for metric in METRICS},
                "goals": [{"goal": text, "reached": reached} for text, reached in goals(result)],
                "failed": result.failed,
            }
            for result in results
        ],
    }
