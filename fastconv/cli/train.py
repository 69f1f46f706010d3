"""``fastconv train``: from images to a run folder."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import click

import fastconv
from fastconv import _kernels
from fastconv import functional as F
from fastconv.cli.common import (
    evaluation_json,
    limited,
    note,
    print_evaluation,
    print_json,
    require_extras,
    stdout,
    test_loader,
)
from fastconv.cli.progress import TrainingProgress
from fastconv.data import Compose, DataLoader, Normalize, RandomAffine, load_dataset
from fastconv.errors import ShapeError
from fastconv.graph.trace import trace
from fastconv.lr_scheduler import OneCycleLR
from fastconv.models import Network, create, names
from fastconv.optim import SGD
from fastconv.threads import get_num_threads
from fastconv.training import Checkpoint, EpochRecord, Evaluation, History, NonFiniteLossError, Run, evaluate, fit
from fastconv.visualize import learning_curve, misclassified

__all__ = ["command"]

# Turns by 10 degrees, shifts by 2 pixels and scales by a tenth at most: what people's hands do anyway.
DEGREES, SHIFT, SCALE = 10, 2 / 28, (0.9, 1.1)
WARM_UP = 0.2  # share of the steps in which the learning rate rises


class Recipe(NamedTuple):
    """What a network is trained with where the command line does not say otherwise."""

    epochs: int = 3
    batch_size: int = 64
    lr: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    augment: bool = False


RECIPES = {"lenet5": Recipe(20, 64, 0.05, 2e-3, 0.05, True)}

# Sides that digits are scaled to, for networks that make nothing of 28 pixels.
SIDES = (32, 64, 96, 128, 224, 227, 299)
LABEL_PIXELS = ("fcn32s", "fcn16s", "fcn8s", "unet")
NETWORKS = [name for name in names() if name not in LABEL_PIXELS]

_NOT_SETTINGS = {"as_json", "debug", "force", "out", "threads"}


@click.argument("model", metavar="MODEL", type=click.Choice(NETWORKS))
@click.option("--variant", metavar="NAME", help="The form of the network.  [default: its first]")
@click.option("--epochs", type=click.IntRange(1, 100_000), metavar="N", help="[default: 20 for lenet5, else 3]")
@click.option("--batch-size", type=click.IntRange(1, 100_000), metavar="N", help="[default: 64]")
@click.option(
    "--lr",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Highest learning rate.  [default: 0.05 for lenet5, else 0.1]",
)
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), metavar="X", default=0.9, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(0), metavar="X", help="[default: 0.002 for lenet5, else 0.0005]")
@click.option(
    "--label-smoothing",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Share of a label that all classes get.  [default: 0.05 for lenet5, else 0]",
)
@click.option(
    "--data",
    type=click.Choice(["digits", "mnist", "fashion-mnist"]),
    default="digits",
    show_default=True,
    help="digits: 10,000 of MNIST's, shipped with fastconv.",
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder with the IDX files of mnist or fashion-mnist.")
@click.option(
    "--augment/--no-augment",
    default=None,
    help="Turn, shift and scale training images at random.  [default: for lenet5 only]",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use only the first N training and N test images.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/MODEL-DATE-TIME]")
@click.option("--force", is_flag=True, help="Write into --out even if it is not empty.")
def command(
    model: str,
    variant: str | None,
    momentum: float,
    data: str,
    root: Path | None,
    limit: int | None,
    out: Path | None,
    force: bool,
    seed: int,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train MODEL, such as lenet5 or resnet20, and leave a run folder.

    The folder holds the weights of the last finished epoch, the history of all epochs, the settings, a learning curve
    and the misclassified test images. Images are enlarged for networks that want them larger.
    """
    require_extras("safetensors", "matplotlib")
    start = perf_counter()
    recipe = RECIPES.get(model, Recipe())._replace(**{key: value for key, value in chosen.items() if value is not None})
    epochs, batch_size, lr, weight_decay, label_smoothing, augment = recipe
    train_set, test_set = (limited(load_dataset(data, root, split), limit) for split in ("train", "test"))
    normalize = Normalize.fit(train_set)
    network = create(model, len(train_set.classes), variant=variant, in_channels=1, rng=seed)
    numbers = normalize.mean[0], normalize.std[0]
    checkpoint = Checkpoint(network, model, network.variant, train_set.classes, *numbers, data, size=_side(network))
    augmentation = RandomAffine(DEGREES, (SHIFT, SHIFT), SCALE)
    transform = Compose([augmentation, checkpoint.transform]) if augment else checkpoint.transform
    loader = DataLoader(train_set, batch_size, shuffle=True, transform=transform, seed=seed)
    optimizer = SGD(network.parameters(), lr, momentum, weight_decay=weight_decay, nesterov=momentum > 0)
    steps = epochs * len(loader)
    training: dict[str, Any] = {
        "train_loader": loader,
        "validation_loader": test_loader(test_set, checkpoint),
        "optimizer": optimizer,
        "scheduler": OneCycleLR(optimizer, lr, total_steps=steps, pct_start=WARM_UP, cycle_momentum=False),
        "epochs": epochs,
        "loss": partial(F.cross_entropy, label_smoothing=label_smoothing),
    }
    config = _config(recipe)
    folder = Run.create(out, name=model, force=force)
    history = _train(checkpoint, folder, config, training)
    result = evaluate(network, training["validation_loader"])
    learning_curve(history, folder.learning_curve)
    misclassified(test_set.images, result.labels, result.predictions, test_set.classes, path=folder.misclassified)
    _report(checkpoint, folder, result, perf_counter() - start, as_json)


def _side(network: Network) -> int | None:
    """Return the side of the smallest images that `network` learns from; None for 28 pixels, which digits have."""
    for side in (None, *SIDES):
        with suppress(ShapeError):
            trace(network.train(), (2, 1, side or 28, side or 28))
            return side
    return SIDES[-1]  # whose error then says what is wrong


def _config(recipe: Recipe) -> dict[str, Any]:
    """Return what is needed to do the same again."""
    given = {**click.get_current_context().params, **recipe._asdict()}
    options = {name: value for name, value in given.items() if name not in _NOT_SETTINGS}
    return {
        "command": "train",
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "fastconv_version": fastconv.__version__,
        "isa": _kernels.active_isa(),
        "threads": get_num_threads(),
        "settings": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
    }


def _train(checkpoint: Checkpoint, folder: Run, config: dict[str, Any], training: dict[str, Any]) -> History:
    """Train, saving every epoch; say what is left of a training that ends early."""
    history = History()

    def save(record: EpochRecord) -> None:
        history.append(record)
        checkpoint.epoch = record.epoch
        folder.save(checkpoint, history, config)
        progress.on_epoch(record)

    try:
        parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
        images = len(training["train_loader"].dataset)
        enlarged = f" made {checkpoint.size} x {checkpoint.size}" if checkpoint.size else ""
        note(
            f"training {checkpoint.name}, {parameters:,} parameters, on {images:,} images of {checkpoint.data}"
            f"{enlarged}; run: {folder.folder}"
        )
        with TrainingProgress(training["epochs"], images) as progress:
            return fit(checkpoint.model, **training, on_batch=progress.on_batch, on_epoch=save)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_left(folder, history)}") from None
    except NonFiniteLossError as error:
        checkpoint.save(folder.last_good_step)
        error.args = (
            f"{error}; the weights of the last good step are in {folder.last_good_step}; {_left(folder, history)}",
        )
        raise
    finally:
        folder.discard_if_empty()


def _left(folder: Run, history: History) -> str:
    """Say what a training that ended early has left."""
    if not history or not folder.weights.exists():
        return "no epoch was finished"
    return f"the weights of epoch {Checkpoint.load(folder.weights).epoch}, the last finished, are in {folder.weights}"


def _report(checkpoint: Checkpoint, folder: Run, result: Evaluation, seconds: float, as_json: bool) -> None:
    if as_json:
        files = ("weights", "history", "config", "learning_curve", "misclassified")
        print_json(
            {
                "run": str(folder.folder),
                "files": {name: str(getattr(folder, name)) for name in files},
                "model": checkpoint.name,
                "data": checkpoint.data,
                "epochs": checkpoint.epoch,
                "seconds": round(seconds, 3),
                **evaluation_json(result, checkpoint.classes),
            }
        )
        return
    print_evaluation(result, checkpoint.classes)
    stdout().print(
        f"\nRun folder: {folder.folder}   (evaluate it: fastconv evaluate {folder.folder})",
        markup=False,
        soft_wrap=True,
    )
    note(f"took {seconds:.1f} s")
