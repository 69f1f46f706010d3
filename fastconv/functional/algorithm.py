"""Which algorithm convolutions take: asking, and having a say in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import checks
from fastconv._kernels import known_convolution
from fastconv.arrays import F32, F64
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.functional._choice import FFT, Cost, Plan, choose, cost, name_of, options
from fastconv.functional._conv2d import winograd_doubt
from fastconv.functional._convolve import plan_of
from fastconv.functional._sizes import Padding, Size
from fastconv.tensor import Tensor

__all__ = ["AlgorithmChoice", "algorithm_of", "algorithm_options"]


@dataclass(frozen=True)
class AlgorithmChoice:
    """What :func:`algorithm_of` tells.

    Attributes
    ----------
    algorithm : str
        "direct", "winograd", "fft" or "im2col".
    tile : int or None
        Outputs along each axis of a tile of Winograd's F(tile, kernel).
    reason : str
        Why this one.
    packed_bytes : int
        Size of the weights in the form that its kernels read; a Parameter keeps them until the next write to it.
    scratch_bytes : int
        Working memory while it runs, with the current number of threads.
    """

    algorithm: str
    tile: int | None
    reason: str
    packed_bytes: int
    scratch_bytes: int

    def __str__(self) -> str:
        size = f"{self.packed_bytes:,} bytes of packed weights, {self.scratch_bytes:,} of working memory"
        return f"{self.algorithm}: {self.reason} ({size})"


def algorithm_of(
    input: Any,
    weight: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    output_padding: Size = 0,
    transposed: bool = False,
    algorithm: str = "auto",
    dtype: Any = np.float32,
) -> AlgorithmChoice:
    """Tell by which algorithm a convolution's value is computed, and why; nothing is computed.

    Parameters
    ----------
    input, weight : Tensor, array_like or tuple of int
        As for :func:`fastconv.functional.conv2d`, or their shapes. Weights of three, four or five axes stand for
        conv1d, conv2d and conv3d.
    stride, padding, dilation, groups, padding_mode, output_padding
        As there; `output_padding` only if `transposed`.
    transposed : bool
        Whether it is conv_transpose1d, 2d or 3d.
    algorithm : str
        What is asked for.
    dtype : numpy.dtype
        float32 or float64, where only shapes are given.

    Returns
    -------
    AlgorithmChoice
        Its algorithm, the reason, and the memory it needs. With autotune, what timing has found, once such a
        convolution has been computed.

    Raises
    ------
    ShapeError, TypeError, ValueError
        As the convolution itself does.

    Examples
    --------
    >>> choice = algorithm_of((1, 64, 56, 56), (64, 64, 3, 3), padding=1)
    >>> choice.algorithm, choice.tile, choice.packed_bytes
    ('winograd', 4, 594432)
    >>> algorithm_of((1, 64, 56, 56), (64, 64, 3, 3), stride=2, padding=1).reason
    'the stride is not 1'
    """
    (shape, given), (weight_shape, _) = (_shape(input, "input", dtype), _shape(weight, "weight", dtype))
    count = len(weight_shape) - 2
    if count not in (1, 2, 3):
        raise ShapeError(f"algorithm_of: weight must have 3, 4 or 5 axes, got shape {weight_shape}")
    op = f"conv_transpose{count}d" if transposed else f"conv{count}d"
    where: tuple = (stride, padding, dilation, groups, padding_mode)
    if transposed:
        where = (stride, padding, output_padding, groups, dilation)
    arguments = (op, shape, weight_shape, where, algorithm)
    plan = known_convolution(arguments) or plan_of(arguments, count, transposed)
    tile = choose(op, plan, algorithm, given)
    needs = cost(plan, tile, given)
    return AlgorithmChoice(
        name_of(tile), tile if tile in (2, 3, 4) else None, _reason(plan, tile, algorithm, given, needs), *needs
    )


def _shape(value: Any, argument: str, dtype: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array, or of what a tuple of ints stands for."""
    if isinstance(value, tuple) and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in value):
        if dtype not in (F32, F64):
            raise TypeError(f"algorithm_of: dtype must be float32 or float64, got {dtype!r}")
        return tuple(int(n) for n in value), F32 if dtype == F32 else F64
    array = as_array(value if isinstance(value, Tensor) else np.asarray(value), "algorithm_of", argument)
    return array.shape, array.dtype


def _reason(plan: Plan, tile: int, algorithm: str, dtype: np.dtype, needs: Cost) -> str:
    chosen = options.options
    if algorithm != "auto":
        return "it was named"
    if tile != plan.tile:
        if chosen.autotune:
            return "it was the fastest when they were timed"
        name = name_of(plan.tile)
        if chosen.exact:
            return f"exact=True rules {name} out"
        before = sum(cost(plan, plan.tile, dtype))
        return f"{name} needs {before} bytes of working memory, workspace={chosen.workspace} allows {sum(needs)}"
    plane = plan.conv if len(plan.conv.shape) == 4 else plan.conv.of(1)
    taps = math.prod(plane.window.kernel)
    if tile == FFT:
        return f"{taps} taps at stride 1 on a large map: transforms cost less than the products they spare"
    channels = (plane.shape[1], plane.out_shape[1])
    if tile:
        if plane.window.kernel == (3, 3):
            return "3x3 at stride 1, channels and tiles enough: 4 times fewer products"
        if plane.window.kernel == (5, 5):
            return "5x5 at stride 1, channels and tiles enough: 2.8 times fewer products"
        if plane.window.kernel == (4, 4):
            return "4x4 at stride 2, channels and tiles enough: 2.2 times fewer products"
        return f"a line of {taps} taps at stride 1, channels and tiles enough: up to 2 times fewer products"
    if min(channels) == plane.groups > 1 or taps == 1:
        return "depthwise" if taps > 1 else "a 1x1 kernel is a matrix product"
    return winograd_doubt(plane.window, channels, plane.groups) or "none of the others serves"


class algorithm_options:
    """Set what convolutions with ``algorithm="auto"`` may choose, for the whole process; undone by ``with``.

    Parameters
    ----------
    exact : bool, optional
        Rule out Winograd's algorithm and Fourier transforms, whose rounding errors are larger than those of the sum of
        products as it stands. Named, they are errors then.
    autotune : bool, optional
        Time the algorithms that serve, once for every shape, dtype, instruction set and number of threads, and keep to
        the fastest: of the value and of each gradient by itself. Results may then differ in rounding from run to run.
    workspace : int or float, optional
        The most bytes that an algorithm's packed weights and working memory may take together, ``math.inf`` without
        limit; where they take more, "auto" is "direct", and naming that algorithm is an error. "direct" is never
        ruled out.

    Arguments left out stay as they are. At the start nothing is exact or timed, and there is no limit.

    Examples
    --------
    >>> with algorithm_options(exact=True):
    ...     algorithm_of((1, 64, 56, 56), (64, 64, 3, 3), padding=1).algorithm
    'direct'
    >>> algorithm_of((1, 64, 56, 56), (64, 64, 3, 3), padding=1).algorithm
    'winograd'
    """

    def __init__(
        self, *, exact: bool | None = None, autotune: bool | None = None, workspace: float | None = None
    ) -> None:
        self._before = options.options
        given: dict[str, Any] = {}
        for name, value in (("exact", exact), ("autotune", autotune)):
            if value is not None:
                if not isinstance(value, (bool, np.bool_)):
                    raise TypeError(f"algorithm_options: {name} must be True or False, got {value!r}")
                given[name] = bool(value)
        if workspace is not None:
            limited = workspace != math.inf
            given["workspace"] = checks.number(workspace, "algorithm_options", "workspace", 0) if limited else math.inf
        options.set(self._before._replace(**given))

    def __enter__(self) -> algorithm_options:
        return self

    def __exit__(self, *exception: object) -> None:
        options.set(self._before)
