"""``fastconv info``: what is installed, and what it runs on."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
from rich.table import Table

import fastconv
from fastconv import _kernels
from fastconv.cli.common import print_json, stdout
from fastconv.threads import get_num_threads

__all__ = ["command"]

LABELS = {"version": "fastconv", "isa": "instruction set", "python": "Python", "numpy": "NumPy"}
EXTRAS = {"cli": ("click", "rich", "matplotlib", "pillow", "safetensors"), "threads": ("threadpoolctl",)}


def command(seed: int, as_json: bool) -> None:
    """Print version, instruction sets, threads, compiler and extras."""
    extras = {extra: {package: _version(package) for package in packages} for extra, packages in EXTRAS.items()}
    if as_json:
        print_json({**_facts(), "extras": extras})
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    facts = _facts()
    facts["isa"] = f"{facts['isa']} (available: {', '.join(facts.pop('available_isas'))})"
    for name, value in facts.items():
        table.add_row(LABELS.get(name, name), str(value))
    for extra, packages in extras.items():
        listed = ", ".join(f"{package} {found or 'missing'}" for package, found in packages.items())
        table.add_row(f"extra {extra}", listed)
    stdout().print(table)


def _facts() -> dict[str, Any]:
    return {
        "version": fastconv.__version__,
        "isa": _kernels.active_isa(),
        "available_isas": _kernels.available_isas(),
        "threads": get_num_threads(),
        "compiler": _kernels.COMPILER,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def _version(package: str) -> str | None:
    """Return the version of a package without importing it, None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
