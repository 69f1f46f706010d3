"""Transposed convolution in one, two and three dimensions: the adjoint of convolution, which makes images larger."""

from __future__ import annotations

from typing import Any

from fastconv.functional._convolve import convolve
from fastconv.functional._sizes import Size
from fastconv.tensor import Tensor

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Padding = int | tuple[int, ...] | tuple[tuple[int, int], ...]


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """Transpose the convolution of signals (N, C, L) or (C, L); see :func:`conv_transpose2d`.

    Examples
    --------
    >>> conv_transpose1d([[[1.0, 10.0]]], [[[1.0, 2.0, 3.0]]], stride=2)
    tensor([[[ 1.,  2., 13., 20., 30.]]])
    """
    options = (stride, padding, output_padding, groups, dilation)
    return convolve("conv_transpose1d", 1, (input, weight, bias), options, algorithm, transposed=True)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """Add a weighted copy of the filters to the output for every pixel of the input.

    This is the gradient of :func:`conv2d` with respect to its input, as a function of its own: where conv2d reads a
    pixel for an output, this adds to it. ``out[n, o, y * stride - padding + ky * dilation, ...] += input[n, i, y, ...]
    * weight[i, o, ky, ...]``. It is computed by phases, one for each of the stride * stride residues of an output
    pixel, as a dense convolution with the taps that reach it: no inserted zero is multiplied (see :func:`zero_insert`).

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, H, W) or (C, H, W), float32 or float64.
    weight : Tensor or array_like
        (C, C_out / groups, kh, kw), of the input's dtype.
    bias : Tensor or array_like, optional
        (C_out,).
    stride, dilation : int or pair of int
        Distance of the copies of neighbouring pixels, and of the taps of a copy.
    padding : int, pair of int, or pair of (before, after) pairs
        Pixels to leave out at the sides of the result: the padding of the convolution that this is the transpose of.
    output_padding : int or pair of int
        Rows and columns more at the end; less than the stride or the dilation.
    groups : int
        Number of independent convolutions the channels are divided into.
    algorithm : {"auto", "direct", "winograd", "fft"}
        As in :func:`conv2d`.

    Returns
    -------
    Tensor
        (N, C_out, H_out, W_out), channels last, or (C_out, H_out, W_out);
        H_out = (H - 1) stride - before - after + dilation (kh - 1) + output_padding + 1.

    Raises
    ------
    ShapeError
        If shapes do not fit, an option is out of range, or nothing is left.
    TypeError
        If a dtype or the type of an option is wrong.

    References
    ----------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285.

    Examples
    --------
    >>> conv_transpose2d([[[[1.0, 10.0]]]], [[[[1.0, 2.0], [3.0, 4.0]]]], stride=2)
    tensor([[[[ 1.,  2., 10., 20.],
              [ 3.,  4., 30., 40.]]]])
    """
    options = (stride, padding, output_padding, groups, dilation)
    return convolve("conv_transpose2d", 2, (input, weight, bias), options, algorithm, transposed=True)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """Transpose the convolution of volumes (N, C, D, H, W) or (C, D, H, W); see :func:`conv_transpose2d`.

    Examples
    --------
    >>> conv_transpose3d([[[[[1.0]]]]], [[[[[1.0, 2.0]], [[3.0, 4.0]]]]])
    tensor([[[[[1., 2.]],
    <BLANKLINE>
              [[3., 4.]]]]])
    """
    options = (stride, padding, output_padding, groups, dilation)
    return convolve("conv_transpose3d", 3, (input, weight, bias), options, algorithm, transposed=True)
