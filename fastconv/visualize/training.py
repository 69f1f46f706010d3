"""How a training went: its curve, its mistakes, its confusions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.errors import ShapeError
from fastconv.visualize.style import BLUE, GREY, INK, ORANGE, finish, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastconv.training import EpochRecord

__all__ = ["confusion_matrix", "learning_curve", "misclassified"]


def learning_curve(history: Iterable[EpochRecord], path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw loss and accuracy over the epochs, for training and test data.

    Parameters
    ----------
    history : History or iterable of EpochRecord
        At least one epoch. Test values may be NaN: those curves are left out.
    path : str or path-like, optional
        Where to save a PNG file.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When there is no epoch.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> from fastconv.training import EpochRecord
    >>> figure = learning_curve([EpochRecord(1, 0.5, 0.8, 0.4, 0.9, 0.01, 2e4, 0.4)])
    >>> [axes.get_title() for axes in figure.axes]
    ['Loss', 'Accuracy']
    """
    records = list(history)
    if not records:
        raise ValueError("learning_curve: history must hold at least one epoch, got none")
    figure = new_figure(9, 3.6)
    figure.subplots_adjust(left=0.07, right=0.985, bottom=0.14, top=0.9, wspace=0.18)
    epochs = [record.epoch for record in records]
    for axes, quantity, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True):
        for split, colour in (("train", BLUE), ("test", ORANGE)):
            values = scale * np.array([getattr(record, f"{split}_{quantity}") for record in records])
            if np.isfinite(values).any():
                axes.plot(epochs, values, color=colour, linewidth=1.8, marker="o", markersize=3.5, label=split)
        axes.legend(frameon=False, fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
        tidy(axes, title=quantity.capitalize(), xlabel="epoch", xmargin=0.03)
    figure.axes[0].set(ylabel="loss", ylim=(0, None))
    figure.axes[1].set(ylabel="correct, %")
    accuracy = records[-1].test_accuracy
    if np.isfinite(accuracy):
        figure.axes[1].annotate(
            f"{100 * accuracy:.2f} %",
            (epochs[-1], 100 * accuracy),
            xytext=(0, -14),
            textcoords="offset points",
            ha="right",
            color=ORANGE,
            size=9,
            weight="bold",
        )
    return finish(figure, path)


def misclassified(
    images: Any,
    labels: Any,
    predictions: Any,
    classes: Sequence[str] | None = None,
    limit: int = 40,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the images whose prediction is wrong, each with its label and what was seen in it.

    Parameters
    ----------
    images : array, (N, 1, H, W) or (N, H, W)
        Grey images of any numeric type; the largest value is drawn black, as ink on paper.
    labels, predictions : array of int, (N,)
        The true and the predicted class of each image.
    classes : sequence of str, optional
        Names of the classes; the numbers themselves when left out.
    limit : int
        Draw at most so many, the first ones.
    path : str or path-like, optional
        Where to save a PNG file.

    Returns
    -------
    matplotlib.figure.Figure
        A figure that says so when every image is right.

    Raises
    ------
    ShapeError
        When the three arrays do not go together.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> figure = misclassified(np.eye(28)[None], [3], [5])
    >>> figure.texts[0].get_text()
    '1 of 1 misclassified'
    """
    images, labels, predictions = np.asarray(images), np.asarray(labels), np.asarray(predictions)
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim != 3 or not labels.shape == predictions.shape == images.shape[:1]:
        raise ShapeError(
            "misclassified: images must be (N, 1, H, W) or (N, H, W) with N labels and N predictions, got "
            f"{images.shape}, {labels.shape} and {predictions.shape}"
        )
    wrong = np.flatnonzero(labels != predictions)
    shown = wrong[:limit]
    names = [str(i) for i in range(1 + max(labels.max(initial=0), predictions.max(initial=0)))]
    names = list(classes) if classes is not None else names
    title = f"{len(wrong):,} of {len(labels):,} misclassified"
    if len(shown) < len(wrong):
        title += f", the first {len(shown)}"
    columns = 4 if max(map(len, names)) > 3 else 8  # long names need room
    rows = max(1, -(-len(shown) // columns))
    height, width = images.shape[1:]
    cell_height, cell_width = round(height * 1.45), round(width * (1.25 if columns == 8 else 2.3))
    # One picture with all of them in their places: an axes an image would take a second to draw.
    picture = np.full((rows * cell_height, columns * cell_width), np.nan)
    scale = 8 / picture.shape[1]
    figure = new_figure(8, scale * picture.shape[0] + 0.45)
    axes = figure.add_axes((0, 0, 1, scale * picture.shape[0] / figure.get_figheight()))
    axes.axis("off")
    figure.text(0.02, 1 - 0.16 / figure.get_figheight(), title, va="top", size=11, weight="bold", color=INK)
    for word, x, colour in (("true", 0.89, BLUE), ("predicted", 0.98, ORANGE)) if len(shown) else ():
        figure.text(x, 1 - 0.17 / figure.get_figheight(), word, va="top", ha="right", size=9, color=colour)
    for place, index in enumerate(shown):
        row, column = place // columns * cell_height, place % columns * cell_width
        left = column + (cell_width - width) // 2
        picture[row : row + height, left : left + width] = images[index]
        for name, side, colour in ((names[labels[index]], "right", BLUE), (names[predictions[index]], "left", ORANGE)):
            text = f"{name} " if side == "right" else f" {name}"
            axes.text(column + cell_width / 2, row + height + 2, text, ha=side, va="top", size=9, color=colour)
    axes.imshow(picture, cmap="gray_r", extent=(0, picture.shape[1], picture.shape[0], 0), interpolation="nearest")
    if not len(shown):
        axes.text(picture.shape[1] / 2, cell_height / 2, "every image is right", ha="center", color=GREY)
    return finish(figure, path)


def confusion_matrix(
    matrix: Any, classes: Sequence[str] | None = None, path: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw a confusion matrix: a row a true class, a column a predicted one.

    Parameters
    ----------
    matrix : array of int, (K, K)
        Counts, as `fastconv.training.Evaluation.confusion_matrix` returns them.
    classes : sequence of str, optional
        Names of the classes; the numbers themselves when left out.
    path : str or path-like, optional
        Where to save a PNG file.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        When ``matrix`` is not square, or ``classes`` does not fit it.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> figure = confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"])
    >>> figure.axes[0].get_title()
    '95.00 % correct'
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not len(counts):
        raise ShapeError(f"confusion_matrix: matrix must be square, (K, K), got {counts.shape}")
    names = list(classes) if classes is not None else [str(i) for i in range(len(counts))]
    if len(names) != len(counts):
        raise ShapeError(f"confusion_matrix: {len(names)} classes for a matrix of {len(counts)}")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inches, longest = 0.42 * len(counts), max(map(len, names))
    left, bottom = 0.6 + 0.08 * longest, 0.55 + 0.055 * longest
    width, height = inches + left + 0.15, inches + bottom + 0.35
    figure = new_figure(width, height)
    axes = figure.add_axes((left / width, bottom / height, inches / width, inches / height))
    # The square root makes a handful of errors visible beside hundreds of hits.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.3 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", size=8, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=0 if max(map(len, names)) < 4 else 45)
    axes.set_yticks(range(len(names)), names)
    accuracy = 100 * np.trace(counts) / max(counts.sum(), 1)
    tidy(axes, title=f"{accuracy:.2f} % correct", xlabel="predicted", ylabel="true")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return finish(figure, path)
