"""The commands and what they share: options, and how they fail."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

import fastconv
from fastconv.cli import bench, evaluate, info, predict, summary, train, visualize
from fastconv.cli.common import fail, note
from fastconv.threads import set_num_threads

__all__ = ["cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(fastconv.__version__, prog_name="fastconv")
def cli() -> None:
    """Train and run convolutional networks on a CPU."""


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Set up what all commands have in common, and turn failures into a line and an exit status."""

    @functools.wraps(function)
    def run(threads: int | None, debug: bool, **options: Any) -> None:
        try:
            if threads is not None:
                set_num_threads(threads)
            function(**options)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt as interruption:
            note(f"fastconv: {interruption if interruption.args else 'interrupted'}")
            sys.exit(130)
        except Exception as error:
            if debug:
                raise
            fail(error)
            sys.exit(1)

    return run


for module in (train, evaluate, predict, summary, visualize, info, bench):
    command = cli.command(module.__name__.rpartition(".")[2])(_guarded(module.command))
    command.params += [
        click.Option(
            ["--seed"],
            type=click.IntRange(0),
            default=0,
            metavar="N",
            show_default=True,
            help="Of everything random: the same seed gives the same result.",
        ),
        click.Option(
            ["--threads"], type=click.IntRange(1, 256), metavar="N", help="Threads to use.  [default: all cores]"
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document instead of text."),
        click.Option(["--debug"], is_flag=True, help="After a failure, show the traceback."),
    ]
