"""Trains a residual network and its plain twin alike, and draws both curves: what shortcuts are for.

    python examples/residual_against_plain.py --root FOLDER

FOLDER has Fashion-MNIST's four IDX files. Both networks get the same initial scheme, images, order, learning rates and
number of steps; they differ in the shortcuts alone (He et al., "Deep residual learning for image recognition", CVPR
2016, section 4.2: at 56 layers the plain network has the higher training loss). On two cores this takes a good while:
--limit 6000 gives a first impression.
"""

import argparse
import csv
from pathlib import Path

from fastconv.data import DataLoader, Normalize, load_dataset
from fastconv.lr_scheduler import OneCycleLR
from fastconv.models import create
from fastconv.optim import SGD
from fastconv.training import History, fit
from fastconv.visualize.style import BLUE, ORANGE, finish, new_figure, tidy


def main() -> None:
    """Train both, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", required=True, help="folder with Fashion-MNIST's IDX files")
    parser.add_argument("--depth", type=int, choices=(20, 56), default=56)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--limit", type=int, help="use only the first images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("residual_against_plain"), help="name of the .png and .csv")
    options = parser.parse_args()
    histories = {name: train(f"{name}{options.depth}", options) for name in ("resnet", "plain")}
    draw(histories, options)
    write(histories, options.out.with_suffix(".csv"))
    last = {name: history[-1].train_loss for name, history in histories.items()}
    print(f"training loss at the end: residual {last['resnet']:.4f}, plain {last['plain']:.4f}")


def train(name: str, options: argparse.Namespace) -> History:
    """Train one of them; everything but the network is the same for both."""
    images, tests = (load_dataset("fashion-mnist", options.root, split) for split in ("train", "test"))
    if options.limit:
        images, tests = images[: options.limit], tests[: options.limit]
    normalize = Normalize.fit(images)
    loader = DataLoader(images, options.batch_size, shuffle=True, transform=normalize, seed=options.seed)
    model = create(name, len(images.classes), in_channels=1, rng=options.seed)
    optimizer = SGD(model.parameters(), options.lr, 0.9, weight_decay=1e-4, nesterov=True)
    scheduler = OneCycleLR(optimizer, options.lr, total_steps=options.epochs * len(loader), cycle_momentum=False)
    print(f"{name}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters")
    return fit(
        model,
        loader,
        DataLoader(tests, 500, transform=normalize),
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=options.epochs,
        on_epoch=lambda record: print(
            f"  epoch {record.epoch}: training loss {record.train_loss:.4f}, test accuracy {record.test_accuracy:.2%}"
        ),
    )


def draw(histories: dict[str, History], options: argparse.Namespace) -> None:
    """Draw training losses (lines) and test losses (dashes), as high as the former reach.

    A plain network's first test loss may be a hundred times as high: its batch norms have seen little.
    """
    figure = new_figure(6, 4)
    axes = figure.add_axes((0.11, 0.13, 0.86, 0.77))
    for (name, history), colour in zip(histories.items(), (BLUE, ORANGE), strict=True):
        epochs = [record.epoch for record in history]
        for split, style in (("train", "o-"), ("test", "--")):
            losses = [getattr(record, f"{split}_loss") for record in history]
            axes.plot(epochs, losses, style, color=colour, label=f"{name}{options.depth}, {split}")
    axes.legend(frameon=False, fontsize=9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    title = f"With and without shortcuts, {options.depth} layers"
    top = 1.15 * max(record.train_loss for history in histories.values() for record in history)
    tidy(axes, title=title, xlabel="epoch", ylabel="loss", ylim=(0, top))
    finish(figure, options.out.with_suffix(".png"))


def write(histories: dict[str, History], path: Path) -> None:
    """Write the losses as a table."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("network", "epoch", "train_loss", "test_loss", "test_accuracy"))
        for name, history in histories.items():
            rows.writerows((name, r.epoch, r.train_loss, r.test_loss, r.test_accuracy) for r in history)


if __name__ == "__main__":
    main()
