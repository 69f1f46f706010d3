"""Running the command line inside this process, and one trained run for all tests."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import pytest

from fastconv.cli import main

ROOT = Path(__file__).parents[1]


class Outcome(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


def fastconv(*arguments):
    """Run a command; it must end with an exit status."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    return Outcome(exit.value.code or 0, out.getvalue(), err.getvalue())


RUNS = []  # at most one, although each module that imports the fixture has its own


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run after two epochs on all digits."""
    if not RUNS:
        folder = tmp_path_factory.mktemp("runs") / "digits"
        outcome = fastconv("train", "lenet5", "--epochs", 2, "--no-augment", "--out", folder)
        assert outcome.status == 0, outcome.err
        RUNS.append(folder)
    return RUNS[0]
