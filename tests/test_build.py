"""The build: what reaches which compiler command, the stub, the checks of files."""

import ast
import os
import platform
import re
import runpy
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from fastconv import _kernels

ROOT = Path(__file__).parents[1]
SOURCE = (ROOT / "fastconv" / "_kernels.pyx").read_text()
STUB = ast.parse((ROOT / "fastconv" / "_kernels.pyi").read_text())

# Stands for the compiler: notes the command and writes an empty output.
RECORDER = """
import sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
open(sys.argv[sys.argv.index("-o") + 1], "w").close()
"""
BUILD = """
import sys
import setup
from setuptools import Distribution
extension = setup.extension()
extension.sources = ["tests/c/empty.c"]
build = setup.BuildKernels(Distribution({{"name": "fastconv", "ext_modules": [extension]}}))
build.build_temp = build.build_lib = {folder!r}
build.ensure_finalized()
build.run()
"""


def bound_functions() -> dict[str, list[str]]:
    """Return the functions and classes of `_kernels.pyx` with the names of their arguments."""
    found = {}
    owner = ""
    for kind, name, arguments in re.findall(r"^(cdef class|def|    def) (\w+)(?:\((.*?)\))?:$", SOURCE, re.M | re.S):
        words = [re.sub(r"=.*| not None", "", argument).split()[-1] for argument in arguments.split(",") if argument]
        if kind == "cdef class":
            owner = name
        elif kind == "def":
            found[name] = words
        elif name == "__cinit__":
            found[owner] = words[1:]  # without self
    return found


def stubbed_functions() -> dict[str, list[str]]:
    """Return the same of `_kernels.pyi`."""
    found = {node.name: names(node.args) for node in STUB.body if isinstance(node, ast.FunctionDef)}
    for node in STUB.body:
        if isinstance(node, ast.ClassDef):
            methods = {method.name: names(method.args) for method in node.body if isinstance(method, ast.FunctionDef)}
            found[node.name] = methods["__init__"][1:]
    return found


def names(arguments: ast.arguments) -> list[str]:
    """Return the names of a signature's arguments, with a star before those that must be named."""
    star = ["*"] if arguments.kwonlyargs else []
    return [each.arg for each in arguments.args] + star + [each.arg for each in arguments.kwonlyargs]


def test_stub_names_every_function_and_argument():
    assert stubbed_functions() == bound_functions()


def test_stub_names_what_the_module_has():
    names = {name for name in vars(_kernels) if not name.startswith("_")}
    variables = {node.target.id for node in STUB.body if isinstance(node, ast.AnnAssign)}
    assert names == set(stubbed_functions()) | variables


def build_commands(folder: Path, **environment: str) -> dict[str, list[str]]:
    """Return the words of each command of a build, by the stem of what it makes."""
    log, compiler = folder / "log", folder / "compiler.py"
    compiler.write_text(RECORDER.format(log=str(log)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASTCONV", "CFLAGS", "LD"))}
    subprocess.run(
        [sys.executable, "-c", BUILD.format(folder=str(folder))],
        env=kept | {"CC": f"{sys.executable} {compiler}", **environment},
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    commands = [line.split() for line in log.read_text().splitlines()]
    return {Path(words[words.index("-o") + 1]).name.split(".")[0]: words for words in commands}


@pytest.fixture(scope="module")
def hostile_build(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A build by somebody whose CFLAGS would break what the extension promises."""
    flags = "-march=native -mavx512f -O2 -ffast-math -flto=auto"
    return build_commands(tmp_path_factory.mktemp("build"), CFLAGS=flags, FASTCONV_CFLAGS="-DMARK")


def test_cflags_do_not_reach_what_runs_everywhere(hostile_build: dict[str, list[str]]):
    shared = ["dispatch", "cpu", "parallel", "processors", "scratch", "scalar_f32", "scalar_f64"]
    assert {*shared, "empty", "_kernels"} <= set(hostile_build)  # empty.c stands for the binding's source
    for name in [*shared, "empty", "_kernels"]:
        words = hostile_build[name]
        assert [word for word in words if word.startswith(("-m", "-ffast", "-flto"))] == [], name


def test_instruction_sets_get_their_own_flags_and_no_more(hostile_build: dict[str, list[str]]):
    table = runpy.run_path(str(ROOT / "setup.py"))
    for source, flags in table["units"](platform.machine()):
        words = hostile_build[Path(source).stem]
        assert [word for word in words if word.startswith("-m")] == flags
        assert "-DMARK" in words
        assert "-O3" in words
        assert "-flto=auto" not in words


def test_every_unit_is_linked_and_hides_its_names(hostile_build: dict[str, list[str]]):
    linked = {Path(word).stem for word in hostile_build["_kernels"] if word.endswith(".o")}
    table = runpy.run_path(str(ROOT / "setup.py"))
    assert linked == {"empty", *(Path(source).stem for source, _ in table["units"](platform.machine()))}
    for name in linked:
        assert "-fvisibility=hidden" in hostile_build[name]


@pytest.mark.skipif(sys.platform != "linux", reason="reads objdump's way of writing")
def test_tiles_keep_their_sums_in_registers():
    """A tile that the compiler spills to the stack is several times slower, and still right."""
    command = ["objdump", "-d", "--no-show-raw-insn", _kernels.__file__]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wide = re.compile(r"%[yz]mm|\bq\d+")  # scalar's tile is larger than its registers, on purpose
    tiles = 0
    for name, body in re.findall(r"^[0-9a-f]+ <((?:tile|beside)_\d+x\d+)[^>]*>:\n(.*?)\n\n", code, re.M | re.S):
        vector = [line for line in body.splitlines() if wide.search(line)]
        assert [line for line in vector if "(%rsp" in line or "[sp" in line] == [], name
        tiles += bool(vector)
    assert tiles >= 2 * 12  # both element types, AVX2's six heights and two widths at least


def test_a_missing_compiler_is_named(tmp_path: Path):
    code = BUILD.format(folder=str(tmp_path))
    environment = os.environ | {"CC": "no-such-compiler"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert "fastconv needs a C compiler: no-such-compiler was not found" in run.stderr


def test_every_instruction_set_file_is_in_the_table():
    table = runpy.run_path(str(ROOT / "setup.py"))["ISAS"]
    assert {path.stem for path in (ROOT / "src_c" / "isa").glob("*.c")} == {
        f"{isa}_{kind}" for isa in table for kind in ("f32", "f64")
    }


def test_sources_outside_folders_are_all_built():
    table = runpy.run_path(str(ROOT / "setup.py"))
    assert {f"src_c/{path.name}" for path in (ROOT / "src_c").glob("*.c")} == set(table["COMMON_UNITS"])


def test_long_files_are_named(tmp_path: Path):
    (tmp_path / "fastconv").mkdir()
    (tmp_path / "src_c").mkdir()
    (tmp_path / "fastconv" / "long.py").write_text("pass\n" * 301)
    (tmp_path / "fastconv" / "short.py").write_text("pass\n" * 300)
    (tmp_path / "src_c" / "long.c").write_text("\n" * 401)
    command = [sys.executable, "tools/check_budgets.py", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        "fastconv/long.py: 301 lines, the budget is 300",
        "src_c/long.c: 401 lines, the budget is 400",
    ]


def test_a_bad_wheel_is_refused(tmp_path: Path):
    wheel = tmp_path / "fastconv-0.1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        archive.writestr("fastconv/__init__.py", "")
        archive.writestr("fastconv/_kernels.c", "")
        archive.writestr("tests/__init__.py", "")
    run = subprocess.run([sys.executable, "tools/check_wheel.py", str(wheel)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    for complaint in ("lacks fastconv/data/digits.npz", "has fastconv/_kernels.c", "has tests/", "lacks the extension"):
        assert complaint in run.stdout
