"""What all commands have in common, and the small ones: info, evaluate, bench."""

import json
import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv import data
from fastconv.cli import bench
from fastconv.serialization import load_file, save_file
from tests.cli_helpers import ROOT, trained  # noqa: F401
from tests.cli_helpers import fastconv as run

COMMANDS = ["train", "evaluate", "predict", "info", "bench"]


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


@pytest.fixture(autouse=True)
def _same_threads():
    before = fastconv.get_num_threads()
    yield
    fastconv.set_num_threads(before)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_common_options(command):
    outcome = run(command, "--help")
    assert outcome.status == 0
    assert outcome.err == ""
    for option in ("--help", "--seed", "--threads", "--json", "--debug"):
        assert option in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_help_and_version():
    outcome = run("--help")
    assert outcome.status == 0
    assert all(f"  {command} " in outcome.out for command in COMMANDS)
    assert run("--version").out == f"fastconv, version {fastconv.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["train"],
        ["train", "alexnet9"],
        ["train", "lenet5", "--epochs", "0"],
        ["train", "lenet5", "--lr", "0"],
        ["train", "lenet5", "--momentum", "1"],
        ["train", "lenet5", "--data", "cats"],
        ["info", "--threads", "0"],
        ["info", "--threads", "x"],
        ["info", "--seed", "-1"],
        ["info", "extra"],
        ["predict", "run"],
        ["bench", "--fast"],
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    outcome = run(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert "Error: " in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere"], "no such run: nowhere"),
        (["predict", "nowhere", "a.png"], "no such run: nowhere"),
        (["train", "lenet5", "--data", "mnist"], "mnist does not ship with fastconv"),
        (["train", "lenet5", "--data", "mnist", "--root", "nowhere"], "root must be a folder, got 'nowhere'"),
        (["train", "lenet5", "--seed", str(2**64)], "seed must be from 0 to 2**64 - 1"),
    ],
)
def test_a_failure_is_one_line_and_1(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run(*arguments)
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.err.startswith("fastconv: error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_debug_shows_where():
    done = python("from fastconv.cli import main; main()", "evaluate", "nowhere", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "FileNotFoundError: no such run" in done.stderr


def test_a_bug_is_one_line_too(monkeypatch):
    def broken(*args):
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(bench, "fma_peak", broken)
    outcome = run("bench")
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == "fastconv: error: RuntimeError: first second (--debug shows where)"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("click", ["info"]),
        ("rich", ["info"]),
        ("matplotlib", ["train", "lenet5"]),
        ("safetensors", ["train", "lenet5"]),
        ("PIL", ["predict", "run", "a.png"]),
        ("safetensors", ["predict", "run", "a.png"]),
    ],
)
def test_a_missing_extra_is_named_before_any_work(module, arguments):
    code = f"import sys; sys.modules[{module!r}] = None; from fastconv.cli import main; main()"
    done = python(code, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f'fastconv: error: this needs {module}, which is not installed: pip install "fastconv[cli]"\n'


def test_python_m_fastconv():
    done = subprocess.run(
        [sys.executable, "-m", "fastconv", "info", "--json"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["version"] == fastconv.__version__


def test_info():
    outcome = run("info", "--threads", 1)
    assert outcome.status == 0
    assert outcome.err == ""
    found = json.loads(run("info", "--json", "--threads", 1).out)
    assert found["isa"] == fastconv.active_isa()
    assert found["available_isas"] == fastconv.available_isas()
    assert found["threads"] == 1
    assert found["extras"]["cli"]["pillow"]
    for text in (found["compiler"], found["isa"], found["numpy"], f"click {found['extras']['cli']['click']}"):
        assert text in outcome.out


def test_evaluate(trained):  # noqa: F811
    outcome = run("evaluate", trained)
    assert outcome.status == 0
    found = json.loads(run("evaluate", trained / "model.safetensors", "--json").out)
    test = found["test"]
    assert test["images"] == 2000
    assert test["accuracy"] == test["correct"] / 2000 > 0.9
    assert f"Test accuracy {100 * test['accuracy']:.2f} % ({test['correct']:,} of 2,000 images)" in outcome.out
    matrix = np.array(found["confusion_matrix"])
    assert matrix.trace() == test["correct"]
    assert matrix.sum() == 2000
    np.testing.assert_array_equal(matrix.sum(1), np.bincount(data.load_digits("test").labels))
    row = next(line.split() for line in outcome.out.splitlines() if line.startswith("3 "))
    assert [int(cell.replace(".", "0")) for cell in row[1:11]] == matrix[3].tolist()
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "100 test images" in run("evaluate", trained, "--limit", 100).err


def test_evaluate_refuses_a_damaged_run(trained, tmp_path):  # noqa: F811
    weights = (trained / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-7])
    outcome = run("evaluate", tmp_path)
    assert outcome.status == 1
    assert outcome.err.startswith("fastconv: error: read_metadata: ")
    assert "is not a sound safetensors file" in outcome.err
    save_file(load_file(trained / "model.safetensors"), tmp_path / "model.safetensors")
    assert "does not say what network it holds" in run("evaluate", tmp_path).err
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text("[")
    assert "config.json is not JSON" in run("evaluate", tmp_path).err
    (tmp_path / "config.json").write_text('{"settings": [1]}')
    assert run("evaluate", tmp_path, "--limit", 10).status == 0


def test_bench(monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 0.001)
    monkeypatch.setattr(bench, "LAYERS", ((3, 8, 8, 14), (1, 16, 8, 7)))
    outcome = run("bench", "--threads", 1)
    assert outcome.status == 0, outcome.err
    assert "FMA peak" in outcome.out
    assert "conv 3x3 8->8, 14x14" in outcome.out
    found = json.loads(run("bench", "--json", "--threads", 1).out)
    assert found["threads"] == 1
    assert found["fma_peak_gflops"] > 1
    assert {row["algorithm"] for row in found["rows"]} == {"auto", "direct", "winograd"}
    assert all(row["seconds"] > 0 for row in found["rows"])


def test_bench_notices_a_wrong_result(monkeypatch):
    same = bench._same
    monkeypatch.setattr(bench, "SECONDS", 0.001)
    monkeypatch.setattr(bench, "_same", lambda name, found, expected: same(name, found * 1.001, expected))
    outcome = run("bench", "--threads", 1)
    assert outcome.status == 1
    assert "results differ by" in outcome.err
