"""Figures of a training, made with Matplotlib (``pip install "fastconv[cli]"``).

Every function returns a `matplotlib.figure.Figure` and, given a ``path``, saves it as a PNG file.
No window, no global state: Matplotlib's ``pyplot`` is never imported.
"""

from fastconv.visualize.training import confusion_matrix, learning_curve, misclassified

__all__ = ["confusion_matrix", "learning_curve", "misclassified"]
