"""The figure of all activations."""

import numpy as np
import pytest

from fastconv import functional as F
from fastconv.layers import activation, exponential, gated, rectifier
from fastconv.visualize import plot_activations
from fastconv.visualize.activations import ACTIVATIONS


def test_every_activation_is_drawn_with_its_derivative(tmp_path):
    figure = plot_activations(tmp_path / "activations.png")
    assert [axes.get_title() for axes in figure.axes] == list(ACTIVATIONS)
    words = " ".join(ACTIVATIONS).lower().replace(" ", "").replace("-", "")
    kinds = (activation, exponential, gated, rectifier)
    assert [name for kind in kinds for name in kind.__all__ if name.lower() not in words] == []
    assert (tmp_path / "activations.png").read_bytes().startswith(b"\x89PNG")
    for axes in figure.axes:
        lines = {line.get_label(): line for line in axes.lines}
        x, value = (np.asarray(each) for each in lines["value"].get_data())
        slope = np.asarray(lines["derivative"].get_ydata())
        numeric = np.gradient(value, x)
        smooth = np.abs(np.diff(slope, prepend=0, append=0)[:-1]) + np.abs(np.diff(slope, append=0)) < 0.05
        assert smooth.sum() > 300, axes.get_title()
        np.testing.assert_allclose(slope[smooth], numeric[smooth], atol=0.02)


def test_functions_of_ones_own():
    figure = plot_activations(functions={"square": lambda x: x * x, "ReLU": F.relu}, limit=2)
    assert [axes.get_title() for axes in figure.axes] == ["square", "ReLU"]
    assert figure.axes[0].get_xlim() == (-2, 2)
    with pytest.raises(ValueError, match="at least one"):
        plot_activations(functions={})
