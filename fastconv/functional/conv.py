"""Convolution in one, two and three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional._convolve import convolve
from fastconv.functional._sizes import Padding, Size
from fastconv.tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d"]


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
) -> Tensor:
    """Correlate signals (N, C, L) or (C, L) with filters (C_out, C / groups, k); see :func:`conv2d`.

    The memory of the result has the channels last, as that of :func:`conv2d`, and an input that has so is not copied.

    Examples
    --------
    >>> import numpy as np
    >>> conv1d(np.arange(5.0)[None, None], np.ones((1, 1, 3)), padding="same").numpy()[0, 0]
    array([1., 3., 6., 9., 7.])
    """
    options = (stride, padding, dilation, groups, padding_mode)
    return convolve("conv1d", 1, (input, weight, bias), options, algorithm)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
    residual: Any = None,
    activation: str | tuple[float, float] | None = None,
    out: np.ndarray | None = None,
) -> Tensor:
    """Correlate images with a bank of filters: what neural networks call a convolution.

    ``out[n, o, y, x] = bias[o] + sum over i, ky, kx of weight[o, i, ky, kx] *
    input[n, i, y * stride - before + ky * dilation, x * stride - before + kx * dilation]``, zeros outside the input;
    with `groups`, i runs over the input channels of o's group. A window thus begins `before` pixels ahead of the
    pixel ``y * stride``, whatever its size: an even kernel has no middle, and by ``padding="same"`` a 2x2 one covers a
    pixel and the next ones to the right and below, by "same_lower" those to the left and above.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, H, W) or (C, H, W), float32 or float64. Channels-last memory is used as it is, any other is converted.
    weight : Tensor or array_like
        (C_out, C / groups, kh, kw), of the input's dtype. What the kernels make of a Parameter's values is kept until
        the next write to it.
    bias : Tensor or array_like, optional
        (C_out,).
    stride, dilation : int or pair of int
        Vertical and horizontal step of the window, distance of the taps.
    padding : int, pair of int, pair of (before, after) pairs, or str
        Pixels added on every side, on the vertical and the horizontal sides, or before and after along each axis.
        "valid" adds none; "same" makes the output ceil(size / stride), adding as much after as before or one more;
        "same_lower" adds the odd one before; "full" adds all but one pixel of the window on both sides.
    groups : int
        Number of independent convolutions the channels are divided into.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is added: zeros, the image mirrored at its outermost pixels, those pixels, or the image's other side.
    algorithm : {"auto", "direct", "im2col", "winograd", "fft"}
        "direct" needs no memory beside the result. "im2col" writes all taps of all pixels to a matrix first, kh *
        kw times the input's memory; it serves groups=1 only, and "auto" takes it for the input's gradient where
        pixels are few, a few channels at a time. "winograd" multiplies up to four times less, at two to three times
        the rounding error, for the value and the input's gradient; it serves 3x3 and 5x5 kernels and rows and
        columns of 3 to 25 taps, of stride 1, dilated ones with zeros as padding, and 4x4 kernels of stride 2 with
        such padding. "fft" multiplies spectra of tiles, for the value and the input's gradient at stride and
        dilation 1; its error is relative to a tile's largest values, and the weights' spectra are many times their
        size. "auto" is "winograd" for 3x3 and 5x5 with at least 16 channels on both sides of a group and a map of
        about 14x14 (times the dilation; more of it where 3x3 has fewer than 32 channels), for rows and columns with
        at least 64, and for 4x4 of stride 2 with at least 16 channels and, in the whole batch, about 324 pixels on
        the smaller side; "fft" for kernels of more than 25 taps on maps large enough, else "direct".
        :func:`fastconv.algorithm_of` tells which it is, :class:`fastconv.algorithm_options` restricts it or has it
        found by timing.
    residual : Tensor or array_like, optional
        Of the result's shape: added to it before it is stored.
    activation : {"relu", "relu6"} or (float, float), optional
        What is done to the result last: it is held above 0, between 0 and 6, or between two numbers, all without
        another pass over memory.
    out : numpy.ndarray, optional
        Where the result goes, of its shape and dtype, channels adjacent: some channels of a wider array, for instance,
        which then holds several results side by side. Only where nothing is recorded.

    Returns
    -------
    Tensor
        (N, C_out, H_out, W_out), channels last, or (C_out, H_out, W_out);
        H_out = floor((H + before + after - dilation (kh - 1) - 1) / stride) + 1.

    Raises
    ------
    ShapeError
        If shapes do not fit, or an option is out of range.
    TypeError
        If a dtype or the type of an option is wrong.
    ValueError
        For an unknown algorithm or activation, or `out` where a gradient is wanted.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.ones((1, 1, 2, 2))).numpy()[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    options = (stride, padding, dilation, groups, padding_mode)
    inputs = (input, weight, bias)
    return convolve("conv2d", 2, inputs, options, algorithm, residual=residual, activation=activation, place=out)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
) -> Tensor:
    """Correlate volumes (N, C, D, H, W) or (C, D, H, W) with filters (C_out, C / groups, kd, kh, kw).

    All else is as in :func:`conv2d`, with three numbers or pairs for three axes. The convolution is a sum over kd of
    those of the planes, by the algorithm named; "im2col" does not serve. A padding other than zeros is a copy.

    Examples
    --------
    >>> import numpy as np
    >>> conv3d(np.ones((1, 1, 3, 3, 3)), np.ones((1, 1, 3, 3, 3)), padding=1).numpy()[0, 0, 1]
    array([[12., 18., 12.],
           [18., 27., 18.],
           [12., 18., 12.]])
    """
    options = (stride, padding, dilation, groups, padding_mode)
    return convolve("conv3d", 3, (input, weight, bias), options, algorithm)
