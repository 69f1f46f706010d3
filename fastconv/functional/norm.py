"""Normalisation: of every channel over the batch, of groups of channels of every image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.functional._normalise import After, normalise
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced, tracing

__all__ = ["batch_norm", "group_norm", "instance_norm"]


def batch_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    residual: Any = None,
    activation: Any = None,
) -> Tensor:
    """Return ``(input - mean) / sqrt(var + eps) * weight + bias`` with a mean and variance for each channel.

    While training they are those of the batch, and what `running_mean` and `running_var` keep moves a little towards
    them (the variance kept is the unbiased one); otherwise they are what has been kept.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C) or (N, C, ...) with up to three axes of pixels; float32 or float64. (0,) is an empty batch without
        channels.
    running_mean, running_var : Tensor or numpy.ndarray, optional
        (C,), of the dtype of `input`; overwritten while training. Needed when not training.
    weight, bias : Tensor or array_like, optional
        (C,), of the dtype of `input`; 1 and 0 if left out.
    training : bool
        Whether to normalise by the batch.
    momentum : float
        Share of the batch in the new running values.
    eps : float
        Added to the variance.
    residual : Tensor or array_like, optional
        Of the shape and dtype of `input`: added to the result before it is stored.
    activation : {"relu", "relu6"} or (float, float), optional
        What is done to the result last: it is held above 0, between 0 and 6, or between two numbers. Neither this nor
        the sum, nor their gradients, read or write memory once more.

    Returns
    -------
    Tensor
        Of the shape of `input`; images are channels last.

    Raises
    ------
    ShapeError
        If shapes do not fit, or there is one value a channel, which has no variance.
    TypeError
        If dtypes differ, or running values that are to be overwritten cannot be.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization", ICML 2015.

    Examples
    --------
    >>> batch_norm([[1.0], [3.0]], training=True, eps=0)
    tensor([[-1.],
            [ 1.]])
    """
    x = as_array(input, "batch_norm", "input")
    channels = 0 if x.shape == (0,) else _channels("batch_norm", x)
    eps = checks.number(eps, "batch_norm", "eps", 0.0)
    momentum = checks.number(momentum, "batch_norm", "momentum")
    kept = _kept("batch_norm", x, channels, running_mean, running_var, training)
    parameters = parameters_of("batch_norm", x, (channels,), weight, bias)
    count = x.size // max(channels, 1)
    if not training and (kept[0] is None or kept[1] is None):
        raise ValueError("batch_norm: without training=True it needs running_mean and running_var")
    if training and count == 1:
        raise ShapeError(
            f"batch_norm: training needs more than one value per channel, got input of shape {x.shape}; "
            "use a larger batch, or eval()"
        )
    after = After.of("batch_norm", x, residual, activation)
    if tracing():
        return traced("batch_norm", locals(), x.shape, x.dtype)
    inputs = (input, weight, bias)
    if not training:
        return normalise(inputs, x, parameters, np.array(kept, np.float64), channels, False, eps, True, after)
    moments = np.empty((2, channels))
    out = normalise(inputs, x, parameters, moments, channels, False, eps, after=after)
    if count:
        _keep(kept, moments, count, momentum)
    return out


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return :func:`batch_norm` of every image by itself: contrast and brightness no longer matter.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, ...) with one to three axes of pixels; float32 or float64.
    running_mean, running_var : Tensor or numpy.ndarray, optional
        (C,): moved towards the mean over the images of their means and variances, where given and `use_input_stats`;
        used instead of the images' own without it.
    weight, bias : Tensor or array_like, optional
        (C,), of the dtype of `input`.
    use_input_stats : bool
        Whether to normalise by the images' own moments.
    momentum : float
        Share of this input in the new running values.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If shapes do not fit, or images have a single pixel.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016.

    Examples
    --------
    >>> instance_norm([[[1.0, 3.0]], [[10.0, 30.0]]], eps=0)
    tensor([[[-1.,  1.]],
    <BLANKLINE>
            [[-1.,  1.]]])
    """
    x = as_array(input, "instance_norm", "input")
    checks.ndim(x, (3, 4, 5), "instance_norm", "input", "(N, C, ...)")
    channels = _channels("instance_norm", x)
    eps = checks.number(eps, "instance_norm", "eps", 0.0)
    momentum = checks.number(momentum, "instance_norm", "momentum")
    kept = _kept("instance_norm", x, channels, running_mean, running_var, use_input_stats)
    parameters = parameters_of("instance_norm", x, (channels,), weight, bias)
    count = math.prod(x.shape[2:])
    if not use_input_stats and (kept[0] is None or kept[1] is None):
        raise ValueError("instance_norm: without use_input_stats=True it needs running_mean and running_var")
    if use_input_stats and count < 2:
        raise ShapeError(
            f"instance_norm: it needs more than one pixel an image, got input of shape {x.shape}; "
            "use larger images, or a GroupNorm, which takes single pixels"
        )
    if tracing():
        return traced("instance_norm", locals(), x.shape, x.dtype)
    inputs = (input, weight, bias)
    if not use_input_stats:
        return normalise(inputs, x, parameters, np.array(kept, np.float64), channels, False, eps, fixed=True)
    moments = np.empty((2, len(x) * channels))
    out = normalise(inputs, x, parameters, moments, channels, True, eps)
    if len(x):
        _keep(kept, moments.reshape(2, -1, channels).mean(axis=1), count, momentum)
    return out


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Return `input` normalised with a mean and a variance for each group of channels of each image.

    It does not depend on the batch: for batches too small for :func:`batch_norm`. One group is layer normalisation of
    images, as many groups as channels :func:`instance_norm`.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C) or (N, C, ...) with up to three axes of pixels; float32 or float64.
    num_groups : int
        Groups of adjacent channels, of equal size.
    weight, bias : Tensor or array_like, optional
        (C,), of the dtype of `input`; 1 and 0 if left out.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If shapes do not fit or `num_groups` does not divide C.

    References
    ----------
    Wu and He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> group_norm([[1.0, 3.0, 10.0, 30.0]], 2, eps=0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    x = as_array(input, "group_norm", "input")
    channels = _channels("group_norm", x)
    groups = checks.integer(num_groups, "group_norm", "num_groups")
    eps = checks.number(eps, "group_norm", "eps")
    if channels % groups:
        raise ShapeError(
            f"group_norm: num_groups {groups} must divide the channels of an input of shape {x.shape}; "
            f"num_groups={math.gcd(groups, channels)} would fit"
        )
    parameters = parameters_of("group_norm", x, (channels,), weight, bias)
    if tracing():
        return traced("group_norm", locals(), x.shape, x.dtype)
    return normalise((input, weight, bias), x, parameters, np.empty((2, len(x) * groups)), groups, True, eps)


def _channels(op: str, x: np.ndarray) -> int:
    checks.ndim(x, (2, 3, 4, 5), op, "input", "(N, C, ...)")
    if x.shape[1] == 0:
        raise ShapeError(f"{op}: input must have at least one channel, got shape {x.shape}")
    return x.shape[1]


def parameters_of(op: str, x: np.ndarray, shape: tuple[int, ...], weight: Any, bias: Any) -> list[np.ndarray | None]:
    """Weight and bias of the given shape and of the dtype of `x`, in C order."""
    found: list[np.ndarray | None] = []
    for name, value in (("weight", weight), ("bias", bias)):
        array = None if value is None else as_array(value, op, name)
        if array is not None and array.shape != shape:
            raise ShapeError(
                f"{op}: {name} must have shape {shape} for an input of shape {x.shape}, got {array.shape}; "
                "make the layer for as many channels as the input has"
            )
        if array is not None:
            checks.same_dtype(op, x, "input", array, name)
        found.append(None if array is None else np.ascontiguousarray(array))
    return found


def _kept(op: str, x: np.ndarray, channels: int, mean: Any, var: Any, written: bool) -> list[np.ndarray | None]:
    """The arrays behind running values: the caller's own where they are to be written."""
    found: list[np.ndarray | None] = []
    for name, value in (("running_mean", mean), ("running_var", var)):
        array = None if value is None else array_of(value, f"{op}: {name}")
        found.append(array)
        if array is None:
            continue
        if array.shape != (channels,):
            raise ShapeError(f"{op}: {name} must have shape {(channels,)}, one a channel, got {array.shape}")
        checks.same_dtype(op, x, "input", array, name)
        own = value.data if isinstance(value, Tensor) else value
        ours = isinstance(own, np.ndarray) and own.flags.writeable and np.may_share_memory(own, array)
        if written and channels and not ours:
            raise TypeError(f"{op}: {name} is overwritten, so it must be a Buffer or a writable array")
    return found


def _keep(kept: Sequence[np.ndarray | None], moments: np.ndarray, count: int, momentum: float) -> None:
    """Move running values towards the moments of `count` values each, the variance towards the unbiased one."""
    with np.errstate(all="ignore"):
        for array, found in zip(kept, (moments[0], moments[1] * (count / (count - 1))), strict=True):
            if array is not None:
                array[...] = (1 - momentum) * array + momentum * found
