"""How well a classifier does on data it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.autograd import no_grad
from fastconv.layers import Module
from fastconv.metrics import confusion_matrix

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What a classifier said about a data set.

    Attributes
    ----------
    loss : float
        Mean over the images.
    labels, predictions : numpy.ndarray of int64, (N,)
        The true class and the one with the highest score, in the order of the data.
    num_classes : int
        Number of scores an image.

    Examples
    --------
    >>> result = Evaluation(0.1, np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    >>> round(result.accuracy, 3)
    0.667
    >>> result.confusion_matrix()
    array([[1, 0],
           [1, 1]])
    """

    loss: float
    labels: np.ndarray
    predictions: np.ndarray
    num_classes: int

    @property
    def correct(self) -> int:
        """Number of images whose prediction is right."""
        return int((self.labels == self.predictions).sum())

    @property
    def accuracy(self) -> float:
        """Share of images whose prediction is right, 0 .. 1."""
        return self.correct / len(self.labels)

    def confusion_matrix(self) -> np.ndarray:
        """Count images by true class (row) and predicted class (column): int64 (K, K)."""
        return confusion_matrix(self.labels, self.predictions, self.num_classes)


def evaluate(model: Module, loader: Iterable[Any], *, loss: Callable[[Any, Any], Any] = F.cross_entropy) -> Evaluation:
    """Run a classifier over labelled images, without a tape and in evaluation mode.

    Parameters
    ----------
    model : Module
        Takes images (N, C, H, W), returns scores (N, K). Its mode is the same afterwards.
    loader : iterable
        Yields pairs of images and labels (N,), such as a `fastconv.data.DataLoader`.
    loss : callable
        From scores and labels to a Tensor with one number, the mean over the batch.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        When there are no images, or a label is out of range.

    Examples
    --------
    >>> from fastconv.layers import Flatten
    >>> scores = np.array([[5.0, 0.0], [0.0, 5.0]], np.float32)
    >>> evaluate(Flatten(), [(scores, np.array([0, 1]))]).accuracy
    1.0
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    total, labels, predictions, classes = 0.0, [], [], 0
    try:
        with no_grad():
            for images, truth in loader:
                scores = model(images)
                total += loss(scores, truth).item() * len(truth)
                labels.append(np.asarray(truth, np.int64))
                predictions.append(scores.data.argmax(axis=1))
                classes = scores.shape[1]
    finally:
        for module, mode in modes:
            module.training = mode
    count = sum(map(len, labels))
    if not count:
        raise ValueError("evaluate: there are no images")
    return Evaluation(total / count, np.concatenate(labels), np.concatenate(predictions), classes)
