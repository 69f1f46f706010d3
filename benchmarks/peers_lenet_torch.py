"""`fastconv train lenet5` as a PyTorch user would write it, to compare the time from start to report.

    python benchmarks/peers_lenet_torch.py --out /tmp/torch-run       # needs torch and matplotlib, not fastconv

Same digits and split, network, batches, epochs, augmentation, optimiser, schedule, evaluation after every epoch and
report: weights, history, learning curve, misclassified digits, accuracy and confusion matrix. What a good PyTorch
script does to be quick is done: the data is one tensor, batches are indexed, not collated; a batch is augmented by one
`grid_sample`; evaluation runs in inference mode; Matplotlib is imported at the end.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path
from time import perf_counter

START = perf_counter()

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

DIGITS = Path(__file__).parents[1] / "fastconv" / "data" / "digits.npz"
TRAIN = 8000


def lenet5() -> nn.Sequential:
    """The network of `fastconv.models.lenet5`."""
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    features += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    classifier = [nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    model = nn.Sequential(*features, *classifier)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        else:
            nn.init.zeros_(parameter)
    return model


def augment(images: torch.Tensor) -> torch.Tensor:
    """Turn by up to 10 degrees, shift by up to 2 pixels, scale by up to a tenth: each image by its own."""
    n = len(images)
    angle, factor, x, y = torch.rand(4, n).mul_(2).sub_(1)
    angle, factor = torch.deg2rad(10 * angle), 1 + 0.1 * factor
    cos, sin, shift = torch.cos(angle) / factor, torch.sin(angle) / factor, 2 * 2 / 28
    theta = torch.stack([cos, sin, shift * x, -sin, cos, shift * y], dim=1).view(n, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def evaluate(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the mean loss and the predictions."""
    model.eval()
    with torch.inference_mode():
        scores = torch.cat([model(part) for part in images.split(500)])
        return F.cross_entropy(scores, labels, label_smoothing=0.05).item(), scores.argmax(1)


def report(out: Path, history: list[dict], images: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Write the history and the two figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with open(out / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    figure = Figure(figsize=(9, 3.6))
    FigureCanvasAgg(figure)
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split in ("train", "test"):
            axes.plot([row["epoch"] for row in history], [row[f"{split}_{quantity}"] for row in history], label=split)
        axes.set(title=quantity, xlabel="epoch")
        axes.legend()
    figure.savefig(out / "learning_curve.png", dpi=130)

    wrong = np.flatnonzero(labels != predictions)[:40]
    sheet = np.zeros((5, 40, 8, 36))
    for place, index in enumerate(wrong):
        sheet[place // 8, :28, place % 8, 4:32] = images[index]
    figure = Figure(figsize=(8, 6))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.imshow(sheet.reshape(200, 288), cmap="gray_r")
    for place, index in enumerate(wrong):
        x, y = place % 8 * 36 + 18, place // 8 * 40 + 36
        axes.text(x, y, f"{labels[index]} {predictions[index]}", ha="center", size=9)
    figure.savefig(out / "misclassified.png", dpi=130)


def main() -> None:
    """Train and report; the times go to the last line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--batch-size", type=int, default=64)
    options.add_argument("--lr", type=float, default=0.05)
    options.add_argument("--weight-decay", type=float, default=2e-3)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int)
    options.add_argument("--channels-last", action="store_true")
    a = options.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    a.out.mkdir(parents=True, exist_ok=True)

    with np.load(DIGITS) as file:
        pixels, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"]).long()
    images = pixels.unsqueeze(1).float() / 255
    mean, std = images[:TRAIN].mean(), images[:TRAIN].std()
    model = lenet5()
    if a.channels_last:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    tests, test_labels = (images[TRAIN:] - mean) / std, labels[TRAIN:]
    optimizer = torch.optim.SGD(model.parameters(), a.lr, momentum=0.9, weight_decay=a.weight_decay, nesterov=True)
    steps = a.epochs * math.ceil(TRAIN / a.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, a.lr, steps, pct_start=0.2, cycle_momentum=False)

    loop = perf_counter()
    history = []
    for epoch in range(1, a.epochs + 1):
        model.train()
        begin, total, correct = perf_counter(), 0.0, 0
        for part in torch.randperm(TRAIN).split(a.batch_size):
            batch, truth = (augment(images[part]) - mean) / std, labels[part]
            optimizer.zero_grad()
            scores = model(batch)
            loss = F.cross_entropy(scores, truth, label_smoothing=0.05)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(part)
            correct += (scores.argmax(1) == truth).sum().item()
        rate = TRAIN / (perf_counter() - begin)
        test_loss, predictions = evaluate(model, tests, test_labels)
        accuracy = (predictions == test_labels).float().mean().item()
        history.append(
            {
                "epoch": epoch,
                "train_loss": total / TRAIN,
                "train_accuracy": correct / TRAIN,
                "test_loss": test_loss,
                "test_accuracy": accuracy,
            }
        )
        torch.save(model.state_dict(), a.out / "model.pt")
        print(f"epoch {epoch}/{a.epochs}  loss {total / TRAIN:.4f}  test {100 * accuracy:.2f} %  {rate:,.0f} img/s")
    done = perf_counter()
    report(a.out, history, pixels[TRAIN:].numpy(), test_labels.numpy(), predictions.numpy())
    print(torch.bincount(test_labels * 10 + predictions, minlength=100).view(10, 10).numpy())
    end = perf_counter()
    parts = {"imports and data": loop - START, "loop": done - loop, "report": end - done, "total": end - START}
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()))


if __name__ == "__main__":
    main()
