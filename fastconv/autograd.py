"""The tape: records operations as they run and walks back through them. It knows no operation.

A differentiable function computes an array, defines a closure ``backward(grad)`` that returns one gradient array (or
None) for each of its inputs, and ends with ``return record(out, backward, inputs)``. Closures capture arrays, never
Tensors, so that memory goes as soon as the last reference does, without the garbage collector.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv._kernels import combined
from fastconv.arrays import F32, F64, python_dtype
from fastconv.errors import ShapeError
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, array_of, wrap

__all__ = ["as_array", "backward", "enable_grad", "is_grad_enabled", "needs_grad", "no_grad", "record"]

Backward = Callable[[np.ndarray], Sequence["np.ndarray | None"]]


class _Mode(threading.local):
    enabled = True


_mode = _Mode()
_ndarray = np.ndarray


class Node:
    """One recorded operation: its closure and, for every input, the node or leaf that gets the gradient, or None."""

    __slots__ = ("backward", "sources")

    backward: Backward | None
    sources: list[Node | Tensor | None]


# Calling __init__ would double what `record` costs.
_new = Tensor.__new__
_new_node = Node.__new__


def as_array(x: Any, op: str, argument: str) -> np.ndarray:
    """Return the float32 or float64 ndarray behind a Tensor, an array or a (nested list of) Python number(s).

    The result is native and aligned, its dtype is ``numpy.dtype("float32")`` or ``numpy.dtype("float64")`` itself
    (``is`` holds), and it is the argument's own memory wherever that is possible. Strides are whatever they are.

    Raises
    ------
    TypeError
        For anything else, naming `op` and `argument`.

    Examples
    --------
    >>> as_array([1, 2], "relu", "input")
    array([1., 2.], dtype=float32)
    """
    kind = type(x)
    if kind is Tensor or kind is Parameter:
        x = x.data
        dtype = x.dtype
        if dtype is F32 or dtype is F64:
            return x
    elif kind is _ndarray:
        dtype = x.dtype
        if (dtype is F32 or dtype is F64) and x.flags.aligned:
            return x
    x = array_of(x, f"{op}: {argument}")
    if x.dtype.kind != "f":
        raise TypeError(
            f"{op}: {argument} must be float32 or float64, got {x.dtype}; convert it with .to() or .astype()"
        )
    return x


def needs_grad(*inputs: Any) -> bool:
    """Whether an operation on `inputs` is to be recorded: the tape is on and one of them requires a gradient."""
    if _mode.enabled:
        for x in inputs:
            if isinstance(x, Tensor) and x.requires_grad:
                return True
    return False


def record(out: Any, backward: Backward, inputs: Sequence[Any]) -> Tensor:
    """Return `out` as a Tensor, and keep `backward` if the tape is on and an input requires a gradient.

    Parameters
    ----------
    out : numpy.ndarray or NumPy scalar
        What the operation computed.
    backward : callable
        Takes the gradient of `out` and returns a sequence with one gradient per input, None where there is none. It
        must not write into the array it is given, and may return one array twice.
    inputs : sequence
        The operation's inputs as the caller gave them: Tensors, arrays, numbers, None.
    """
    tensor = _new(Tensor)
    tensor.data = out if type(out) is _ndarray else np.asarray(out)  # ufuncs make scalars of 0-d arrays
    tensor.grad = tensor.node = None
    tensor.requires_grad = False
    if _mode.enabled:
        sources: list[Node | Tensor | None] = []
        for x in inputs:
            if isinstance(x, Tensor) and x.requires_grad:
                sources.append(x.node or x)
                tensor.requires_grad = True
            else:
                sources.append(None)
        if tensor.requires_grad:
            tensor.node = node = _new_node(Node)
            node.backward = backward
            node.sources = sources
    return tensor


def backward(tensor: Tensor, gradient: Any = None) -> None:
    """Add the gradient of `tensor` to the ``grad`` of every leaf it was computed from.

    The record is freed on the way: run the computation again before a second call.

    Parameters
    ----------
    tensor : Tensor
        Usually a loss. Also available as the method ``tensor.backward(gradient)``.
    gradient : array_like, optional
        Gradient of the final result with respect to `tensor`, of its shape and dtype. May be left out where `tensor`
        has one element.

    Raises
    ------
    RuntimeError
        If `tensor` requires no gradient, or the record has been freed.
    ShapeError
        If `gradient` has another shape, or is missing for a tensor of several elements.
    """
    if not tensor.requires_grad:
        raise RuntimeError("backward: the tensor requires no gradient, nothing was recorded")
    grad: np.ndarray | None = _first_gradient(tensor, gradient)
    root = tensor.node or tensor
    with np.errstate(all="ignore"):  # inf and nan travel without warnings, as in the kernels
        found = _walk(root, grad)
        # Only now, so that an error on the way leaves every gradient as it was.
        _accumulate(found, gradient)


def _walk(root: Node | Tensor, grad: np.ndarray | None) -> list[tuple[Tensor, np.ndarray | None]]:
    """Run the closures from `root` down, freeing them, and return the leaves with their gradients."""
    waiting = _count_consumers(root)
    gradients: dict[Node | Tensor, np.ndarray | None] = {root: grad}
    leaves: list[Tensor] = []
    ready: list[Node | Tensor] = [root]
    while ready:
        source = ready.pop()
        if isinstance(source, Tensor):
            leaves.append(source)
            continue
        grad = gradients.pop(source)
        sources, closure = source.sources, source.backward
        source.sources, source.backward = [], None
        parts = closure(np.asarray(grad)) if grad is not None and closure is not None else [None] * len(sources)
        del closure, source, grad
        for into, part in zip(sources, parts, strict=True):
            if into is None:
                continue
            known = gradients.get(into)
            gradients[into] = part if known is None else known if part is None else _sum(known, part)
            waiting[into] -= 1
            if not waiting[into]:
                ready.append(into)
    return [(leaf, gradients[leaf]) for leaf in leaves]


def _sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    total = combined(x, y, False)
    return x + y if total is None else total


def _first_gradient(tensor: Tensor, gradient: Any) -> np.ndarray:
    if gradient is None:
        if tensor.data.size != 1:
            raise ShapeError(
                f"backward: a tensor of shape {tensor.shape} needs the argument gradient; only one element goes without"
            )
        return np.ones_like(tensor.data)
    grad = as_array(gradient, "backward", "gradient")
    if grad.shape != tensor.data.shape:
        raise ShapeError(f"backward: gradient must have the tensor's shape {tensor.shape}, got {grad.shape}")
    if grad.dtype is not tensor.data.dtype:
        if python_dtype(gradient) is None:
            raise TypeError(f"backward: gradient must be {tensor.dtype} as the tensor is, got {grad.dtype}")
        grad = grad.astype(tensor.data.dtype)
    return grad


def _count_consumers(root: Node | Tensor) -> dict[Node | Tensor, int]:
    """How many gradients everything below `root` will be given; raises if part of the record is gone."""
    counts: dict[Node | Tensor, int] = {root: 0}
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Tensor):
            continue
        if node.backward is None:
            raise RuntimeError(
                "backward: this record has been walked and freed; run the computation again before a second backward"
            )
        for source in node.sources:
            if source is not None:
                if source not in counts:
                    counts[source] = 0
                    stack.append(source)
                counts[source] += 1
    return counts


def _accumulate(found: list[tuple[Tensor, np.ndarray | None]], given: Any) -> None:
    """Add gradients to leaves. An array that another leaf or the caller may hold as well is copied first."""
    seen: set[int] = set()
    for leaf, grad in found:
        if grad is None:
            continue
        grad = np.asarray(grad)  # ufuncs make scalars of 0-d arrays
        if leaf.grad is not None:
            grad = np.asarray(leaf.grad.data + grad)
        elif given is not None or id(grad) in seen or isinstance(grad.base, np.ndarray) or not grad.flags.writeable:
            grad = grad.copy(order="C" if isinstance(leaf, Parameter) else "K")
        seen.add(id(grad))
        leaf.grad = wrap(grad)


class _SetMode:
    """Switch the tape of this thread on or off: a context manager, and a decorator."""

    __slots__ = ("_before",)
    _enabled = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(_mode.enabled)
        _mode.enabled = self._enabled

    def __exit__(self, *exception: object) -> None:
        _mode.enabled = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapper


class no_grad(_SetMode):
    """Record nothing inside the block, or inside the decorated function.

    Examples
    --------
    >>> x = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     (x + 1).requires_grad
    False
    """

    __slots__ = ()
    _enabled = False


class enable_grad(_SetMode):
    """Record again, inside a block of :class:`no_grad`."""

    __slots__ = ()


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded."""
    return _mode.enabled


Tensor.backward = backward  # type: ignore[method-assign, assignment]
