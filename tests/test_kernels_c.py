"""Compiles the kernels into a C program that compares every instruction set with scalar, as `nox -s aarch64` does."""

import os
import platform
import runpy
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastconv

ROOT = Path(__file__).parents[1]


def test_instruction_sets_agree_in_c(tmp_path: Path):
    build = runpy.run_path(str(ROOT / "setup.py"))
    compiler = shlex.split(os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or "clang")
    flags = [*build["FLAGS"], *build["WARNINGS"], "-Werror", "-O1"]  # -O3 takes three times as long to compile

    def compile_unit(unit: tuple[str, list[str]]) -> Path:
        source, own = unit
        target = tmp_path / f"{Path(source).stem}.o"
        subprocess.run([*compiler, *flags, *own, "-c", ROOT / source, "-o", target], check=True)
        return target

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_unit, [*build["units"](platform.machine()), ("tests/c/test_kernels.c", [])]))
    program = tmp_path / "test_kernels"
    subprocess.run([*compiler, "-pthread", *objects, "-lm", "-o", program], check=True)
    run = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == fastconv.available_isas()
