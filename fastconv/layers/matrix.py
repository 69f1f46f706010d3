"""Convolution and pooling as the matrices that they are, for small images.

So a small network can be written out as the fully connected one that it is equivalent to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.autograd import no_grad
from fastconv.errors import ShapeError, require
from fastconv.functional._window import windows
from fastconv.layers.container import Sequential
from fastconv.layers.convert import as_linear, dtype_of, evaluating, pointwise, steps
from fastconv.layers.learned_pool import TrainablePool1d
from fastconv.layers.linear import Linear
from fastconv.layers.module import Module
from fastconv.layers.pool import MaxPool2d
from fastconv.layers.rectifier import PReLU
from fastconv.layers.shape import Flatten
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["LargestOf", "conv2d_to_matrix", "pool2d_to_matrix", "to_fully_connected"]


def conv2d_to_matrix(layer: Module, input_shape: tuple[int, int, int]) -> tuple[Any, np.ndarray]:
    """Return a convolution as the sparse matrix that it is; needs SciPy.

    Parameters
    ----------
    layer : Conv2d
        Or any layer that computes sums.
    input_shape : tuple of int
        (C, H, W) of the image; small ones: the layer is applied to each of C H W unit images.

    Returns
    -------
    matrix : scipy.sparse.csr_array
        (C_out * H_out * W_out, C * H * W): ``matrix @ image.ravel() + offset`` is the raveled result.
    offset : numpy.ndarray
        The bias of every element.

    Raises
    ------
    MissingExtraError
        Without SciPy.
    TypeError
        If the layer does not compute sums.
    """
    sparse = require("scipy.sparse", "sparse")
    dtype = dtype_of(layer)
    parts = [sparse.csr_array(part) for part in _columns(layer, tuple(input_shape), dtype)]
    matrix = sparse.vstack(parts).T.tocsr()
    return matrix, _offset("conv2d_to_matrix", layer, tuple(input_shape), matrix, dtype)


def pool2d_to_matrix(layer: Module, input_shape: tuple[int, int, int]) -> Any:
    """Return pooling as a sparse matrix; needs SciPy.

    Parameters
    ----------
    layer : AvgPool2d, GaussianPool2d, AdaptiveAvgPool2d or MaxPool2d
        The pooling.
    input_shape : tuple of int
        (C, H, W) of the image.

    Returns
    -------
    scipy.sparse.csr_array
        ``matrix @ image.ravel()`` is the raveled result. For maximum pooling it is all elements of the first window,
        then those of the second, and so on: ``(matrix @ image.ravel()).reshape(-1, taps).max(1)`` is the result. Where
        a tap lies in the padding, the window repeats another.

    Raises
    ------
    MissingExtraError
        Without SciPy.
    """
    if not isinstance(layer, MaxPool2d):
        return conv2d_to_matrix(layer, input_shape)[0]
    sparse = require("scipy.sparse", "sparse")
    columns, _ = _places(layer, tuple(input_shape))
    return sparse.csr_array(
        (np.ones(len(columns), np.float32), columns, np.arange(len(columns) + 1)),
        (len(columns), math.prod(input_shape)),
    )


def to_fully_connected(network: Module, input_shape: tuple[int, ...]) -> Sequential:
    """Return a small network written out as the fully connected one that it is.

    What computes sums becomes a Linear, most of whose weights are 0: convolution, average pooling, batch normalisation,
    padding. Maximum pooling becomes one that lays the elements of every window side by side, and the maximum of each.
    Slopes of a PReLU are repeated for every pixel; what follows the first fully connected layer stays as it is.

    Parameters
    ----------
    network : Module
        As for :func:`fastconv.layers.convert.to_convolutional`.
    input_shape : tuple of int
        Of one input: (C, H, W).

    Returns
    -------
    Sequential
        Takes (N, C, H, W), or (N, C H W) just as well. A matrix has the product of a layer's inputs and outputs as many
        weights: this is for looking at, not for use.

    Raises
    ------
    TypeError
        If a layer is neither sums nor a function of single elements nor maximum pooling.

    Examples
    --------
    >>> from fastconv.layers import AvgPool2d, Conv2d
    >>> to_fully_connected(Sequential(Conv2d(1, 2, 3, rng=0), AvgPool2d(2), Flatten()), (1, 6, 6))
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=36, out_features=32, bias=True)
      (2): Linear(in_features=32, out_features=8, bias=True)
    )
    """
    shape, dtype = tuple(input_shape), dtype_of(network)
    layers: list[Module] = [Flatten()]
    for layer in _apart(network):
        with no_grad():
            out = evaluating(layer)(Tensor(np.zeros((1, *shape), dtype))).shape[1:]
        if isinstance(layer, Linear) or pointwise(layer):
            layers.append(layer)
        elif isinstance(layer, PReLU):
            layers.append(_repeated(layer, shape))
        elif isinstance(layer, MaxPool2d):
            columns, taps = _places(layer, shape)
            matrix = np.zeros((len(columns), math.prod(shape)), dtype)
            matrix[np.arange(len(columns)), columns] = 1
            layers += [as_linear(matrix, None), LargestOf(taps)]
        elif not isinstance(layer, Flatten):
            matrix = np.concatenate(list(_columns(layer, shape, dtype))).T
            try:
                layers.append(as_linear(matrix, _offset("to_fully_connected", layer, shape, matrix, dtype)))
            except TypeError:
                if not len(shape) == len(out) == 1:
                    raise
                layers.append(layer)  # it sees the same features in the same order
        shape = out
    return Sequential(*layers)


class LargestOf(Module):
    """The largest of every `count` neighbouring features: what maximum pooling does once its windows lie side by side.

    Parameters
    ----------
    count : int
        Elements of a window.

    Examples
    --------
    >>> LargestOf(2)([[1.0, 3.0, 5.0, 4.0]])
    tensor([[3., 5.]])
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def forward(self, input: Any) -> Tensor:
        """Return the maxima, (N, features / count)."""
        return F.amax(F.unflatten(input, 1, (-1, self.count)), -1)

    def extra_repr(self) -> str:
        return f"{self.count}"


def _apart(network: Module) -> Iterator[Module]:
    """The layers of a network, a trainable pool's activation as one of its own."""
    for layer in steps(network):
        after = getattr(layer, "activation", None)
        if isinstance(layer, TrainablePool1d) and after is not None:
            yield evaluating(layer, activation=None)
            yield after
        else:
            yield layer


def _repeated(layer: PReLU, shape: tuple[int, ...]) -> PReLU:
    """A PReLU for flattened maps of that shape: every pixel has the slope of its channel."""
    slopes = layer.weight.numpy()
    if len(slopes) == 1 or len(shape) == 1:
        return layer
    wide = PReLU(math.prod(shape))
    wide.weight = Parameter(np.repeat(slopes, math.prod(shape[1:])))
    return wide


def _columns(layer: Module, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[np.ndarray]:
    """The columns of a layer's matrix, some at a time: what it makes of unit images. Direct sums make exact zeros."""
    bias = getattr(layer, "bias", None)
    without = None if bias is None else Parameter(np.zeros_like(bias.numpy()))
    plain = evaluating(layer, algorithm="direct", bias=without)
    size = math.prod(shape)
    with no_grad():
        rest = plain(Tensor(np.zeros((1, *shape), dtype))).numpy().reshape(1, -1)
        for first in range(0, size, 64):
            count = min(64, size - first)
            units = np.eye(count, size, first, dtype).reshape(count, *shape)
            yield plain(Tensor(units)).numpy().reshape(count, -1) - rest


def _offset(op: str, layer: Module, shape: tuple[int, ...], matrix: Any, dtype: np.dtype) -> np.ndarray:
    """What a layer makes of zeros, once it is clear that the rest is a matrix."""
    x = np.random.default_rng(0).standard_normal((1, *shape)).astype(dtype)
    with no_grad():
        offset, found = (evaluating(layer)(Tensor(each)).numpy().ravel() for each in (np.zeros_like(x), x))
    expected = matrix @ x.ravel() + offset
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max(initial=1)):
        raise TypeError(f"{op}: {layer!r} does not compute sums")
    return offset


def _places(layer: MaxPool2d, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """For every window the elements of the flattened input that it sees, and how many these are."""
    where = windows(
        "max_pool2d", 2, (1, *shape), layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode
    )
    axes = []
    geometry = zip(
        shape[1:], where.out_shape[2:], where.kernel, where.stride, where.padding, where.dilation, strict=True
    )
    for n, out, kernel, stride, pad, step in geometry:
        place = np.arange(out)[:, None] * stride - pad + np.arange(kernel) * step
        inside = (place >= 0) & (place < n)
        if not inside.any(1).all():
            raise ShapeError(f"a window of {layer!r} sees nothing but padding in an image of {shape}")
        axes.append(np.where(inside, place, np.take_along_axis(place, inside.argmax(1)[:, None], 1)))
    y, x = axes
    seen = y[:, None, :, None] * shape[2] + x[None, :, None, :]
    channels = np.arange(shape[0])[:, None] * (shape[1] * shape[2])
    taps = math.prod(where.kernel)
    return (channels[:, :, None] + seen.reshape(1, -1, taps)).ravel(), taps
