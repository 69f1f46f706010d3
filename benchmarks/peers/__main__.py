"""The command line: `python -m benchmarks.peers --help`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.peers import plot, report
from benchmarks.peers.contenders import LIBRARIES
from benchmarks.peers.groups import DEFAULT, GROUPS
from benchmarks.peers.runner import DifferentResult, Work, WorkerError, lacking, run


def _names(allowed: dict[str, object]):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(allowed)}")
        return names

    return parse


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1:
        raise ValueError
    return counts


def _count(text: str) -> int:
    (count,) = _counts(text)
    return count


def parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    options = argparse.ArgumentParser("python -m benchmarks.peers", description="Time fastconv and other libraries.")
    options.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; default: {' '.join(DEFAULT)}"
    )
    options.add_argument("--threads", type=_counts, default=[1, 2], help="numbers of threads; default: 1,2")
    options.add_argument("--only", default="", metavar="TEXT", help="only cases whose name contains this")
    options.add_argument("--rounds", type=_count, default=20, help="turns of each contender; default: %(default)s")
    options.add_argument(
        "--starts", type=_count, default=1, help="do it so often with new processes; default: %(default)s"
    )
    options.add_argument("--seconds", type=float, default=0.01, help="length of a turn; default: %(default)s")
    options.add_argument(
        "--contenders",
        type=_names(dict(LIBRARIES)),
        help=f"some of {','.join(LIBRARIES)}; fastconv (ours) always takes part; default: the group's",
    )
    options.add_argument("--compile", action="store_true", help="also PyTorch compiled, which needs g++")
    options.add_argument("--memory", action="store_true", help="instead of time, the peak memory of training steps")
    options.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios, which needs matplotlib")
    options.add_argument("--markdown", action="store_true", help="print Markdown")
    options.add_argument("--quiet", action="store_true", help="no progress on standard error")
    return options


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit status."""
    options = parser().parse_args(arguments)
    if unknown := [name for name in options.groups if name not in GROUPS]:
        parser().error(f"no group {unknown[0]!r}: there are {', '.join(GROUPS)}")
    work = []
    for name in options.groups or DEFAULT:
        cases = [case for case in GROUPS[name].cases() if options.only in case.name]
        if options.memory:
            cases = [case for case in cases if case.mode == "step"]
        contenders = GROUPS[name].contenders if options.contenders is None else options.contenders
        # fastconv first: the others' results are compared with its.
        work.append(Work(name, cases, ["ours", *(each for each in contenders if each != "ours")]))
    if not any(part.cases for part in work):
        parser().error(f"no {'step' if options.memory else 'case'} has {options.only!r} in its name")
    missing = lacking(name for part in work for name in part.contenders)
    for name, modules in missing.items():
        print(f"{LIBRARIES[name].title} is left out: no {', '.join(modules)} (in the extra peers)", file=sys.stderr)
    for part in work:
        part.contenders = [name for name in part.contenders if name not in missing]
    heads = report.header({}, arguments)
    tell = (lambda text: None) if options.quiet else (lambda text: print(text, file=sys.stderr, flush=True))
    try:
        results, versions = run(
            work,
            options.threads,
            options.rounds,
            options.seconds,
            starts=options.starts,
            compiled=options.compile,
            memory=options.memory,
            progress=tell,
        )
    except (DifferentResult, WorkerError) as error:
        print(error, file=sys.stderr)
        return 1
    heads |= {LIBRARIES[name].title: version for name, version in versions.items()}
    found = report.tables(results, {name: group.mean for name, group in GROUPS.items()})
    if options.json:
        options.json.write_text(json.dumps(report.as_json(heads, results), indent=1) + "\n")
    if options.plot:
        plot.draw(report.as_json(heads, results)["results"], options.plot)
    if options.markdown:
        print(report.markdown(heads, found))
    else:
        report.show(heads, found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
