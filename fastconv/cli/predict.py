"""``fastconv predict``: image files through the network of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fastconv.cli.common import fail, note, print_json, require_extras, stdout
from fastconv.cli.image import as_digit, as_picture
from fastconv.training import Checkpoint, Run

__all__ = ["command"]


@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1), metavar="N", default=5, show_default=True, help="Print so many classes.")
def command(run: Path, images: tuple[Path, ...], top: int, seed: int, as_json: bool) -> None:
    """Say what the network of RUN sees in each IMAGE.

    Images may be in colour or grey, of any size, dark on light or light on dark. What is done to make them look like
    the training data is said on standard error.
    """
    require_extras("safetensors", "PIL")
    checkpoint = Checkpoint.load(Run.open(run).weights)
    prepare = as_digit if checkpoint.data in ("digits", "mnist") else as_picture
    found: list[dict[str, Any]] = []
    failed = False
    for path in images:
        try:
            image, steps = prepare(path)
        except (OSError, ValueError, MemoryError) as error:
            found.append({"image": str(path), "error": fail(error)})
            failed = True
            continue
        note(f"{path}: {'; '.join(steps)}")
        probabilities = checkpoint.probabilities(image[None])[0]
        best = int(probabilities.argmax())
        found.append(
            {
                "image": str(path),
                "class": checkpoint.classes[best],
                "probability": float(probabilities[best]),
                "probabilities": dict(zip(checkpoint.classes, probabilities.tolist(), strict=True)),
                "steps": steps,
            }
        )
        if not as_json:
            _print(path, probabilities, checkpoint.classes, top)
    if as_json:
        print_json({"run": str(run), "predictions": found})
    if failed:
        raise click.exceptions.Exit(1)


def _print(path: Path, probabilities: np.ndarray, classes: list[str], top: int) -> None:
    table = Table(title=Text(str(path)), title_justify="left", box=None, show_header=False, pad_edge=False)
    order = np.argsort(-probabilities, kind="stable")[:top]
    for place, number in enumerate(order):
        share = float(probabilities[number])
        name = Text(classes[number], "bold green" if place == 0 else "")
        table.add_row(name, Text(f"{100 * share:6.2f} %"), ProgressBar(total=1.0, completed=share, width=40))
    stdout().print(table)
