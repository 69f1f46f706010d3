"""Compiles and runs the C tests of the thread pool, plainly and under the sanitizers the compiler has."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src_c"
TESTS = Path(__file__).parent / "c"
UNITS = ("parallel.c", "scratch.c", "processors.c")
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]


def compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or "clang")


def has_sanitizer(sanitizer: str, folder: Path) -> bool:
    source, program = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    command = [*compiler(), f"-fsanitize={sanitizer}", source, "-o", program]
    return all(subprocess.run(step, capture_output=True).returncode == 0 for step in (command, [program]))


@pytest.mark.parametrize(
    ("name", "sanitizer"),
    [
        ("test_parallel", ""),
        ("test_parallel", "thread"),
        ("test_scratch", "thread"),
        ("test_scratch", "address,undefined"),
        ("test_fork", ""),
        ("test_processors", "address,undefined"),
    ],
)
def test_c(name: str, sanitizer: str, tmp_path: Path):
    flags = FLAGS
    if sanitizer and has_sanitizer(sanitizer, tmp_path):  # where the compiler lacks it, the plain test remains
        flags = [*FLAGS, f"-fsanitize={sanitizer}"]
    program = tmp_path / name
    test = TESTS / f"{name}.c"
    sources = [test, *(SOURCES / unit for unit in UNITS if f'src_c/{unit}"' not in test.read_text())]
    subprocess.run([*compiler(), *flags, *sources, "-o", program], check=True)
    groups = tmp_path / "groups"
    groups.mkdir()
    options = "allocator_may_return_null=1:exitcode=66"
    run = subprocess.run(
        [program, *([groups] if name == "test_processors" else [])],
        env=os.environ | {"TSAN_OPTIONS": options, "ASAN_OPTIONS": options, "UBSAN_OPTIONS": "halt_on_error=1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
