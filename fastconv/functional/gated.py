"""Activations that multiply their input by a gate between 0 and 1, with a dip below 0; and such a gate."""

from __future__ import annotations

from typing import Any

from fastconv.autograd import as_array
from fastconv.functional.activation import elementwise
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["gelu", "hardsigmoid", "hardswish", "mish", "silu"]


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """Return ``input * P``, where P is the probability that a normal number is below `input`.

    Derivative: P + input p, with the normal density p. The usual one in transformers and in ConvNeXt.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    approximate : {"none", "tanh"}
        "tanh" takes ``P = (1 + tanh(sqrt(2 / pi) * (input + 0.044715 * input**3))) / 2``, which is off by up to 5e-4.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    Examples
    --------
    >>> gelu([-1.0, 0.0, 1.0])
    tensor([-0.1587,  0.    ,  0.8413])
    """
    x = as_array(input, "gelu", "input")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    if tracing():
        return traced("gelu", locals(), x.shape, x.dtype)
    return elementwise("gelu" if approximate == "none" else "gelu_tanh", input, x)


def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    """Return ``min(max(input + 3, 0), 6) / 6``, element by element.

    Derivative: 1/6 between -3 and 3, else 0. A gate without an exponential, as in MobileNet v3.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    Examples
    --------
    >>> hardsigmoid([-3.0, 0.0, 1.5])
    tensor([0.  , 0.5 , 0.75])
    """
    x = as_array(input, "hardsigmoid", "input")
    if tracing():
        return traced("hardsigmoid", locals(), x.shape, x.dtype)
    return elementwise("hardsigmoid", input, x)


def silu(input: Any, inplace: bool = False) -> Tensor:
    """Return ``input * sigmoid(input)``, also called swish.

    Derivative: s (1 + input (1 - s)), with s = sigmoid(input). A smooth ReLU for deep networks such as EfficientNet.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    References
    ----------
    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", 2017; Ramachandran, Zoph and Le, "Searching for
    activation functions", 2017.

    Examples
    --------
    >>> silu([-1.0, 0.0, 1.0])
    tensor([-0.2689,  0.    ,  0.7311])
    """
    x = as_array(input, "silu", "input")
    if tracing():
        return traced("silu", locals(), x.shape, x.dtype)
    return elementwise("silu", input, x)


def hardswish(input: Any, inplace: bool = False) -> Tensor:
    """Return ``input * min(max(input + 3, 0), 6) / 6``.

    Derivative: 0 below -3, input / 3 + 1/2 up to 3, 1 above. :func:`silu` without an exponential, for small devices:
    MobileNet v3's.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    References
    ----------
    Howard et al., "Searching for MobileNetV3", ICCV 2019.

    Examples
    --------
    >>> hardswish([-3.0, -1.5, 3.0])
    tensor([-0.   , -0.375,  3.   ])
    """
    x = as_array(input, "hardswish", "input")
    if tracing():
        return traced("hardswish", locals(), x.shape, x.dtype)
    return elementwise("hardswish", input, x)


def mish(input: Any, inplace: bool = False) -> Tensor:
    """Return ``input * tanh(softplus(input))``.

    Derivative: w + input (1 - w^2) sigmoid(input), with w = tanh(softplus(input)). Much like :func:`silu`; YOLOv4's.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    References
    ----------
    Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    Examples
    --------
    >>> mish([-1.0, 0.0, 1.0])
    tensor([-0.3034,  0.    ,  0.8651])
    """
    x = as_array(input, "mish", "input")
    if tracing():
        return traced("mish", locals(), x.shape, x.dtype)
    return elementwise("mish", input, x)
