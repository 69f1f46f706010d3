"""Figures of trainings, of networks and of activations, made with Matplotlib (``pip install "fastconv[cli]"``).

Every function returns a `matplotlib.figure.Figure` and, given a ``path``, saves it as a PNG file.
No window, no global state: Matplotlib's ``pyplot`` is never imported.
"""

from fastconv.visualize.activations import plot_activations
from fastconv.visualize.drawing import architecture
from fastconv.visualize.evidence import activation_map, grad_cam, receptive_field
from fastconv.visualize.maps import feature_maps, filters
from fastconv.visualize.training import confusion_matrix, learning_curve, misclassified

__all__ = [
    "activation_map",
    "architecture",
    "confusion_matrix",
    "feature_maps",
    "filters",
    "grad_cam",
    "learning_curve",
    "misclassified",
    "plot_activations",
    "receptive_field",
]
