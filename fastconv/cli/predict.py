"""``fastconv predict``: image files through the network of a run, or through one with weights of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fastconv.cli.common import fail, note, print_json, require_extras, stdout
from fastconv.cli.image import as_digit, as_picture, read_colour
from fastconv.models import RECIPES, load, names
from fastconv.training import Checkpoint, Run

__all__ = ["command"]


@click.argument("paths", metavar="[RUN] IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Used instead of a RUN.")
@click.option(
    "--model", type=click.Choice(names()), metavar="NAME", help="Whose weights they are, if FILE does not say."
)
@click.option("--recipe", type=click.Choice(sorted(RECIPES)), help="How to use FILE.  [default: as its names say]")
@click.option("--top", type=click.IntRange(1), metavar="N", default=5, show_default=True, help="Print so many classes.")
def command(
    paths: tuple[Path, ...],
    weights: Path | None,
    model: str | None,
    recipe: str | None,
    top: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say what the network of RUN sees in each IMAGE, or with --weights a network with those.

    Images may be in colour or grey and of any size; those for digits and clothes dark on light or light on dark. What
    is done to make them look like the training data is said on standard error. FILE is a file of fastconv's or
    PyTorch's, or one of a recipe; nothing in it is run.
    """
    require_extras("safetensors", "PIL")
    if weights is None:
        if len(paths) < 2 or model is not None or recipe is not None:
            raise click.UsageError("give a RUN and an IMAGE, or --weights and an IMAGE.")
        source, images = paths[0], paths[1:]
        look, classes = _of_run(source)
    else:
        source, images = weights, paths
        look, classes = _of_weights(weights, model, recipe)
    found: list[dict[str, Any]] = []
    failed = False
    for path in images:
        try:
            probabilities, steps = look(path)
        except (OSError, ValueError, MemoryError) as error:
            found.append({"image": str(path), "error": fail(error)})
            failed = True
            continue
        note(f"{path}: {'; '.join(steps)}")
        best = np.argsort(-probabilities, kind="stable")
        found.append(
            {
                "image": str(path),
                "class": classes[best[0]],
                "probability": float(probabilities[best[0]]),
                "probabilities": {
                    classes[n]: float(probabilities[n]) for n in (best[:top] if weights else sorted(best))
                },
                "steps": steps,
            }
        )
        if not as_json:
            _print(path, probabilities, classes, top)
    if as_json:
        print_json({"weights" if weights else "run": str(source), "predictions": found})
    if failed:
        raise click.exceptions.Exit(1)


Look = Callable[[Path], tuple[np.ndarray, list[str]]]


def _of_run(run: Path) -> tuple[Look, list[str]]:
    """Return what a run's network says of an image, and the names of its classes."""
    checkpoint = Checkpoint.load(Run.open(run).weights)
    prepare = as_digit if checkpoint.data in ("digits", "mnist") else as_picture

    def look(path: Path) -> tuple[np.ndarray, list[str]]:
        image, steps = prepare(path)
        return checkpoint.probabilities(image[None])[0], steps

    return look, checkpoint.classes


def _of_weights(weights: Path, model: str | None, recipe: str | None) -> tuple[Look, list[str]]:
    """Return the same for a file of weights."""
    pretrained = load(weights, model, recipe=recipe)
    size = pretrained.preprocessing(np.zeros((8, 8, 3), np.uint8)).shape[2:]

    def look(path: Path) -> tuple[np.ndarray, list[str]]:
        image, steps = read_colour(path)
        steps.append(f"resized and cropped to {size[1]} x {size[0]}, normalised")
        return pretrained.probabilities(image), steps

    return look, pretrained.classes


def _print(path: Path, probabilities: np.ndarray, classes: list[str], top: int) -> None:
    table = Table(title=Text(str(path)), title_justify="left", box=None, show_header=False, pad_edge=False)
    order = np.argsort(-probabilities, kind="stable")[:top]
    for place, number in enumerate(order):
        share = float(probabilities[number])
        name = Text(classes[number], "bold green" if place == 0 else "")
        table.add_row(name, Text(f"{100 * share:6.2f} %"), ProgressBar(total=1.0, completed=share, width=40))
    stdout().print(table)
