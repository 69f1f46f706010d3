"""The activation functions and their derivatives, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import functional as F
from fastconv.tensor import Tensor
from fastconv.visualize.style import BLUE, GREY, ORANGE, finish, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_activations"]

ACTIVATIONS: dict[str, Callable[[Any], Tensor]] = {
    "ReLU": F.relu,
    "ReLU6": F.relu6,
    "LeakyReLU": lambda x: F.leaky_relu(x, 0.1),
    "PReLU": lambda x: F.prelu(x, np.full(1, 0.25)),
    "RReLU, in evaluation": F.rrelu,
    "ELU": F.elu,
    "SELU": F.selu,
    "CELU, alpha 2": lambda x: F.celu(x, 2.0),
    "Softplus": F.softplus,
    "GELU": F.gelu,
    "SiLU": F.silu,
    "Mish": F.mish,
    "Hardswish": F.hardswish,
    "Hardsigmoid": F.hardsigmoid,
    "Sigmoid": F.sigmoid,
    "Hardtanh": F.hardtanh,
    "Tanh": F.tanh,
    "Scaled tanh": F.scaled_tanh,
    "Maxout of x, -x/2, x/2 + 1": lambda x: F.maxout(F.stack([x, x * -0.5, x * 0.5 + 1.0], 1), 3)[:, 0],
    "Softmax of x and 0": lambda x: F.softmax(F.stack([x, F.mul(x, 0.0)], 1), 1)[:, 0],
    "Log-softmax of x and 0": lambda x: F.log_softmax(F.stack([x, F.mul(x, 0.0)], 1), 1)[:, 0],
}


def plot_activations(
    path: str | os.PathLike[str] | None = None,
    *,
    functions: Mapping[str, Callable[[Any], Any]] | None = None,
    limit: float = 7.0,
) -> Figure:
    """Draw activation functions with their derivatives, which are computed by backpropagation.

    Parameters
    ----------
    path : str or path-like, optional
        Where to save a PNG file.
    functions : mapping of str to callable, optional
        Titles, and functions from a Tensor to one of the same shape; if left out, all that there are.
    limit : float
        From minus this to this.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_activations(functions={"ReLU": F.relu, "Tanh": F.tanh})
    >>> [axes.get_title() for axes in figure.axes]
    ['ReLU', 'Tanh']
    """
    chosen = dict(ACTIVATIONS if functions is None else functions)
    if not chosen:
        raise ValueError("plot_activations: functions must name at least one, got none")
    columns = min(5, len(chosen))
    rows = -(-len(chosen) // columns)
    height = 2.1 * rows + 0.6
    figure = new_figure(2.6 * columns, height)
    figure.subplots_adjust(
        left=0.17 / columns,
        right=1 - 0.03 / columns,
        bottom=0.6 / height,
        top=1 - 0.3 / height,
        wspace=0.22,
        hspace=0.42,
    )
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes[len(chosen) :]:
        axes.remove()
    x = np.linspace(-limit, limit, 401)
    for axes, (title, function) in zip(all_axes, chosen.items(), strict=False):
        given = Tensor(x, requires_grad=True)
        value = function(given)
        value.backward(np.ones_like(x))
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.axvline(0, color=GREY, linewidth=0.6)
        axes.plot(x, value.detach().numpy(), color=BLUE, linewidth=1.8, label="value")
        slope = given.grad.numpy()  # type: ignore[union-attr]
        jumps = np.abs(np.diff(slope)) > 0.1  # not to be joined by a line
        axes.plot(x, np.where(np.append(jumps, False), np.nan, slope), color=ORANGE, linewidth=1.4, label="derivative")
        tidy(axes, title=title, xlim=(-limit, limit), ylim=(-2, 3))
        axes.title.set_size(9)
        axes.tick_params(labelsize=7)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", ncols=2, frameon=False, fontsize=9)
    return finish(figure, path)
