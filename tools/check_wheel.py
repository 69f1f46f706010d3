"""Checks a wheel: small enough, everything in it that a user needs, nothing that only a developer does.

Usage: python tools/check_wheel.py WHEEL
"""

import sys
from pathlib import Path
from zipfile import ZipFile

LIMIT = 5_000_000  # bytes
NEEDED = [
    "data/digits.npz",
    "data/LICENSE-digits.md",
    "models/imagenet.txt",
    "models/LICENSE-imagenet.md",
    "py.typed",
    "_kernels.pyi",
    "functional/conv.py",
]
UNWANTED = (".c", ".h", ".o", ".pyx", ".pxd", ".pyc")


def problems(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel, one line each."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    size = wheel.stat().st_size
    found = [f"{size} bytes, the limit is {LIMIT}"] if size >= LIMIT else []
    found += [f"lacks fastconv/{name}" for name in NEEDED if f"fastconv/{name}" not in names]
    found += [f"has {name}" for name in names if name.endswith(UNWANTED)]
    found += [f"has {name}" for name in names if not name.startswith(("fastconv/", "fastconv-"))]
    if sum(name.startswith("fastconv/_kernels.") and name.endswith(".so") for name in names) != 1:
        found.append("lacks the extension")
    if sum(".dist-info/licenses/" in name for name in names) != 3:
        found.append("lacks a licence")
    return found


if __name__ == "__main__":
    wheel = Path(sys.argv[1])
    for line in (lines := problems(wheel)):
        print(f"{wheel.name}: {line}")
    if not lines:
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    sys.exit(bool(lines))
