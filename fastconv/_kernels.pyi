"""Types of the binding, `_kernels.pyx`. Arrays must be aligned and hold float32 or float64, all of one type."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAX_THREADS: int
COMPILER: str

# memory layout
def empty_channels_last(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array: ...
def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array: ...
def trim() -> None: ...
def empty_like(array: Array) -> Array: ...
def channels_last(array: Array) -> Array: ...
def planes(array: Array) -> Array: ...
def interleave(x: Array, y: Array, out: Array) -> None: ...
def copy_channels(x: Array, out: Array, order: Array | None = None) -> None: ...
def combined(x: object, y: object, product: bool) -> Array | None: ...

# instruction sets and threads
def available_isas() -> list[str]: ...
def active_isa() -> str: ...
def set_isa(name: str) -> None: ...
def vector_length(dtype: npt.DTypeLike) -> int: ...
def fma_peak(dtype: npt.DTypeLike = "float32", rounds: int = 100_000) -> float: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def scratch_needed(function: Callable[[], object]) -> int: ...

# windows and convolution
PADDING_MODES: tuple[str, ...]

class Window:
    def __init__(
        self,
        batch: int,
        h: int,
        w: int,
        channels: int,
        kh: int,
        kw: int,
        out_h: int,
        out_w: int,
        stride_y: int,
        stride_x: int,
        pad_y: int,
        pad_x: int,
        dilation_y: int,
        dilation_x: int,
        padding_mode: int = 0,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int, int, int]: ...
    @property
    def out_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def kernel(self) -> tuple[int, int]: ...
    @property
    def stride(self) -> tuple[int, int]: ...
    @property
    def padding(self) -> tuple[int, int]: ...
    @property
    def dilation(self) -> tuple[int, int]: ...
    @property
    def padding_mode(self) -> int: ...
    @property
    def plain(self) -> bool: ...
    @property
    def winner_bytes(self) -> int: ...

class Conv2d:
    def __init__(
        self,
        window: Window,
        out_channels: int,
        groups: int,
        winograd_tile: int = 0,
        padded: Conv2d | None = None,
    ) -> None: ...
    @property
    def window(self) -> Window: ...
    @property
    def groups(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int, int, int]: ...
    @property
    def weight_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def out_shape(self) -> tuple[int, int, int, int]: ...
    @property
    def winograd_tile(self) -> int: ...
    @property
    def matrix_input(self) -> bool: ...
    @property
    def matrix_weight(self) -> bool: ...
    @property
    def packing(self) -> tuple[int, ...]: ...
    @property
    def adjoint_packing(self) -> tuple[int, ...]: ...
    @property
    def padded(self) -> Conv2d | None: ...

def plain_ints(a: Any, b: Any, c: Any, d: Any) -> bool: ...
def known_convolution(arguments: tuple[Any, ...]) -> Any: ...
def keep_convolution(arguments: tuple[Any, ...], convolution: Any) -> None: ...
def conv2d_pack(conv: Conv2d, weight: Array, backward: bool = False) -> Array: ...
def conv2d(
    conv: Conv2d,
    x: Array,
    packed: Array,
    bias: Array | None,
    out: Array | None = None,
    accumulate: bool = False,
    residual: Array | None = None,
    clamp: tuple[float, float] | None = None,
) -> Array: ...
def conv2d_grad_input(
    conv: Conv2d, grad: Array, packed: Array, grad_x: Array, bias: Array | None = None, accumulate: bool = False
) -> None: ...
def conv2d_matrix_grad_input(conv: Conv2d, grad: Array, weight: Array, grad_x: Array) -> bool: ...
def conv2d_columns_grad_input(conv: Conv2d, grad: Array, weight: Array, grad_x: Array) -> None: ...
def conv2d_grad_weight(conv: Conv2d, x: Array, grad: Array, grad_weight: Array, winograd: bool = False) -> None: ...
def winograd_serves(conv: Conv2d, m: int) -> bool: ...
def winograd_fleeting(conv: Conv2d, m: int, backward: bool = False, once: bool = False) -> bool: ...
def winograd_pack(conv: Conv2d, m: int, weight: Array, backward: bool = False) -> Array: ...
def winograd(
    conv: Conv2d,
    m: int,
    x: Array,
    weight: Array,
    packed: Array | None,
    bias: Array | None,
    out: Array,
    accumulate: bool = False,
    residual: Array | None = None,
    clamp: tuple[float, float] | None = None,
) -> bool: ...
def winograd_grad_input(
    conv: Conv2d,
    m: int,
    grad: Array,
    weight: Array,
    packed: Array | None,
    grad_x: Array,
    bias: Array | None = None,
    accumulate: bool = False,
) -> bool: ...
def fft_conv2d_tile(conv: Conv2d, backward: bool = False) -> tuple[int, int] | None: ...
def fft_conv2d_pack(conv: Conv2d, weight: Array, backward: bool = False) -> Array: ...
def fft_conv2d(
    conv: Conv2d,
    x: Array,
    weight: Array,
    packed: Array,
    bias: Array | None,
    out: Array,
    residual: Array | None = None,
    clamp: tuple[float, float] | None = None,
) -> None: ...
def fft_conv2d_grad_input(
    conv: Conv2d, grad: Array, weight: Array, packed: Array, grad_x: Array, bias: Array | None = None
) -> None: ...
def channel_sum(grad: Array, sums: Array) -> None: ...
def im2col(window: Window, x: Array, columns: Array) -> None: ...
def col2im(window: Window, columns: Array, x: Array) -> None: ...

# signals
BOUNDARIES: dict[str, int]

def filter2d(
    window: Window,
    x: Array,
    weight: Array,
    out: Array,
    boundary: str = "fill",
    fill: float = 0,
) -> None: ...
def fft_filter2d(
    window: Window,
    x: Array,
    weight: Array,
    out: Array,
    tile_y: int,
    tile_x: int,
    boundary: str = "fill",
    fill: float = 0,
) -> None: ...

# fully connected
def linear(
    x: Array, weight: Array, bias: Array | None, out: Array, clamp: tuple[float, float] | None = ...
) -> None: ...
def linear_grad_input(grad: Array, weight: Array, grad_x: Array) -> None: ...
def linear_grad_weight(x: Array, grad: Array, grad_weight: Array) -> None: ...

# activation
def dense(array: Array) -> Array: ...
def dense_like(array: Array, like: Array) -> Array: ...

ACTIVATIONS: tuple[str, ...]

def activation(name: str, x: Array, out: Array | None = None, a: float = 0, b: float = 0, c: float = 0) -> Array: ...
def activation_grad(
    name: str, kept: Array, grad: Array, grad_x: Array, a: float = 0, b: float = 0, c: float = 0
) -> None: ...
def prelu(x: Array, slope: Array, out: Array) -> None: ...
def prelu_grad(x: Array, slope: Array, grad: Array, grad_x: Array | None, grad_slope: Array | None) -> None: ...
def dropout(
    x: Array,
    out: Array,
    matrices: int,
    rows: int,
    key: int,
    threshold: int,
    scale: float,
    shift: float,
    dropped: float,
) -> None: ...
def softmax(x: Array, out: Array) -> None: ...
def softmax_grad(out: Array, grad: Array, grad_x: Array) -> None: ...
def log_softmax(x: Array, out: Array) -> None: ...
def log_softmax_grad(out: Array, grad: Array, grad_x: Array) -> None: ...
def check_target(x: Array, target: Array, weight: Array | None, ignore_index: int) -> tuple[float, int]: ...
def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    smoothing: float,
    scale: float,
    losses: Array,
    grad: Array | None,
) -> float: ...
def pixels(array: Array) -> Array: ...
def norm_moments(x: Array, mean: Array, var: Array, groups: int, per_image: bool) -> None: ...
def norm(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    bias: Array | None,
    out: Array,
    groups: int,
    per_image: bool,
    eps: float,
    residual: Array | None = None,
    clamp: tuple[float, float] | None = None,
) -> None: ...
def norm_grad(
    x: Array,
    grad: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    grad_x: Array | None,
    grad_weight: Array | None,
    grad_bias: Array | None,
    groups: int,
    per_image: bool,
    eps: float,
    fixed: bool,
    bias: Array | None = None,
    clamp: tuple[float, float] | None = None,
    out: Array | None = None,
    masked: Array | None = None,
) -> None: ...
def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, out: Array, mean: Array, deviation: Array, eps: float
) -> None: ...
def layer_norm_grad(
    x: Array,
    grad: Array,
    weight: Array | None,
    mean: Array,
    deviation: Array,
    grad_x: Array | None,
    grad_weight: Array | None,
    grad_bias: Array | None,
) -> None: ...
def local_response_norm(x: Array, out: Array, size: int, alpha: float, beta: float, k: float) -> None: ...
def local_response_norm_grad(
    x: Array, grad: Array, grad_x: Array, size: int, alpha: float, beta: float, k: float
) -> None: ...
def max_pool2d(window: Window, x: Array, out: Array, winners: Array | None, relu: bool = ...) -> None: ...
def max_pool2d_grad(window: Window, grad: Array, winners: Array, grad_x: Array) -> None: ...
def avg_pool2d(window: Window, x: Array, out: Array, count_include_pad: bool, divisor: int) -> None: ...
def avg_pool2d_grad(window: Window, grad: Array, grad_x: Array, count_include_pad: bool, divisor: int) -> None: ...
def resample(
    x: Array, out: Array, outer: int, inner: int, start: Array, index: Array, weight: Array, columns: int
) -> None: ...
def optim_update(
    rule: str,
    parameter: Array,
    grad: Array,
    state: tuple[Array | None, ...],
    *,
    lr: float,
    weight_decay: float = 0,
    momentum: float = 0,
    fresh: float = 1,
    beta1: float = 0,
    beta2: float = 0,
    shrink: float = 1,
    correction: float = 1,
    eps: float = 0,
    nesterov: bool = False,
    first: bool = False,
    maximize: bool = False,
) -> None: ...
def sum_squares(x: Array) -> float: ...

# images
def affine_warp(images: Array, matrices: Array, fill: float, out: Array) -> None: ...
