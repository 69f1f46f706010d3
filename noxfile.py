"""Everything a developer runs, each in an environment of its own: `nox -l` lists the sessions."""

import json
import platform
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "types", "test"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
BUILD = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]


def extra(*names: str) -> list[str]:
    """Return the requirements of extras, without fastconv itself."""
    extras = PROJECT["project"]["optional-dependencies"]
    return [line for name in names for line in extras[name] if not line.startswith("fastconv")]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, the direction of imports, file budgets."""
    session.install(*extra("lint"))
    c_files = [str(path) for folder in ("src_c", "tests/c") for path in sorted(Path(folder).rglob("*.[ch]"))]
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("cython-lint", "fastconv/_kernels.pyx", "fastconv/_kernels.pxd")
    session.run("clang-format", "--dry-run", "-Werror", *c_files)
    session.run("lint-imports")
    session.run("python", "tools/check_budgets.py")


@nox.session
def types(session: nox.Session) -> None:
    """Type hints of the package and of the extension's stub."""
    session.install(*extra("lint", "cli", "threads"), *PROJECT["project"]["dependencies"])
    session.run("mypy")


@nox.session
def test(session: nox.Session) -> None:
    """All tests, those of the docstrings included."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Times every kernel after checking its result; `nox -s bench -- --benchmark-disable` only checks."""
    session.install("-e", ".[test]")
    session.run("pytest", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Runs the examples of the README and of the docstrings."""
    session.install("-e", ".[test]")
    session.run("pytest", "fastconv", "tests/test_readme.py", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Builds the sdist, a wheel from it, and uses the installed wheel from another directory."""
    session.install("build>=1.2")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", f"{folder}/dist")
    (wheel,) = (folder / "dist").glob("*.whl")
    session.run("python", "tools/check_wheel.py", str(wheel))
    session.run("python", "-m", "venv", "--clear", f"{folder}/venv")
    python = f"{folder}/venv/bin/python"
    session.run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]", external=True)
    session.chdir(folder)
    session.run(python, str(ROOT / "tools" / "smoke.py"), external=True)


@nox.session
def sanitize(session: nox.Session) -> None:
    """The kernels' tests under address and undefined behaviour sanitizers, with gcc on Linux."""
    session.install(*BUILD, *extra("test", "cli", "threads"))
    copy = Path(session.create_tmp()).resolve() / "copy"  # the checkout keeps its own build
    shutil.rmtree(copy, ignore_errors=True)
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.so", "__pycache__", "_kernels.c")
    shutil.copytree(ROOT, copy, ignore=ignored)
    session.chdir(copy)
    session.env["FASTCONV_SANITIZE"] = "address,undefined"
    session.env["ASAN_OPTIONS"] = "detect_leaks=0:handle_segv=0:allocator_may_return_null=1"  # Python never frees all
    session.env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    session.run("python", "setup.py", "-q", "build_ext", "--inplace")
    objects = [str(path) for path in copy.glob("build/temp*/units/*.o")]
    build_and_run_kernel_test(session, ["gcc"], platform.machine(), objects, [])
    # What times something or compiles for itself stays out.
    left_out = [f"--ignore=tests/test_{name}.py" for name in ("build", "kernels_c", "parallel_c", "threads")]
    library = session.run("gcc", "-print-file-name=libasan.so", external=True, silent=True).strip()
    chosen = session.posargs or ["tests", *left_out]
    session.run("pytest", "-p", "no:cacheprovider", *chosen, env={"LD_PRELOAD": library})


@nox.session
def aarch64(session: nox.Session) -> None:
    """Compares NEON kernels with scalar ones in an emulator (gcc-aarch64-linux-gnu, qemu-user)."""
    session.install(*BUILD)
    emulator = [] if platform.machine() == "aarch64" else ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
    build_and_run_kernel_test(session, ["aarch64-linux-gnu-gcc"], "aarch64", [], emulator)


def build_and_run_kernel_test(
    session: nox.Session, compiler: list[str], machine: str, objects: list[str], emulator: list[str]
) -> None:
    """Compile tests/c/test_kernels.c and, where there are no objects yet, the units it needs, and run it."""
    show = f"import json; from setup import *; print(json.dumps([units({machine!r}), c_flags(), sanitizer_flags()]))"
    units, common, linking = json.loads(session.run("python", "-c", show, silent=True))
    folder = Path(session.create_tmp()).resolve()
    for source, flags in [*([] if objects else units), ("tests/c/test_kernels.c", [])]:
        objects = [*objects, f"{folder}/{Path(source).stem}.o"]
        session.run(*compiler, *common, *flags, "-c", source, "-o", objects[-1], external=True)
    program = f"{folder}/test_kernels"
    session.run(*compiler, "-pthread", *linking, *objects, "-lm", "-o", program, external=True)
    session.run(*emulator, program, external=True)
