"""The machinery of `python -m benchmarks.peers`, with fastconv and its NumPy twin as the only contenders."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import plot, report, runner
from benchmarks.peers.__main__ import main
from benchmarks.peers.cases import Case, Goal, conv
from benchmarks.peers.cases_models import network_case
from benchmarks.peers.contenders import LIBRARIES, Library
from benchmarks.peers.groups import GROUPS
from benchmarks.peers.results import Result, Timing, combined
from benchmarks.peers.runner import DifferentResult, Work, WorkerError

TINY = conv("tiny", 1, 2, 4, 3, 3)


class Stub:
    """Stands for a process: computes `value`, and needs `seconds` for a call, then more each turn."""

    def __init__(self, contender: str, value: float = 1.0, seconds: float = 1e-3, log: list[str] | None = None) -> None:
        self.contender = contender
        self.value = value
        self.seconds = seconds
        self.log = [] if log is None else log

    def ask(self, do: str, **arguments: Any) -> Any:
        self.log.append(f"{self.contender} {do}")
        if do == "prepare":
            path = Path(arguments["folder"]) / f"{self.contender}.npz"
            np.savez(path, np.full(3, self.value, np.float32))
            return {"": str(path)}
        if do == "peak":
            return 1e9
        self.seconds += 1e-3
        return {"median": self.seconds, "min": self.seconds / 2}


class Broken(Stub):
    def ask(self, do: str, **arguments: Any) -> Any:
        raise WorkerError(f"{self.contender}: prepare failed\nNoMemory: none left")


def test_the_command_line_times_both_contenders_in_their_processes(tmp_path, capsys) -> None:
    file = tmp_path / "out.json"
    options = ["--threads", "1", "--rounds", "1", "--seconds", "0.001", "--contenders", "twin", "--quiet", "--markdown"]
    assert main(["small", *options, "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "| conv2d 1x8x8x8 3x3 |" in shown
    assert "python -m benchmarks.peers small --threads 1" in shown
    written = json.loads(file.read_text())
    assert written["about"]["NumPy"] == np.__version__
    assert [result["case"]["name"] for result in written["results"]] == [c.name for c in GROUPS["small"].cases()]
    for result in written["results"]:
        assert {t["contender"] for t in result["timings"]} == {"ours", "twin"}
        assert all(0 < t["min"] <= t["median"] < 1 for t in result["timings"])
        assert result["numpy"] > 0
        assert not result["failed"]


def test_ratios_can_be_drawn(tmp_path) -> None:
    cases = [replace(TINY, name=str(i), kind=kind) for i, kind in enumerate(("1x1", "1x1", "depthwise"))]
    results = [Result(group, case, threads) for group, threads in (("a", 1), ("a", 2)) for case in cases]
    for place, result in enumerate(results[:-1]):  # the last one has no peer
        result.timings = [Timing("ours", "", 1e-3, 1e-3), Timing("pytorch", "nchw", 1e-3 + 1e-4 * place, 1e-3)]
    file = tmp_path / "ratios.png"
    plot.draw(report.as_json({}, results)["results"], file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_workers_measure_gradients_and_the_peak() -> None:
    work = [Work("g", [conv("tiny", 1, 2, 4, 3, 3, mode="backward")], ["ours", "twin"])]
    (result,), versions = runner.run(work, [1], rounds=1, seconds=1e-4)
    assert result.peak > 1e8
    assert result.metric("peak") > 0
    assert result.metric("numpy") > 0
    assert set(versions) == {"ours", "twin"}


@pytest.mark.parametrize("peer", [name for name, library in LIBRARIES.items() if library.peer])
def test_peers_compute_the_same(peer) -> None:
    if runner.lacking([peer]):
        pytest.skip(f"no {LIBRARIES[peer].title}")
    modes = ("forward", "tape", "backward", "both")
    cases = [conv(mode, 2, 4, 7, 6, 3, 2, mode=mode, padding=1) for mode in modes]
    cases += [Case(f"linear {mode}", "linear", mode, ((3, 5), (4, 5), (4,))) for mode in modes]
    if peer == "pytorch":
        cases += [network_case("squeezenet1_1", 1, "forward"), network_case("shufflenet_v2_x1_0", 2, "step")]
    if peer in GROUPS["signal"].contenders:
        cases = [Case("signal", "convolve2d", "forward", ((30, 40), (k, k)), {"mode": "same"}) for k in (3, 5, 13)]
    results, _ = runner.run([Work("g", cases, ["ours", peer])], [1], rounds=1, seconds=1e-4)
    assert not any(result.failed for result in results)
    assert results[0].metric("ratio") is not None


def test_a_program_says_what_a_network_computes() -> None:
    program = network_case("googlenet", 2, "step").program
    ops = [step["op"] for step in program["steps"]]
    assert ops[:3] == ["conv2d", "batch_norm", "relu"]
    assert [step["alone"] for step in program["steps"][:3]] == [False, True, True]
    assert "dropout" not in ops
    assert program["steps"][0]["arguments"]["weight"] == {"state": "conv1.conv.weight"}
    assert program["steps"][1]["arguments"]["input"] == {"value": 1}
    assert len(program["outputs"]) == 3
    assert program["states"]["conv1.bn.running_var"] == [64]
    assert "conv1.bn.running_var" not in program["trained"]
    assert len(network_case("googlenet", 2, "forward").program["outputs"]) == 1


def test_memory_is_measured_in_processes_of_their_own() -> None:
    case = network_case("squeezenet1_1", 1, "forward")
    (result,), _ = runner.run([Work("g", [case], ["ours"])], [1], rounds=1, seconds=1e-4, memory=True)
    assert 10e6 < result.memory["ours", ""] < 500e6  # weights of 5 MB, maps of 3 MB at once, and what is kept
    assert result.metric("memory") is None
    goals = (Goal("memory", 1.0),)
    memory = {("ours", ""): 200, ("pytorch", "nchw"): 300, ("pytorch", "channels_last"): 250}
    judged = Result("g", conv("tiny", 1, 2, 4, 3, 3, goals=goals), 1, memory=memory)
    assert judged.metric("memory") == 1.25
    assert report.goals(judged) == [("memory ≥ 1.00", True)]
    assert report.table("g", 1, [judged]).rows[0][1:4] == ["0 MB", "0 MB (channels_last)", "1.25"]


def test_the_mean_of_a_kind_has_a_goal() -> None:
    case = replace(TINY, kind="some", goals=(Goal("mean", 1.5),))
    results = [Result("g", case, 2, [Timing("ours", "", 1.0, 1.0), Timing("pytorch", "", t, t)]) for t in (1.0, 4.0)]
    assert report.goals(results[0]) == []
    assert "some, 2 cases: geometric mean 2.00 (≥ 1.50 reached), lowest 1.00" in report.table("g", 2, results).notes
    for result in results:
        result.peak = 4 * case.flops  # a second is a quarter of it
    notes = report.table("g", 2, results).notes
    assert "some, 2 cases: geometric mean 2.00 (≥ 1.50 reached), lowest 1.00, 25% of the peak" in notes


def test_contenders_take_turns_in_a_rotating_order() -> None:
    log: list[str] = []
    runner.measure("g", TINY, [Stub("ours", log=log), Stub("twin", log=log)], threads=1, rounds=2, seconds=1.0)
    turns = ["ours peak", "ours time", "twin time", "twin time", "ours peak", "ours time"]
    assert log == ["ours prepare", "twin prepare", *turns]


def test_a_result_has_medians_minima_and_the_best_peer() -> None:
    team = [Stub("ours"), Stub("pytorch", seconds=5e-3), Stub("openvino", seconds=3e-3), Stub("twin", seconds=9e-3)]
    result = runner.measure("g", TINY, team, threads=1, rounds=3, seconds=1.0)
    assert result.best(["ours"]) == Timing("ours", "", 3e-3, 1e-3)
    assert result.best_peer is not None
    assert result.best_peer.contender == "openvino"
    assert result.metric("ratio") == pytest.approx(5 / 3)
    assert result.metric("numpy") == pytest.approx(11 / 3)
    assert result.metric("peak") == pytest.approx(TINY.flops / 3e-3 / 1e9)


def test_several_starts_have_one_result() -> None:
    """The median of each contender over processes, each with its own luck."""
    found = [
        Result("g", TINY, 2, [Timing("ours", "", a, a / 2), Timing("pytorch", "", b, b / 2)], peak=p)
        for a, b, p in ((2.0, 3.0, 5.0), (9.0, 4.0, 4.0), (1.0, 3.5, 6.0))
    ]
    found[1].failed = {"openvino": "none left"}
    one = combined(found)
    assert one.timings == [Timing("ours", "", 2.0, 0.5), Timing("pytorch", "", 3.5, 1.5)]
    assert (one.group, one.case, one.threads, one.peak, one.failed) == ("g", TINY, 2, 6.0, {"openvino": "none left"})


def test_every_start_has_processes_of_its_own(monkeypatch) -> None:
    processes: list[str] = []

    @contextmanager
    def stubs(names, threads, compiled):
        processes.extend(names)
        yield [Stub(name, seconds=len(processes) * 1e-3) for name in names]

    monkeypatch.setattr(runner, "processes", stubs)
    told: list[str] = []
    (result,), _ = runner.run([Work("g", [TINY], ["ours"])], [1], 1, 1.0, starts=3, progress=told.append)
    assert processes == ["ours"] * 3
    assert told[-1] == "g 1/1, threads 1, start 3/3: tiny"
    assert result.timings == [Timing("ours", "", 4e-3, 1.5e-3)]  # asking for the version takes a turn too


def test_a_different_result_ends_the_run() -> None:
    with pytest.raises(DifferentResult, match=r"tiny: result 0 of NumPy is 1\.0e-03"):
        runner.measure("g", TINY, [Stub("ours"), Stub("twin", value=1.001)], threads=1, rounds=1, seconds=1.0)
    with pytest.raises(DifferentResult, match="nan"):
        runner.measure("g", TINY, [Stub("ours"), Stub("twin", value=np.nan)], threads=1, rounds=1, seconds=1.0)


def test_a_peer_that_fails_is_left_out_of_the_case_and_fastconv_is_not() -> None:
    result = runner.measure("g", TINY, [Stub("ours"), Broken("pytorch")], threads=1, rounds=1, seconds=1.0)
    assert result.metric("ratio") is None
    assert "tiny: PyTorch failed: NoMemory: none left" in report.table("g", 1, [result]).notes
    with pytest.raises(WorkerError):
        runner.measure("g", TINY, [Broken("ours"), Stub("twin")], threads=1, rounds=1, seconds=1.0)


def test_a_worker_that_dies_is_reported() -> None:
    with (
        runner.processes(["no_such_contender"], 1) as (process,),
        pytest.raises(WorkerError, match="ended with status"),
    ):
        process.ask("version")


def test_a_missing_peer_is_named_and_left_out(monkeypatch, capsys) -> None:
    monkeypatch.setitem(LIBRARIES, "pytorch", Library("PyTorch", ("no_such_module",)))
    monkeypatch.setattr("benchmarks.peers.__main__.run", lambda work, *args, **kwargs: ([], {}))
    assert main(["small", "--quiet"]) == 0
    assert "PyTorch is left out: no no_such_module" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["conv", "--only", "nothing"], ["--threads", "0"], ["--starts", "0"]]
)
def test_wrong_usage_is_refused(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_cases_survive_json_and_have_names_of_their_own() -> None:
    for group in GROUPS.values():
        cases = group.cases()
        assert len({case.name for case in cases}) == len(cases)
        for case in cases:
            assert Case.from_dict(json.loads(json.dumps(case.to_dict()))) == case
            assert [array.shape for array in case.arrays()] == list(case.shapes)


def test_goals_are_judged_on_their_number_of_threads() -> None:
    goals = (Goal("ratio", 2.0, 2), Goal("seconds", 1e-3), Goal("numpy", 3.0))
    case = conv("tiny", 1, 2, 4, 3, 3, goals=goals)
    timings = [Timing("ours", "", 2e-3, 1e-3), Timing("pytorch", "nchw", 5e-3, 1e-3)]
    assert report.goals(Result("g", case, 2, timings)) == [("ratio ≥ 2.00", True), ("≤ 1.00 ms", False)]
    assert report.goals(Result("g", case, 1, timings)) == [("≤ 1.00 ms", False)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234e-6, "1.23 µs"), (9.87e-5, "98.7 µs"), (0.4567, "457 ms"), (12.0, "12.0 s"), (3e-8, "0.0300 µs")],
)
def test_seconds_have_three_digits_and_a_unit(value, text) -> None:
    assert report.seconds(value) == text


def test_the_means_of_a_group_and_of_its_kinds_are_judged() -> None:
    case = Case("tiny", "relu", "forward", ((2, 3),), goals=(Goal("ratio", 1.0),), kind="activations")
    results = [
        Result("g", case, 1, [Timing("ours", "", 1e-3, 1e-3), Timing("pytorch", "", seconds, seconds)])
        for seconds in (0.5e-3, 2e-3)
    ]
    (found,) = report.tables(results, {"g": 1.5})
    assert found.notes == [
        "ratio to best peer: geometric mean 1.00 (≥ 1.50 MISSED), lowest 0.50",
        "activations, 2 cases: geometric mean 1.00, lowest 0.50",
        "goals missed: 1 of 2",
    ]
    assert "(≥ 1.00 reached)" in report.table("g", 1, results, mean=1.0).notes[0]


@pytest.mark.parametrize("mode", ["forward", "both"])
def test_what_dropout_left_out_is_put_back_before_results_are_compared(mode) -> None:
    case = Case("tiny", "dropout", mode, ((2, 3),), {"p": 0.2})
    source = case.arrays()[0] if mode == "forward" else case.gradient((2, 3))
    thinned = source / np.float32(0.8)
    whole = thinned.copy()
    thinned[1] = 0
    (found,) = case.comparable([thinned])
    np.testing.assert_array_equal(found, whole)
