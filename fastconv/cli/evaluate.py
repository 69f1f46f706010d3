"""``fastconv evaluate``: the test data through the network of a run."""

from __future__ import annotations

from pathlib import Path

import click

from fastconv.cli.common import evaluation_json, limited, note, print_evaluation, print_json, test_loader
from fastconv.data import load_dataset
from fastconv.errors import DataError
from fastconv.training import Checkpoint, Run, evaluate

__all__ = ["command"]


@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Choice(["digits", "mnist", "fashion-mnist"]),
    help="Another data set than the one it was trained on.",
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder with the IDX files, if not where it was.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use only the first N test images.")
def command(run: Path, data: str | None, root: Path | None, limit: int | None, seed: int, as_json: bool) -> None:
    """Measure the network of RUN on test data.

    RUN is a folder that `fastconv train` made, or the safetensors file in it.
    """
    folder = Run.open(run)
    checkpoint = Checkpoint.load(folder.weights)
    if root is None and data in (None, checkpoint.data):
        settings = folder.read_config().get("settings")
        kept = settings.get("root") if isinstance(settings, dict) else None
        root = Path(kept) if isinstance(kept, str) else None
    dataset = limited(load_dataset(data or checkpoint.data, root, "test"), limit)
    if dataset.classes != checkpoint.classes:
        raise DataError(f"{run} knows other classes than {dataset.name}: {', '.join(checkpoint.classes)}")
    trained = f"{checkpoint.name} after {checkpoint.epoch} epochs on {checkpoint.data}"
    note(f"{trained}; {len(dataset):,} test images of {dataset.name}")
    result = evaluate(checkpoint.model, test_loader(dataset, checkpoint))
    if as_json:
        print_json(
            {
                "run": str(folder.folder),
                "model": checkpoint.name,
                "data": dataset.name,
                "epochs": checkpoint.epoch,
                **evaluation_json(result, checkpoint.classes),
            }
        )
    else:
        print_evaluation(result, checkpoint.classes)
