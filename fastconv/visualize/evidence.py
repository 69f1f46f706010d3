"""What a unit of a network sees of an image, and what a decision rests on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import checks
from fastconv.autograd import enable_grad
from fastconv.errors import ShapeError, require
from fastconv.graph import receptive_field as fields_of
from fastconv.graph.trace import evaluating
from fastconv.layers import Module
from fastconv.tensor import Tensor
from fastconv.visualize._pictures import batch, canvas, picture_of
from fastconv.visualize.style import ORANGE, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["activation_map", "grad_cam", "receptive_field"]


def receptive_field(
    model: Module,
    layer: str,
    position: tuple[int, int],
    image: Any = None,
    path: str | os.PathLike[str] | None = None,
    *,
    shown: Any = None,
) -> Figure:
    """Draw, on an image, what one element of a layer's maps sees.

    Parameters
    ----------
    model : Module
        The network.
    layer : str
        Path of a layer or block.
    position : (int, int)
        Row and column of the element.
    image : array_like, optional
        (C, H, W) or (1, C, H, W), grey or in colour; or a shape, for a drawing without an image. By default the shape
        that a network of `fastconv.models` was designed for.
    path : str or path-like, optional
        Where to save a PNG file.
    shown : numpy.ndarray of uint8, (H, W, 3) or (H, W), optional
        What to draw in place of the image, such as `Preprocessing.fitted` makes: normalised, or with blue first, an
        image does not look as it should.

    Returns
    -------
    matplotlib.figure.Figure
        A box around what is seen, dashed where that goes beyond the image, and a mark at its centre.

    Raises
    ------
    ShapeError
        When the image does not fit the network.
    ValueError
        When there is no such layer.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> from fastconv.layers import Conv2d, Sequential
    >>> figure = receptive_field(Sequential(Conv2d(1, 4, 3), Conv2d(4, 4, 3)), "1", (5, 7), (1, 28, 28))
    >>> figure.texts[0].get_text()
    '1, element (5, 7): sees 5 x 5 pixels, 1 from one to the next'
    """
    if image is None:
        image = getattr(model, "image_shape", None)
    if isinstance(image, tuple) and all(isinstance(n, (int, np.integer)) for n in image):
        drawn = np.full((*image[-2:], 3), 0.93)
        shape = tuple(image)
    else:
        x = batch(image, "receptive_field", model)
        drawn, shape = picture_of(x, shown, "receptive_field"), x.shape
    found = fields_of(model, shape, layer)
    rows, columns = found.box(tuple(checks.integer(n, "receptive_field", "position", 0) for n in position))
    height, width = drawn.shape[:2]
    sides = " x ".join(str(n) for n in found.size)
    title = f"{layer}, element ({', '.join(map(str, position))}): "
    if found.jump[0] is None:
        title += f"sees the image whole, {sides} pixels"
    else:
        title += f"sees {sides} pixels, {' x '.join(dict.fromkeys(f'{n:g}' for n in found.jump))} from one to the next"
    left, right = min(columns[0], 0.0), max(columns[1], float(width))
    top, bottom = min(rows[0], 0.0), max(rows[1], float(height))
    pad = 0.03 * max(right - left, bottom - top)
    figure, axes = canvas(title, (right - left + 2 * pad) / (bottom - top + 2 * pad))
    axes.imshow(drawn, extent=(0, width, height, 0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    veil = np.zeros((height, width, 4))
    veil[..., :3], veil[..., 3] = 1, 0.55
    inside = [slice(max(0, round(low)), max(0, round(high))) for low, high in (rows, columns)]
    veil[inside[0], inside[1], 3] = 0
    axes.imshow(veil, extent=(0, width, height, 0), interpolation="nearest")
    patches: Any = require("matplotlib.patches", "cli")
    size = columns[1] - columns[0], rows[1] - rows[0]
    beyond = rows[0] < 0 or columns[0] < 0 or rows[1] > height or columns[1] > width
    style = {"fill": False, "edgecolor": ORANGE, "linewidth": 1.8}
    axes.add_patch(patches.Rectangle((columns[0], rows[0]), *size, linestyle="--" if beyond else "-", **style))
    clipped = [max(columns[0], 0.0), max(rows[0], 0.0), min(columns[1], width), min(rows[1], height)]
    axes.add_patch(
        patches.Rectangle((clipped[0], clipped[1]), clipped[2] - clipped[0], clipped[3] - clipped[1], **style)
    )
    axes.plot(sum(columns) / 2, sum(rows) / 2, marker="+", color=ORANGE, markersize=11, markeredgewidth=1.8)
    axes.set(xlim=(left - pad, right + pad), ylim=(bottom + pad, top - pad))
    return finish(figure, path)


def activation_map(
    model: Module, image: Any, target: int | None = None, layer: str | None = None
) -> tuple[np.ndarray, int]:
    """Return where in an image the evidence for a class lies, by Grad-CAM.

    The maps of a layer are added up, each weighted by the mean of the gradient of the class's score with respect to it;
    what speaks against the class is left out.

    Parameters
    ----------
    model : Module
        A classifier; it is run in evaluation mode and left in the mode it was in.
    image : array_like
        (C, H, W) or (1, C, H, W), normalised as the network expects it.
    target : int, optional
        Number of the class; by default the one with the highest score.
    layer : str, optional
        Path of a layer or block whose results are maps; by default the last.

    Returns
    -------
    numpy.ndarray, int
        Values of 0 or above, (H_layer, W_layer), and the number of the class.

    References
    ----------
    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017.
    """
    x = batch(image, "grad_cam", model)
    modules = dict(model.named_modules())
    if layer is None:
        known = fields_of(model, x.shape)
        spatial = [name for name, field in known.items() if name in modules and None not in field.jump]
        if not spatial:
            raise ValueError("grad_cam: no layer of this network makes maps")
        layer = spatial[-1]
    if layer not in modules:
        raise ValueError(f"grad_cam: no layer {layer!r}; there are {', '.join(filter(None, modules))}")
    leaves: list[Tensor] = []

    def cut(module: Module, given: Any, result: Any) -> Tensor:
        """Go on from a leaf with the same values, which gets a gradient."""
        leaves.append(Tensor(result.data, requires_grad=True))
        return leaves[-1]

    with evaluating(model), enable_grad(), modules[layer].register_forward_hook(cut):
        scores = model(Tensor(x))
    if not leaves or leaves[-1].ndim != 4 or scores.ndim != 2:
        raise ShapeError(f"grad_cam: layer {layer!r} must make maps and the network scores (1, K)")
    if target is None:
        target = int(scores.data.argmax())
    if checks.integer(target, "grad_cam", "target", 0) >= scores.shape[1]:
        raise ShapeError(f"grad_cam: target must be below {scores.shape[1]}, the number of classes, got {target}")
    before = [(parameter, parameter.grad) for parameter in model.parameters()]
    chosen = np.zeros(scores.shape, scores.dtype)
    chosen[0, target] = 1
    scores.backward(chosen)
    for parameter, grad in before:
        parameter.grad = grad
    leaf = leaves[-1]
    slopes = np.zeros_like(leaf.data) if leaf.grad is None else leaf.grad.data
    return np.maximum((leaf.data * slopes.mean(axis=(2, 3), keepdims=True)).sum(axis=1)[0], 0), target


def grad_cam(
    model: Module,
    image: Any,
    target: int | None = None,
    layer: str | None = None,
    classes: Sequence[str] | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    shown: Any = None,
) -> Figure:
    """Draw an image beside where in it the evidence for a class lies; see :func:`activation_map`.

    Parameters
    ----------
    model : Module
        A classifier.
    image : array_like
        (C, H, W) or (1, C, H, W), normalised as the network expects it.
    target : int, optional
        Number of the class; by default the one with the highest score.
    layer : str, optional
        Path of a layer or block whose results are maps; by default the last.
    classes : sequence of str, optional
        Names of the classes.
    path : str or path-like, optional
        Where to save a PNG file.
    shown : numpy.ndarray of uint8, (H, W, 3) or (H, W), optional
        What to draw in place of the image, such as `Preprocessing.fitted` makes: normalised, or with blue first, an
        image does not look as it should.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError, ValueError
        When image, layer or class do not fit the network.
    MissingExtraError
        When Matplotlib is not installed.
    """
    drawn = picture_of(batch(image, "grad_cam", model), shown, "grad_cam")
    heat, number = activation_map(model, image, target, layer)
    height, width = drawn.shape[:2]
    name = str(number) if classes is None else classes[number]
    figure, axes = canvas(f"Evidence for {name}", (2 * width + 0.05 * width) / height)
    right = 1.05 * width
    for left in (0.0, right):
        axes.imshow(drawn, extent=(left, left + width, height, 0), cmap="gray", vmin=0, vmax=1)
    strength = heat / (heat.max() or 1)
    axes.imshow(
        strength,
        extent=(right, right + width, height, 0),
        cmap="inferno",
        alpha=0.6,
        vmin=0,
        vmax=1,
        interpolation="bilinear",
    )
    axes.set(xlim=(0, right + width), ylim=(height, 0))
    return finish(figure, path)
