"""Top-k accuracy and confusion matrices."""

import numpy as np
import pytest

from fastconv import Tensor, metrics
from fastconv.errors import ShapeError
from tests.helpers import randn


@pytest.mark.parametrize("k", [1, 2, 5])
def test_topk_accuracy(k):
    scores, labels = randn(200, 5), np.random.default_rng(1).integers(0, 5, 200)
    best = np.argsort(-scores, axis=1)[:, :k]
    assert metrics.topk_accuracy(Tensor(scores), labels, k) == (best == labels[:, None]).any(1).mean()


def test_equal_scores_and_nan():
    assert metrics.topk_accuracy(np.zeros((3, 4)), [0, 1, 2], k=2) == 2 / 3
    scores = np.array([[np.nan, 1.0, 0.0], [np.nan, 1.0, 0.0]])
    assert metrics.topk_accuracy(scores, [0, 1], k=1) == 0
    assert metrics.topk_accuracy(scores, [0, 1], k=2) == 0.5
    assert np.isnan(metrics.topk_accuracy(np.zeros((0, 3)), np.zeros(0, np.int64), k=1))


def test_confusion_matrix():
    labels, scores = np.array([0, 2, 2, 1]), np.eye(4)[[0, 2, 1, 1]]
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(metrics.confusion_matrix(labels, scores), expected)
    np.testing.assert_array_equal(metrics.confusion_matrix(labels, [0, 2, 1, 1]), np.array(expected)[:3, :3])
    assert metrics.confusion_matrix(labels, [0, 2, 1, 1], 10).sum() == 4
    assert metrics.confusion_matrix([], []).shape == (0, 0)


def test_wrong_arguments():
    with pytest.raises(ShapeError, match="k must be at most the number of classes, 3, got 4"):
        metrics.topk_accuracy(np.zeros((2, 3)), [0, 1], k=4)
    with pytest.raises(ShapeError, match="scores must be"):
        metrics.topk_accuracy(np.zeros(3), [0])
    with pytest.raises(ShapeError, match="labels must be"):
        metrics.topk_accuracy(np.zeros((2, 3)), [0], k=1)
    for bad in (-1, 3):
        with pytest.raises(ValueError, match=f"labels must be from 0 to 2, got {bad}"):
            metrics.topk_accuracy(np.zeros((2, 3)), [0, bad], k=1)
    with pytest.raises(TypeError, match="labels must be integer"):
        metrics.topk_accuracy(np.zeros((2, 3)), np.zeros(2), k=1)
    with pytest.raises(ShapeError, match="as many"):
        metrics.confusion_matrix([0, 1], [0])
    with pytest.raises(ValueError, match="predictions must be from 0 to 1, got 2"):
        metrics.confusion_matrix([0, 1], [0, 2], 2)
