"""How an operation lets itself be recorded instead of run; :func:`fastconv.graph.trace` does the recording.

While a network is traced, its tensors have a shape and a dtype but no values. An operation checks its arguments as ever
and, where it would go on to allocate and compute, ends::

    if tracing():
        return traced("relu", locals(), x.shape, x.dtype)

Up to here its code is its shape function, for running and for recording alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Protocol

__all__ = ["Recorder", "call_traced", "recording", "traced", "tracing"]


class Recorder(Protocol):
    """What listens while a network is traced."""

    def operation(self, op: str, arguments: Mapping[str, Any], shape: Any, dtype: Any) -> Any:
        """Note a call of the function `op` of `functional` and return its result, without values."""

    def module(self, module: Any, run: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Note that a module is called, and call ``run(args, kwargs)``."""


_recorders: dict[int, Recorder] = {}  # by thread; empty as a rule, which is quick to see


def tracing() -> bool:
    """Whether this thread records operations instead of running them."""
    return bool(_recorders) and get_ident() in _recorders


def traced(op: str, arguments: Mapping[str, Any], shape: Any, dtype: Any) -> Any:
    """Record a call and return its result, a tensor without values.

    Parameters
    ----------
    op : str
        Name of the function in `fastconv.functional`.
    arguments : mapping
        Its arguments by name; more than those may be in it, so that ``locals()`` will do.
    shape : tuple of int, or tuple of such
        Of the result; several for an operation that returns several.
    dtype : numpy.dtype, or tuple of such
        Of the result, or of each.
    """
    return _recorders[get_ident()].operation(op, arguments, shape, dtype)


def call_traced(module: Any, run: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Return ``run(args, kwargs)``, the ``forward`` of `module` and its hooks; what that records bears its path."""
    return _recorders[get_ident()].module(module, run, args, kwargs)


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Let `recorder` have what this thread calls inside the block."""
    thread = get_ident()
    before = _recorders.get(thread)
    _recorders[thread] = recorder
    try:
        yield
    finally:
        if before is None:
            del _recorders[thread]
        else:
            _recorders[thread] = before
