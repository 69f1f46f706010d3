"""Ratios of many cases as a picture: a point a case, by kind, and the geometric mean of each kind.

python -m benchmarks.peers.plot FILE.json ... OUT.png    # of what `python -m benchmarks.peers --json FILE` has written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.report import geometric_mean
from fastconv.errors import require

__all__ = ["draw"]

_TICKS = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 6.0)


def draw(results: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write a picture of the ratios to the best peer, a row for each group and number of threads.

    `results` are as :func:`benchmarks.peers.report.as_json` has them.
    """
    plt: Any = require("matplotlib.pyplot", "cli")
    plt.switch_backend("Agg")
    parts: dict[tuple[str, int], dict[str, list[float]]] = {}
    for result in results:
        if result["ratio"] is not None:
            kinds = parts.setdefault((result["group"], result["threads"]), {})
            kinds.setdefault(result["case"]["kind"] or "all", []).append(result["ratio"])
    height = sum(0.4 * len(kinds) + 1.0 for kinds in parts.values()) + 0.4
    figure, rows = plt.subplots(
        len(parts), figsize=(9, height), squeeze=False, sharex=True,
        gridspec_kw={"height_ratios": [len(kinds) for kinds in parts.values()]}, layout="constrained",
    )  # fmt: skip
    for axes, ((group, threads), kinds) in zip(rows[:, 0], parts.items(), strict=True):
        for place, (_, ratios) in enumerate(sorted(kinds.items())):
            spread = [place + 0.24 * ((i * 7 % 11) / 5 - 1) for i in range(len(ratios))]  # so that points do not hide
            axes.plot(ratios, spread, "o", markersize=3.5, alpha=0.55, color="tab:blue", markeredgewidth=0)
            mean = geometric_mean(ratios)
            axes.plot([mean, mean], [place - 0.34, place + 0.34], color="tab:red", linewidth=2)
        names = [f"{kind}\n{len(r)}, mean {geometric_mean(r):.2f}" for kind, r in sorted(kinds.items())]
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axes.minorticks_off()
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(f"{group}, {threads} thread{'s' * (threads > 1)}", fontsize=10, loc="left")
    rows[-1, 0].set_xlabel("best peer's time / fastconv's: right of 1 fastconv is the faster one; red: geometric mean")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    *files, target = map(Path, sys.argv[1:])
    draw([result for file in files for result in json.loads(file.read_text())["results"]], target)
