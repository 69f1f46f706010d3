"""What `import fastconv` does, and does not."""

import ast
import subprocess
import sys
from pathlib import Path

import fastconv

ROOT = Path(__file__).parents[1]
HEAVY = [
    "concurrent.futures",
    "multiprocessing",
    "urllib.request",
    "fastconv.layers",
    "fastconv.data",
    "fastconv.reference",
    "click",
    "rich",
    "matplotlib",
    "PIL",
    "safetensors",
    "threadpoolctl",
]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout


def test_import_is_light():
    code = f"import fastconv, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run(code) == "[]\n"


def test_import_changes_nothing_global():
    code = """
import os, signal, threading
import numpy as np
numbers = np.random.get_state()[1].copy()
handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV)]
errors = np.geterr()
tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
import fastconv
assert threading.active_count() == 1
assert tasks == (len(os.listdir("/proc/self/task")) if tasks else 0)
assert (np.random.get_state()[1] == numbers).all()
assert handlers == [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV)]
assert np.geterr() == errors
assert np.float32(1e-45) / np.float32(1) == np.float32(1e-45)  # subnormals are kept
print("same")
"""
    assert run(code) == "same\n"


def test_modules_come_when_asked_for():
    assert run("import fastconv; print(fastconv.layers.Flatten(), fastconv.init.__name__)").startswith("Flatten(")
    assert "layers" in dir(fastconv)
    assert not hasattr(fastconv, "no_such_name")


def test_version_is_the_projects():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{fastconv.__version__}"' in text


def test_the_package_takes_only_modules_and_the_version_from_itself():
    """import-linter ignores `from fastconv import name`, which it takes for an import of the whole package."""
    package = ROOT / "fastconv"
    modules = {path.stem for pattern in ("*.py", "*.pyx", "*/") for path in package.glob(pattern)}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "fastconv":
                assert {alias.name for alias in node.names} <= modules, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fastconv":
                assert node.attr in modules | {"__version__"}, path
