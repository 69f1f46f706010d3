"""Which algorithm computes a convolution: the one named, the one that rules of thumb or timing find best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv import _kernels
from fastconv._kernels import active_isa
from fastconv.functional import _conv2d, _conv3d
from fastconv.functional._conv2d import IM2COL
from fastconv.functional._fft import FFT, serves
from fastconv.parameter import Parameter

__all__ = ["ALGORITHMS", "IM2COL", "Cost", "Options", "Plan", "choose", "cost", "name_of", "options", "preferred"]

ALGORITHMS = ("auto", "direct", "im2col", "winograd", "fft")
_REPEATS = 3


class Options(NamedTuple):
    """What :class:`fastconv.algorithm_options` sets."""

    exact: bool = False
    autotune: bool = False
    workspace: float = math.inf


class _Current:
    """The options of the process, and whether they are other than at the start: hot paths ask for that only."""

    options = Options()
    altered = False

    def set(self, options: Options) -> None:
        self.options = options
        self.altered = options != Options()


options = _Current()


class Cost(NamedTuple):
    """Bytes that an algorithm needs: of weights in its own form, which a Parameter keeps, and while it runs."""

    packed: int
    scratch: int


class Plan:
    """How to compute a convolution of given shapes and options.

    `conv` is its geometry, or for a transposed convolution that of the one whose adjoint it is; `in_shape` and
    `out_shape` are the shapes that kernels see, `result` the shape the caller sees; `lifted` if they differ, by unit
    axes. `tile` stands for the algorithm. `fleeting` says that packed weights are not worth keeping if they are used
    once, as in training; `input_tile` is what the input's gradient goes by under "auto". `memory` holds what has been
    found out about it.
    """

    __slots__ = (
        *("bias_shape", "conv", "fleeting", "in_shape", "input_tile", "lifted", "memory", "out_shape", "product"),
        *("result", "shape", "tile", "transposed", "weight_shape"),
    )

    def __init__(
        self, conv: Any, shape: tuple[int, ...], weight_shape: tuple[int, ...], transposed: bool, tile: int
    ) -> None:
        self.conv = conv
        self.shape = shape
        self.weight_shape = weight_shape
        self.transposed = transposed
        self.tile = tile
        self.in_shape, self.out_shape = (conv.out_shape, conv.shape) if transposed else (conv.shape, conv.out_shape)
        self.fleeting = tile > 0 and len(conv.shape) == 4 and _kernels.winograd_fleeting(conv, tile, transposed, True)
        flat = len(conv.shape) == 4 and not transposed
        self.input_tile = IM2COL if flat and _conv2d.columns_pay(conv, tile) else tile
        self.lifted = shape != self.in_shape
        self.bias_shape = self.out_shape[1:2]
        self.result = self.out_shape
        if self.lifted:
            count = len(weight_shape) - 2
            self.result = (*shape[: -count - 1], *self.bias_shape, *self.out_shape[-count:])
        # (conv, tile, input, weights, bias, the weights' Parameter) -> value
        self.product: Any = self._engine.adjoint if transposed else self._engine.product
        self.memory: dict[Any, Any] = {}

    @property
    def _engine(self) -> Any:
        return _conv2d if len(self.in_shape) == 4 else _conv3d

    def grad_input(self, tile: int, grad: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of the input."""
        if self.transposed:
            return self._engine.product(self.conv, tile, grad, w, None, None)
        return self._engine.grad_input(self.conv, tile, grad, w)

    def grad_weight(self, tile: int, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Return the gradient of the weights."""
        return self._engine.grad_weight(self.conv, tile, *((grad, x) if self.transposed else (x, grad)))

    def channel_sum(self, grad: np.ndarray) -> np.ndarray:
        """Return the gradient of the bias."""
        return self._engine.channel_sum(grad)


def preferred(op: str, conv: Any, algorithm: str, transposed: bool) -> int:
    """Return what stands for the algorithm that is named or, of "auto", for that of the rule of thumb."""
    if algorithm == "auto":
        return conv.winograd_tile
    if algorithm == "direct":
        return 0
    if algorithm == "im2col":
        if conv.groups != 1 or len(conv.shape) != 4 or transposed:
            raise ValueError(f'{op}: algorithm "im2col" serves conv1d and conv2d of groups=1 only')
        return IM2COL
    if algorithm == "fft":
        if len(conv.shape) != 4 or not serves(conv):
            raise ValueError(f'{op}: algorithm "fft" serves stride and dilation 1, one or two axes, at most 65536 taps')
        return FFT
    if algorithm != "winograd":
        raise ValueError(f"{op}: algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    tiles = _winograd_tiles(conv)
    if not tiles:
        what = "3x3 and 5x5 kernels, rows and columns of 3 to 25 taps, of stride 1, and 4x4 kernels of stride 2"
        raise ValueError(f'{op}: algorithm "winograd" serves {what} only')
    return tiles[0]


def _winograd_tiles(conv: Any) -> list[int]:
    plane = conv if len(conv.shape) == 4 else conv.of(1)
    return [tile for tile in (4, 3, 2) if _kernels.winograd_serves(plane, tile)]


def name_of(tile: int) -> str:
    """Return the name of an algorithm."""
    return {0: "direct", IM2COL: "im2col", FFT: "fft"}.get(tile, "winograd")


def cost(plan: Plan, tile: int, dtype: np.dtype) -> Cost:
    """Return what an algorithm needs for the value: found by a run of the kernels in which they compute nothing."""
    conv = plan.conv
    if tile == IM2COL:
        row = math.prod(conv.weight_shape[1:]) * dtype.itemsize
        return Cost(conv.weight_shape[0] * row, conv.shape[0] * math.prod(conv.out_shape[2:]) * row)
    n, c, *size = plan.in_shape
    x, w = np.moveaxis(np.empty((n, *size, c), dtype), -1, 1), np.empty(conv.weight_shape, dtype)
    weight = Parameter(np.empty(0, dtype))
    scratch = _kernels.scratch_needed(lambda: plan.product(conv, tile, x, w, None, weight))
    return Cost(sum(packed.nbytes for _, packed in weight.cache.values()), scratch)


def choose(
    op: str,
    plan: Plan,
    algorithm: str,
    dtype: np.dtype,
    direction: str = "value",
    run: Callable[[int], Any] | None = None,
    weight: Any = None,
) -> int:
    """Return the algorithm for the value or the gradient of "input" or "weight" under the options that are set.

    ``run(tile)`` computes it, for "auto" to be timed; what timing finds is kept for the same ISA and threads. Forms of
    the Parameter `weight` that were made for the sake of timing are forgotten.

    Raises
    ------
    ValueError
        If the algorithm is named and the options rule it out.
    """
    chosen = options.options
    found = (chosen, direction, dtype, active_isa(), _kernels.get_num_threads())
    tile = plan.memory.get(found)
    if tile is not None:
        return tile
    doubt = _ruled_out(plan, plan.tile, dtype, chosen)
    if algorithm != "auto":
        if doubt:
            raise ValueError(f"{op}: algorithm {algorithm!r} {doubt}, as set by algorithm_options")
        tile = plan.tile
    elif chosen.autotune and run is not None and plan.in_shape[0]:
        tile = _fastest([t for t in _served(plan, direction) if not _ruled_out(plan, t, dtype, chosen)], run)
        if type(weight) is Parameter:
            weight.cache.clear()
    else:
        tile = 0 if doubt else plan.tile
        if chosen.autotune:
            return tile  # not timed yet
    plan.memory[found] = tile
    return tile


def _served(plan: Plan, direction: str) -> list[int]:
    """The algorithms that may be the fastest, direct convolution first."""
    conv = plan.conv
    served = [0, *_winograd_tiles(conv), *([FFT] if len(conv.shape) == 4 and serves(conv) else [])]
    if direction == "input" and conv.groups == 1 and len(conv.shape) == 4 and not plan.transposed:
        served.append(IM2COL)
    if direction != "weight":
        return served
    *_, height, width = plan.weight_shape  # the gradient of a line of weights has no tiles
    return [tile for tile in served if tile == 0 or (tile in (3, 4) and height == width)]


def _ruled_out(plan: Plan, tile: int, dtype: np.dtype, chosen: Options) -> str:
    """Say why the options rule an algorithm out; nothing if they do not. Direct convolution always remains."""
    if tile == 0:
        return ""
    if chosen.exact and tile != IM2COL:
        return "is ruled out by exact=True"
    if chosen.workspace < math.inf:
        needs = sum(cost(plan, tile, dtype))
        if needs > chosen.workspace:
            return f"needs {needs} bytes of working memory, more than workspace={chosen.workspace}"
    return ""


def _fastest(tiles: list[int], run: Callable[[int], Any]) -> int:
    """Time algorithms in turns and return the one whose best time is least."""
    best = dict.fromkeys(tiles, math.inf)
    if len(tiles) > 1:
        for tile in tiles:
            run(tile)
        for _ in range(_REPEATS):
            for tile in tiles:
                start = time.perf_counter()
                run(tile)
                best[tile] = min(best[tile], time.perf_counter() - start)
    return min(tiles, key=best.__getitem__)
