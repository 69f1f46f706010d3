"""Functions called before and after a module's forward."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Hooked", "RemovableHandle"]

_numbers = itertools.count()


class _Hook(NamedTuple):
    function: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False

    def after(self, module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        return self.function(module, *((args, kwargs) if self.with_kwargs else (args,)), output)


class RemovableHandle:
    """Takes a hook away again, with ``remove()`` or at the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, _Hook], number: int) -> None:
        self._hooks = hooks
        self._number = number

    def remove(self) -> None:
        """End the calls; a second time does nothing."""
        self._hooks.pop(self._number, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Hooked:
    """What a Module has to do with hooks."""

    _forward_hooks: Mapping[int, _Hook] = {}
    _forward_pre_hooks: Mapping[int, _Hook] = {}
    forward: Callable[..., Any]

    def _is_hooked(self) -> bool:
        return bool(self._forward_hooks or self._forward_pre_hooks)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before every ``forward``; what it returns, if not None, replaces the arguments.

        Parameters
        ----------
        hook : callable
            May return None, a tuple of arguments or a single one.
        prepend : bool
            Call it before the hooks that are there already.
        with_kwargs : bool
            Call ``hook(module, args, kwargs)``, which may return None or a pair ``(args, kwargs)``.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` ends the calls.
        """
        return self._add_hook("_forward_pre_hooks", hook, prepend, _Hook(hook, with_kwargs))

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every ``forward``; what it returns, if not None, is the output.

        Parameters
        ----------
        hook : callable
            What to call.
        prepend : bool
            Call it before the hooks that are there already.
        with_kwargs : bool
            Call ``hook(module, args, kwargs, output)``.
        always_call : bool
            Call it also where something raises an exception before its turn; what it returns is not used then.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` ends the calls, as does the end of a ``with`` block over it.

        Examples
        --------
        >>> from fastconv.layers import Module
        >>> layer = Module()
        >>> layer.forward = lambda x: x + 1
        >>> with layer.register_forward_hook(lambda module, args, output: 10 * output):
        ...     layer(1)
        20
        >>> layer(1)
        2
        """
        return self._add_hook("_forward_hooks", hook, prepend, _Hook(hook, with_kwargs, always_call))

    def _add_hook(self, attribute: str, hook: Any, prepend: bool, kept: _Hook) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(f"{type(self).__name__}: hook must be callable, got {type(hook).__name__}")
        hooks: dict[int, _Hook] = vars(self).setdefault(attribute, {})
        number = next(_numbers)
        before = dict(hooks)
        if prepend:
            hooks.clear()
        hooks[number] = kept
        hooks.update(before)
        return RemovableHandle(hooks, number)

    def _call_hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run ``forward`` between the hooks, which may replace arguments and output by what they return."""
        output, waiting = None, list(self._forward_hooks.values())
        try:
            for hook in list(self._forward_pre_hooks.values()):
                changed = hook.function(self, args, kwargs) if hook.with_kwargs else hook.function(self, args)
                if changed is not None and hook.with_kwargs:
                    args, kwargs = changed
                elif changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
            output = self.forward(*args, **kwargs)
            waiting = list(self._forward_hooks.values())
            while waiting:
                changed = waiting.pop(0).after(self, args, kwargs, output)
                if changed is not None:
                    output = changed
        except Exception:
            for hook in waiting:
                if hook.always_call:
                    hook.after(self, args, kwargs, output)
            raise
        return output
