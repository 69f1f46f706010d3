"""Checks that no file has outgrown its budget: a file that is too long wants to be two.

Usage: python tools/check_budgets.py [folder]
"""

import sys
from pathlib import Path

BUDGETS = {".py": 300, ".c": 400, ".h": 400}
FOLDERS = ("benchmarks", "fastconv", "src_c", "tests", "tools")
GENERATED = {"_kernels.c"}  # by Cython


def files(root: Path) -> list[Path]:
    """Return the sources that people wrote."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.suffix in BUDGETS]
    return [path for path in [*root.glob("*.py"), *found] if path.name not in GENERATED]


def main(root: Path) -> int:
    """Print the files above their budgets and return how many there are."""
    over = 0
    for path in files(root):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > BUDGETS[path.suffix]:
            print(f"{path.relative_to(root)}: {lines} lines, the budget is {BUDGETS[path.suffix]}")
            over += 1
    return over


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()) > 0)
