"""Figures: what they show, and that they can be saved."""

import subprocess
import sys

import numpy as np
import pytest

from fastconv.errors import MissingExtraError, ShapeError
from fastconv.training import EpochRecord, History
from fastconv.visualize import confusion_matrix, learning_curve, misclassified

PNG = b"\x89PNG\r\n\x1a\n"
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def history(epochs, test=0.9):
    return History([EpochRecord(e, 1 / e, 1 - 0.5 / e, 1.1 / e, test, 0.1, 1e4, 1.0) for e in range(1, epochs + 1)])


def size(path):
    data = path.read_bytes()
    assert data.startswith(PNG)
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_learning_curve_has_both_splits(tmp_path):
    figure = learning_curve(history(5), tmp_path / "curve.png")
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["train", "test"]
        assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2, 3, 4, 5]] * 2
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), 90)
    width, height = size(tmp_path / "curve.png")
    assert 800 < width < 2000
    assert 300 < height < 1000


def test_learning_curve_without_validation_or_with_one_epoch():
    figure = learning_curve(history(1, test=np.nan))
    assert [line.get_label() for line in figure.axes[1].lines] == ["train"]
    with pytest.raises(ValueError, match="at least one epoch"):
        learning_curve(History())


@pytest.mark.parametrize("wrong", [0, 1, 9, 200])
@pytest.mark.parametrize("classes", [None, CLOTHES])
def test_misclassified_shows_the_wrong_ones(tmp_path, wrong, classes):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(300, 28, 28), dtype=np.uint8), rng.integers(10, size=300)
    predictions = labels.copy()
    predictions[50 : 50 + wrong] = (labels[50 : 50 + wrong] + 1) % 10
    figure = misclassified(images, labels, predictions, classes, path=tmp_path / "m.png")
    (axes,) = figure.axes
    assert figure.texts[0].get_text().startswith(f"{wrong} of 300 misclassified")
    picture = axes.images[0].get_array()
    assert picture.count() == min(wrong, 40) * 28 * 28
    if wrong:
        drawn = picture[:28, (~picture[0].mask).nonzero()[0][:28]]
        np.testing.assert_array_equal(drawn, images[50])
        assert len(axes.texts) == 2 * min(wrong, 40)
        names = classes or [str(i) for i in range(10)]
        assert [text.get_text().strip() for text in axes.texts[:2]] == [names[labels[50]], names[predictions[50]]]
    else:
        assert axes.texts[0].get_text() == "every image is right"
    assert max(size(tmp_path / "m.png")) < 2000


def test_misclassified_takes_the_shape_of_a_batch():
    figure = misclassified(np.zeros((2, 1, 8, 8), np.float32), [0, 1], [1, 1])
    assert figure.axes[0].images[0].get_array().count() == 64


def test_confusion_matrix_writes_every_count(tmp_path):
    figure = confusion_matrix([[8, 2], [0, 10]], ["cat", "dog"], tmp_path / "c.png")
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["10", "2", "8"]
    assert figure.axes[0].get_title() == "90.00 % correct"
    assert size(tmp_path / "c.png")


@pytest.mark.parametrize(
    "call",
    [
        lambda: misclassified(np.zeros((2, 3, 8, 8)), [0, 1], [0, 1]),
        lambda: misclassified(np.zeros((2, 8, 8)), [0, 1, 2], [0, 1]),
        lambda: confusion_matrix(np.zeros((2, 3))),
        lambda: confusion_matrix(np.zeros((0, 0))),
        lambda: confusion_matrix(np.zeros((2, 2)), ["one"]),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ShapeError):
        call()


def test_nothing_global_is_touched():
    code = """
import sys
from fastconv.visualize import confusion_matrix
assert "matplotlib" not in sys.modules
confusion_matrix([[1]])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'matplotlib.*pip install "fastconv\[cli\]"'):
        learning_curve(history(1))
