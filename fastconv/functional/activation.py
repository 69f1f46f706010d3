"""Activations, element by element. Channels-last arrays are worked on as they lie.

Where PyTorch has an argument `inplace`, it is accepted and ignored: no function overwrites its input, whose memory goes
as soon as nothing refers to it. ``visualize.plot_activations()`` draws all functions and their derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import dense, dense_like
from fastconv.autograd import as_array, needs_grad, record
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = [
    "hardtanh",
    "relu",
    "relu6",
    "scaled_tanh",
    "sigmoid",
    "tanh",
]


def elementwise(
    name: str, input: Any, x: np.ndarray, a: float = 0.0, b: float = 0.0, c: float = 0.0, from_result: bool = False
) -> Tensor:
    """Run one of ``FC_ACTIVATIONS`` (``src_c/fastconv.h``); the gradient needs the input or, if so said, the result."""
    x = dense(x)
    out = _kernels.activation(name, x, None, a, b, c)
    return _recorded(name, input, out, out if from_result else x, a, b, c) if needs_grad(input) else wrap(out)


def _recorded(name: str, input: Any, out: np.ndarray, kept: np.ndarray, a: float, b: float, c: float) -> Tensor:
    """A function of its own, because variables that a closure shares are slower."""

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = _kernels.empty_like(kept)
        _kernels.activation_grad(name, kept, dense_like(grad, kept), grad_x, a, b, c)
        return (grad_x,)

    return record(out, backward, (input,))


def relu(input: Any, inplace: bool = False) -> Tensor:
    """Return ``max(input, 0)``, element by element; NaN stays NaN.

    Derivative: 1 where the result is above 0 (and where it is NaN), else 0. The one to begin with: costs a comparison,
    and its gradient does not fade; a unit whose input is always below 0 learns nothing more.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    References
    ----------
    Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> relu([-1.0, 0.0, 2.0])
    tensor([0., 0., 2.])
    """
    x = as_array(input, "relu", "input")
    if tracing():
        return traced("relu", locals(), x.shape, x.dtype)
    return elementwise("relu", input, x, from_result=True)


def relu6(input: Any, inplace: bool = False) -> Tensor:
    """Return ``min(max(input, 0), 6)``, element by element.

    Derivative: 1 between 0 and 6, else 0. For networks that are to be quantised, such as MobileNet: the range is known.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    References
    ----------
    Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    Examples
    --------
    >>> relu6([-1.0, 2.0, 7.0])
    tensor([0., 2., 6.])
    """
    x = as_array(input, "relu6", "input")
    if tracing():
        return traced("relu6", locals(), x.shape, x.dtype)
    return elementwise("hardtanh", input, x, 0.0, 6.0)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Return `input` cut off below `min_val` and above `max_val`, element by element.

    Derivative: 1 strictly between the two, else 0. A cheap stand-in for :func:`tanh`.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    min_val, max_val : float
        The range, `min_val` at most `max_val`.
    inplace : bool
        Ignored.

    Examples
    --------
    >>> hardtanh([-2.0, 0.5, 2.0])
    tensor([-1. ,  0.5,  1. ])
    """
    x = as_array(input, "hardtanh", "input")
    low, high = checks.number(min_val, "hardtanh", "min_val"), checks.number(max_val, "hardtanh", "max_val")
    if low > high:
        raise ValueError(f"hardtanh: min_val must be at most max_val, got {min_val!r} and {max_val!r}")
    if tracing():
        return traced("hardtanh", locals(), x.shape, x.dtype)
    return elementwise("hardtanh", input, x, low, high)


def sigmoid(input: Any) -> Tensor:
    """Return ``s = 1 / (1 + exp(-input))``, element by element, within 4 units in the last place.

    Derivative: s (1 - s), at most 1/4. For probabilities of yes or no and for gates; between layers its gradient fades.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    tensor([0. , 0.5, 1. ])
    """
    x = as_array(input, "sigmoid", "input")
    if tracing():
        return traced("sigmoid", locals(), x.shape, x.dtype)
    return elementwise("sigmoid", input, x, from_result=True)


def tanh(input: Any) -> Tensor:
    """Return the hyperbolic tangent t, element by element, within 4 units in the last place.

    Derivative: 1 - t^2. Like :func:`sigmoid`, but around 0, which lets the next layer learn faster.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.

    Examples
    --------
    >>> tanh([-100.0, 0.0, 0.5])
    tensor([-1.    ,  0.    ,  0.4621])
    """
    x = as_array(input, "tanh", "input")
    if tracing():
        return traced("tanh", locals(), x.shape, x.dtype)
    return elementwise("tanh", input, x, from_result=True)


def scaled_tanh(input: Any) -> Tensor:
    """Return ``1.7159 tanh(2 input / 3)``, element by element.

    Derivative: 2/3 (1.7159 - out^2 / 1.7159). LeNet-5's: it is 1 at 1 and -1 at -1, and inputs of variance 1 give
    outputs of variance about 1.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> scaled_tanh([-1.0, 0.0, 1.0])
    tensor([-1.,  0.,  1.])
    """
    x = as_array(input, "scaled_tanh", "input")
    if tracing():
        return traced("scaled_tanh", locals(), x.shape, x.dtype)
    return elementwise("scaled_tanh", input, x, 1.7159, 2 / 3, 1 / 1.7159, from_result=True)
