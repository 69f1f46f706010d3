"""Layers in a row as one: a convolution and its batch norm where neither learns, batch norm and what follows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.autograd import is_grad_enabled
from fastconv.functional._epilogue import overwrite
from fastconv.layers.activation import ReLU, ReLU6
from fastconv.layers.conv import Conv2d
from fastconv.layers.gated import Hardswish, SiLU
from fastconv.layers.module import Module
from fastconv.layers.norm import BatchNorm2d
from fastconv.parameter import Parameter
from fastconv.tensor import wrap
from fastconv.tracing import tracing

__all__ = ["FOLLOWING", "halves_of", "normalised", "normed"]

ACTIVATIONS: dict[type, str | None] = {ReLU: "relu", ReLU6: "relu6", type(None): None}
GATES: dict[type, str] = {SiLU: "silu", Hardswish: "hardswish"}
FOLLOWING = (*ACTIVATIONS, *GATES)

Weights = tuple[Parameter, np.ndarray]


def normed(
    conv: Module, norm: Module, input: Any, act: Module | None = None, residual: Any = None, out: Any = None
) -> Any:
    """Return ``act(norm(conv(input)) + residual)``, in the array `out` if there is one.

    In evaluation without gradients, and where no hook would see it, that is one convolution: its weights are multiplied
    with the norm's scale, and what else there is happens while its results are in registers; SiLU and Hardswish
    overwrite them afterwards. Of a depthwise separable convolution it is the second one.
    """
    if not (is_grad_enabled() or tracing()):
        if type(conv) is not Conv2d and (halves := halves_of(conv)) and not conv._is_hooked():
            first, second = (getattr(conv, name) for name in halves)
            return normed(second, norm, first(input), act, residual, out)
        if _foldable(conv, norm, act) and (weights := folded(conv, norm)):
            if gate := GATES.get(type(act)):
                return _placed(overwrite(gate, conv(input, residual=residual, weights=weights)), out)
            return conv(input, residual=residual, activation=ACTIVATIONS[type(act)], weights=weights, out=out)
    return _placed(normalised(norm, conv(input), act, residual), out)


def _placed(result: Any, out: np.ndarray | None) -> Any:
    if out is None:
        return result
    out[...] = result.data
    return wrap(out)


def halves_of(layer: Module) -> tuple[str, str] | None:
    """The names of the two layers that this one runs, if its very class says so: a subclass may run others."""
    return vars(type(layer)).get("_halves")


def normalised(norm: Module, input: Any, act: Module | None = None, residual: Any = None) -> Any:
    """Return ``act(norm(input) + residual)``, as one where no hook would see it."""
    if type(norm) is BatchNorm2d and type(act) in ACTIVATIONS and not (tracing() or _hooked(norm, act)):
        return norm(input, residual=residual, activation=ACTIVATIONS[type(act)])
    x = norm(input)
    if residual is not None:
        x = x + residual
    return x if act is None else act(x)


def _foldable(conv: Module, norm: Module, act: Module | None) -> bool:
    return (
        type(conv) is Conv2d
        and type(norm) is BatchNorm2d
        and type(act) in FOLLOWING
        and not norm.training
        and norm.running_mean is not None
        and norm.num_features == conv.out_channels
        and not conv._is_hooked()
        and not _hooked(norm, act)
    )


def _hooked(norm: Module, act: Module | None) -> bool:
    return norm._is_hooked() or (act is not None and act._is_hooked())


def folded(conv: Any, norm: Any) -> Weights | None:
    """Return weight and bias of both as one, kept beside the weight until a number changes; None if they overflow."""
    mean, var, weight, bias = norm.running_mean, norm.running_var, norm.weight, norm.bias
    # Anybody may write to running statistics; as bytes they are quicker to compare than as arrays.
    now = (norm.eps, _written(weight), _written(bias), _written(conv.bias), mean.data.tobytes(), var.data.tobytes())
    kept = conv.weight.cache.get("folded")
    if kept is not None and kept[0] == now:
        return kept[1]
    dtype = conv.weight.dtype
    if any(each is not None and each.dtype != dtype for each in (mean, var, weight, bias, conv.bias)):
        return None
    with np.errstate(all="ignore"):
        scale = (1 / np.sqrt(var.data + norm.eps)).astype(dtype)
        scale = scale if weight is None else scale * weight.data
        shift = (0 if conv.bias is None else conv.bias.data) - mean.data
        shift = shift * scale + (0 if bias is None else bias.data)
        whole = conv.weight.data * scale[:, None, None, None]
    if not (np.isfinite(whole).all() and np.isfinite(shift).all()):
        return None
    found = Parameter(whole, requires_grad=False), shift
    conv.weight.cache["folded"] = (now, found, (weight, bias, conv.bias))  # held, so that their numbers stay theirs
    return found


def _written(parameter: Parameter | None) -> tuple[int, int] | None:
    """Which parameter this is, and how often it was written to."""
    return None if parameter is None else (id(parameter), parameter.version)
