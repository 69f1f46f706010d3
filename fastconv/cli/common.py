"""Where text goes, and what several commands need."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastconv.data import DataLoader, Dataset
from fastconv.errors import FastconvError, MissingExtraError
from fastconv.training import Checkpoint, Evaluation

__all__ = [
    "confusion_table",
    "evaluation_json",
    "fail",
    "limited",
    "note",
    "print_evaluation",
    "print_json",
    "require_extras",
    "stderr",
    "stdout",
    "test_loader",
]


LONGEST = 600  # characters of an error: the keys of a network that do not fit would fill a screen


def stdout() -> Console:
    """Return the console for results: 80 columns wide when that is not a terminal."""
    return Console(highlight=False)


def stderr() -> Console:
    """Return the console for progress."""
    return Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Say something on standard error."""
    click.echo(text, err=True)


def print_json(document: Any) -> None:
    """Print the one document of a command with ``--json``; JSON has no NaN, it becomes null."""
    finite = json.loads(json.dumps(document), parse_constant=lambda name: None)
    click.echo(json.dumps(finite, indent=2))


def fail(error: Exception) -> str:
    """Print the one line that says what went wrong, and return what it says."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    elif not isinstance(error, (FastconvError, OSError, ValueError)):
        text = f"{type(error).__name__}: {text} (--debug shows where)"
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ... (--debug shows all)"
    note(f"fastconv: error: {text}")
    return text


def require_extras(*modules: str) -> None:
    """Fail now, not after the training, when an optional package is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(f'this needs {module}, which is not installed: pip install "fastconv[cli]"')


def limited(dataset: Dataset, limit: int | None) -> Dataset:
    """Return the first images of a data set."""
    return dataset if limit is None else dataset[:limit]


def test_loader(dataset: Dataset, checkpoint: Checkpoint) -> DataLoader:
    """Return a loader for evaluation: in order, in large batches."""
    return DataLoader(dataset, 500 if checkpoint.size is None else 50, transform=checkpoint.transform)


def evaluation_json(result: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """Return the keys that `train` and `evaluate` have in common."""
    return {
        "test": {
            "accuracy": result.accuracy,
            "cross_entropy": result.loss,
            "correct": result.correct,
            "images": len(result.labels),
        },
        "classes": list(classes),
        "confusion_matrix": result.confusion_matrix().tolist(),
    }


def print_evaluation(result: Evaluation, classes: Sequence[str]) -> None:
    """Print accuracy and confusion matrix to standard output."""
    console = stdout()
    console.print(
        f"Test accuracy {100 * result.accuracy:.2f} % ({result.correct:,} of {len(result.labels):,} images), "
        f"cross entropy {result.loss:.4f}\n\nConfusion matrix: a row a true class, a column a predicted one"
    )
    console.print(confusion_table(result.confusion_matrix(), classes))


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> Table:
    """Lay out a confusion matrix, a row a true class: at most 80 columns for ten classes."""
    named = any(name != str(number) for number, name in enumerate(classes))
    table = Table(box=None, pad_edge=False)
    table.add_column("", style="bold")
    for number in range(len(classes)):
        table.add_column(str(number), justify="right", header_style="bold")
    table.add_column("correct", justify="right")
    for number, (name, row) in enumerate(zip(classes, matrix.tolist(), strict=True)):
        cells = [
            Text(str(count) if count else ".", "green" if column == number else "bold red" if count else "dim")
            for column, count in enumerate(row)
        ]
        share = f"{100 * row[number] / sum(row):.1f} %" if sum(row) else "-"
        table.add_row(Text(f"{number} {name}" if named else name), *cells, share)
    return table
