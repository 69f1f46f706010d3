"""What all convolutions share, transposed or not, along any number of axes: arrays, checks, the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import checks
from fastconv._kernels import channels_last, copy_channels, keep_convolution, known_convolution
from fastconv.autograd import as_array, is_grad_enabled, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional import _conv2d, _conv3d, _im2col
from fastconv.functional._choice import IM2COL, Plan, choose, preferred
from fastconv.functional._choice import options as options_now
from fastconv.functional._epilogue import clamp_grad, clamp_of, finish, residual_of
from fastconv.functional._join import check_place
from fastconv.functional._sizes import UNIT, check_shapes, convolution_axes, transposed_axes
from fastconv.functional._weights import check_unwritten, stamp
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = ["convolve", "plan_of", "result_shape"]

_INPUTS = ("input", "weight", "bias")
_OPTIONS = ("stride", "padding", "dilation", "groups", "padding_mode", "algorithm")
_TRANSPOSED = ("stride", "padding", "output_padding", "groups", "dilation", "algorithm")
_NONE = (False, False, False)


def convolve(
    op: str,
    count: int,
    inputs: tuple,
    options: tuple,
    algorithm: str,
    transposed: bool = False,
    residual: Any = None,
    activation: Any = None,
    place: Any = None,
) -> Tensor:
    """Convolve along the last `count` axes.

    `inputs` and `options` are in the order of the public functions. A transposed convolution is the adjoint of the
    convolution whose sizes its plan holds: its input has that one's output's shape.
    """
    input, weight, bias = inputs
    x = as_array(input, op, "input")
    w = as_array(weight, op, "weight")
    b = None if bias is None else as_array(bias, op, "bias")
    arguments = (op, x.shape, w.shape, options, algorithm)
    plan = known_convolution(arguments)
    if plan is None:
        plan = plan_of(arguments, count, transposed)
    if x.dtype is not w.dtype:
        checks.same_dtype(op, x, "input", w, "weight")
    if b is not None and (b.shape != plan.bias_shape or b.dtype is not w.dtype or not b.flags.c_contiguous):
        b = _bias(op, b, w, *plan.bias_shape)
    clamp = None if activation is None else clamp_of(op, activation)
    r = None if residual is None else residual_of(op, residual, plan.result, x)
    if tracing():
        names = (*_INPUTS, *(_TRANSPOSED if transposed else _OPTIONS))
        given = dict(zip(names, (*inputs, *options, algorithm), strict=True))
        if op == "conv2d":
            given |= {"residual": residual, "activation": activation, "out": place}
        return traced(op, given, plan.result, x.dtype)
    conv, tile, lifted = plan.conv, plan.tile, plan.lifted
    if lifted:
        x, w = x.reshape(plan.in_shape), w.reshape(conv.weight_shape)
        r = None if r is None else r.reshape(plan.out_shape)
    if options_now.altered:
        tile = _choose(op, plan, algorithm, x, w, b, weight)
    recording = is_grad_enabled()
    wants = (needs_grad(input), needs_grad(weight), needs_grad(bias)) if recording else _NONE
    if place is not None:
        _check_place(op, place, plan, x.dtype, any(wants) or needs_grad(residual))
    by_columns, kept = None, None if plan.fleeting and wants[1] else weight
    if tile == IM2COL:
        out, by_columns = _im2col.convolve(conv, x, w, b, wants)
        finish(out, r, clamp)
    elif r is not None or clamp is not None or place is not None:
        out = _conv2d.product(conv, tile, x, w, b, kept, r, clamp, place)
    else:
        out = plan.product(conv, tile, x, w, b, kept)
    if place is not None and out is not place:
        copy_channels(channels_last(out), place)
        out = place
    if recording and (any(wants) or needs_grad(residual)):
        sources = inputs if residual is None else (*inputs, residual)
        return _record(op, plan, tile, algorithm == "auto", sources, x, w, out, clamp, wants, by_columns)
    return wrap(out.reshape(plan.result) if lifted else out)


def _check_place(op: str, out: Any, plan: Plan, dtype: np.dtype, recorded: bool) -> None:
    if recorded:
        raise ValueError(f"{op}: out takes no result whose gradient is wanted; use no_grad()")
    check_place(op, out, plan.result, dtype)
    if out.ndim != 4 or (out.shape[1] > 1 and out.strides[1] != out.itemsize):
        raise ValueError(
            f"{op}: out must be a batch with adjacent channels, got shape {out.shape}, strides {out.strides}"
        )


def _choose(
    op: str, plan: Plan, algorithm: str, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, weight: Any
) -> int:
    """Return the algorithm under the options that are set."""

    def run(tile: int) -> np.ndarray:
        return plan.product(plan.conv, tile, x, w, b, weight)

    return choose(op, plan, algorithm, x.dtype, "value", run, weight)


def _record(
    op: str,
    plan: Plan,
    tile: int,
    auto: bool,
    inputs: tuple,
    x: np.ndarray,
    w: np.ndarray,
    out: np.ndarray,
    clamp: Any,
    wants: tuple[bool, ...],
    by_columns: Any,
) -> Tensor:
    """Return the result as a Tensor, and keep how its gradients are computed.

    A function of its own: variables that closures share are slower, also where there is nothing to record.
    """
    mark = stamp(inputs[1]) if wants[0] else None
    lifted, with_residual, dtype = plan.lifted, len(inputs) == 4, x.dtype
    held = out if clamp is not None else None
    w = np.ascontiguousarray(w)

    def best(direction: str, run: Callable[[int], Any]) -> int:
        if auto and options_now.options.autotune:
            return choose(op, plan, "auto", dtype, direction, run)
        return plan.input_tile if auto and direction == "input" and not options_now.altered else tile

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        check_unwritten(op, mark)
        if lifted:
            grad = grad.reshape(plan.out_shape)
        if held is not None:
            grad = clamp_grad(held, clamp, grad)
        grad_r = grad
        if by_columns is not None:
            grad_x, grad_w, grad_b = by_columns(grad)
        else:
            grad_x = grad_w = None
            if wants[0]:
                grad_x = plan.grad_input(best("input", lambda t: plan.grad_input(t, grad, w)), grad, w)
            if wants[1]:
                grad_w = plan.grad_weight(best("weight", lambda t: plan.grad_weight(t, x, grad)), x, grad)
            grad_b = plan.channel_sum(grad) if wants[2] else None
        if lifted:
            grad_x = None if grad_x is None else grad_x.reshape(plan.shape)
            grad_w = None if grad_w is None else grad_w.reshape(plan.weight_shape)
            grad_r = grad_r.reshape(plan.result)
        return (grad_x, grad_w, grad_b, grad_r) if with_residual else (grad_x, grad_w, grad_b)

    return record(out.reshape(plan.result) if lifted else out, backward, inputs)


def plan_of(arguments: tuple, count: int, transposed: bool = False) -> Plan:
    """Return the plan for (op, shape, shape of the weights, options, algorithm), all checked, and keep it for later."""
    op, shape, weight, options, algorithm = arguments
    mode = "zeros"
    if transposed:
        stride, padding, output_padding, groups, dilation = options
        groups = check_shapes(op, count, shape, weight, groups, transposed)
        axes = transposed_axes(op, count, shape, weight, stride, padding, output_padding, groups, dilation)
        channels = (weight[1] * groups, weight[0])
    else:
        stride, padding, dilation, groups, mode = options
        groups = check_shapes(op, count, shape, weight, groups)
        axes = convolution_axes(op, count, shape, weight, stride, padding, dilation, mode)
        channels = (weight[1] * groups, weight[0])
    if not any(axis.before or axis.after for axis in axes):
        mode = "zeros"
    batch = shape[0] if len(shape) == count + 2 else 1
    make = _conv2d.geometry if count < 3 else _conv3d.Conv3d
    conv = make([UNIT] * (2 - count) + axes, batch, channels, groups, mode)
    plan = Plan(conv, shape, weight, transposed, preferred(op, conv, algorithm, transposed))
    keep_convolution(arguments, plan)
    return plan


def result_shape(
    op: str, count: int, shape: tuple[int, ...], weight: tuple[int, ...], options: tuple, algorithm: str
) -> tuple[int, ...]:
    """Return the shape of what :func:`convolve` makes of an input and weights of these shapes."""
    arguments = (op, shape, weight, options, algorithm)
    return (known_convolution(arguments) or plan_of(arguments, count)).result


def _bias(op: str, b: np.ndarray, w: np.ndarray, channels: int) -> np.ndarray:
    """Return a bias of one value for each of `channels` output channels, of the dtype of w, in C order."""
    if b.shape != (channels,):
        raise ShapeError(f"{op}: bias must have shape ({channels},), one value for each output channel, got {b.shape}")
    if b.dtype is not w.dtype:
        checks.same_dtype(op, b, "bias", w, "weight")
    return np.ascontiguousarray(b)
