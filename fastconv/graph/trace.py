"""From a network to its graph: the network runs once, on tensors that have a shape and a dtype but no values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NoReturn

import numpy as np

from fastconv import checks, functional
from fastconv.autograd import enable_grad
from fastconv.errors import ShapeError
from fastconv.graph.ir import Graph, Node, Value
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import recording

__all__ = ["Symbol", "evaluating", "trace", "trace_images"]


class Symbol(Tensor):
    """A tensor without values, while a network is traced.

    Parameters
    ----------
    value : Value
        What it stands for in the graph.
    """

    __slots__ = ("value",)

    value: Value

    def __init__(self, value: Value) -> None:
        self.value = value
        self.grad = self.node = None
        # What operations see: one zero, whatever the shape.
        self.data = np.broadcast_to(np.zeros((), value.dtype), value.shape)

    @property
    def requires_grad(self) -> bool:
        """What autograd asks for when an operation has computed instead of ending at ``traced``."""
        raise TypeError("trace: an operation that cannot be recorded was called; see fastconv.tracing")

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        raise TypeError("trace: a tensor of a traced network cannot be asked for a gradient")

    def detach(self) -> Tensor:
        """Return the tensor itself: a graph has no tape."""
        return self

    def __repr__(self) -> str:
        return f"symbol({self.value.name!r}, shape={self.shape}, dtype={self.dtype})"

    def _unknown(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"trace: the network asks for the values of {self!r}, which has none: "
            "what it does must not depend on them, and it must compute with fastconv.functional"
        )

    numpy = item = tolist = __bool__ = __int__ = __float__ = __index__ = _unknown
    __array__ = __dlpack__ = __deepcopy__ = _unknown


def trace(model: Callable[..., Any], *inputs: Any, dtype: Any = np.float32) -> Graph:
    """Record what a network computes, without computing it.

    Parameters
    ----------
    model : Module or callable
        What is called. A module is traced in the mode it is in: call ``eval()`` first where that is meant.
    *inputs : tuple of int, Tensor or array
        A shape for each argument, or an example, of which only shape and dtype are looked at.
    dtype : dtype
        float32 or float64, of the inputs given as shapes.

    Returns
    -------
    Graph

    Raises
    ------
    ShapeError
        If the network does not take such shapes.
    TypeError
        If the network looks at values, or calls an operation that cannot be recorded.

    Examples
    --------
    >>> from fastconv.layers import Conv2d, ReLU, Sequential
    >>> graph = trace(Sequential(Conv2d(3, 8, 3), ReLU()), (1, 3, 224, 224))
    >>> [(node.path, node.op, node.output.shape) for node in graph.nodes]
    [('0', 'conv2d', (1, 8, 222, 222)), ('1', 'relu', (1, 8, 222, 222))]
    """
    if not inputs:
        raise TypeError("trace: give the shape of at least one input, (1, 3, 224, 224)")
    wanted = checks.dtype(dtype, "trace")
    values = [_input(x, f"input{i}" if len(inputs) > 1 else "input", wanted) for i, x in enumerate(inputs)]
    recorder = _Recorder(model)
    with recording(recorder), enable_grad():
        result = model(*(Symbol(value) for value in values))
    outputs = tuple(recorder.value(tensor, "output") for tensor in _leaves(result))
    return Graph(tuple(values), outputs, recorder.nodes)


def trace_images(model: Callable[..., Any], input_shape: Any = None) -> Graph:
    """Trace a network in evaluation mode, in the dtype of its parameters.

    Parameters
    ----------
    model : Module or callable
        The network; its mode is as before afterwards.
    input_shape : tuple of int
        (N, C, H, W), or (C, H, W) for one image; by default what a network of `fastconv.models` was designed for.
    """
    if input_shape is None and not (input_shape := getattr(model, "image_shape", None)):
        raise TypeError("trace: input_shape is needed, (C, H, W): the network does not know what images it is for")
    parameter = next(iter(model.parameters()), None) if hasattr(model, "parameters") else None
    dtype = np.dtype(np.float32) if parameter is None else parameter.dtype
    given = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else input_shape
    with evaluating(model):
        if not isinstance(given, tuple) or len(given) != 3:
            return trace(model, given, dtype=dtype)
        try:
            return trace(model, (1, *given), dtype=dtype)
        except ShapeError:
            with suppress(ShapeError):  # a network for signals takes (N, C, L)
                return trace(model, given, dtype=dtype)
            raise


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Set a network to evaluation, and every module in it to its former mode at the end of the block."""
    modules = list(model.modules()) if hasattr(model, "modules") else []
    modes = [module.training for module in modules]
    if modules:
        modules[0].eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _input(given: Any, name: str, dtype: np.dtype) -> Value:
    if isinstance(given, (Tensor, np.ndarray)):
        return Value(name, tuple(given.shape), Tensor(given).dtype)
    if not isinstance(given, (tuple, list)):
        raise TypeError(f"trace: {name} must be a shape, a Tensor or an array, got {type(given).__name__}")
    shape = tuple(checks.integer(n, "trace", name, minimum=0) for n in given)
    value = Value(name, shape, dtype)
    if value.size >= 2**59:
        raise ShapeError(f"trace: {name} of shape {shape} has more than 2**59 elements")
    return value


def _leaves(result: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested tuples, lists and dicts."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (tuple, list, Mapping)):
        for each in result.values() if isinstance(result, Mapping) else result:
            yield from _leaves(each)
    elif result is not None:
        raise TypeError(f"trace: a network returns tensors, or tuples, lists or dicts of them, got {type(result)}")


@cache
def _signature(op: str) -> inspect.Signature:
    return inspect.signature(getattr(functional, op))


class _Recorder:
    """Makes nodes of calls; see :class:`fastconv.tracing.Recorder`."""

    def __init__(self, model: Any) -> None:
        self.nodes: list[Node] = []
        self._paths: dict[int, str] = {}
        self._constants: dict[int, Value] = {}
        self._names: dict[int, str] = {}
        if hasattr(model, "named_modules"):
            self._paths = {id(module): path for path, module in model.named_modules()}
            for named in (model.named_parameters(), model.named_buffers()):
                self._names.update({id(tensor): name for name, tensor in named})
        self._calls = 0
        self._inside: tuple[str, str, int, bool] = ("", "", 0, False)

    def module(self, module: Any, run: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        before = self._inside
        self._calls += 1
        path = self._paths.get(id(module), before[0])
        leaf = module._one_step or not any(True for _ in module.children())
        self._inside = (path, type(module).__name__, self._calls, leaf)
        try:
            return run(args, kwargs)
        finally:
            self._inside = before

    def operation(self, op: str, arguments: Mapping[str, Any], shape: Any, dtype: Any) -> Any:
        signature = _signature(op)
        named = {name: self._argument(op, arguments[name]) for name in signature.parameters}
        several = isinstance(dtype, tuple)
        path = self._inside[0]
        outputs = tuple(
            Value(f"{path}:{op}" if path else op, tuple(n), np.dtype(t))
            for n, t in (zip(shape, dtype, strict=True) if several else [(shape, dtype)])
        )
        node = Node(op, named, outputs, *self._inside)
        for value in outputs:
            value.node = node
        self.nodes.append(node)
        symbols = tuple(Symbol(value) for value in outputs)
        return symbols if several else symbols[0]

    def _argument(self, op: str, argument: Any) -> Any:
        if isinstance(argument, (Tensor, np.ndarray)):
            return self.value(argument, f"{op}.constant")
        if isinstance(argument, (tuple, list)) and any(isinstance(each, (Tensor, np.ndarray)) for each in argument):
            return type(argument)(self._argument(op, each) for each in argument)
        return argument

    def value(self, tensor: Any, name: str) -> Value:
        """Return what a tensor stands for in the graph."""
        if isinstance(tensor, Symbol):
            return tensor.value
        known = self._constants.get(id(tensor))
        if known is None:
            kept = tensor if isinstance(tensor, Tensor) else wrap(tensor)
            known = Value(self._names.get(id(tensor), name), kept.shape, kept.dtype, tensor=kept)
            self._constants[id(tensor)] = known
        return known
