"""The command ``fastconv`` (``pip install "fastconv[cli]"``), from ``train`` to ``bench``.

Results go to standard output, progress and remarks to standard error. The exit status is 0, or 1 after a failure
with one line that says why, 2 for wrong usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fastconv.errors import MissingExtraError, require

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the command; that of this process when left out.
    """
    try:
        for package in ("click", "rich"):
            require(package, "cli")
    except MissingExtraError as error:
        print(f"fastconv: error: {error}", file=sys.stderr)
        sys.exit(1)
    from fastconv.cli.app import cli

    cli.main(arguments, prog_name="fastconv")
