"""What a module holds, by name: reading it by its path, and PyTorch's ways of adding it."""

from __future__ import annotations

from typing import Any

from fastconv.layers._state import Buffer
from fastconv.parameter import Parameter

__all__ = ["Named"]


class Named:
    """What a Module, the only class that derives from this, has to do with names.

    Assigning to an attribute does the same as the ``register_`` methods.
    """

    _passing: frozenset[str] = frozenset()
    """Names of buffers that are left out of the state dict."""

    def get_submodule(self, target: str) -> Any:
        """Return the module at a path such as ``"features.3"``; the empty path is this module.

        Raises
        ------
        AttributeError
            If there is no module of that path.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            found = vars(found).get(name)
            if not isinstance(found, Named):
                raise AttributeError(f"{type(self).__name__} has no module {target!r}")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a path such as ``"features.3.weight"``, or raise AttributeError."""
        return self._at(target, Parameter)

    def get_buffer(self, target: str) -> Buffer:
        """Return the buffer at a path such as ``"bn1.running_mean"``, or raise AttributeError."""
        return self._at(target, Buffer)

    def _at(self, target: str, kind: type) -> Any:
        path, _, name = target.rpartition(".")
        found = vars(self.get_submodule(path)).get(name)
        if not isinstance(found, kind):
            raise AttributeError(f"{type(self).__name__} has no {kind.__name__.lower()} {target!r}")
        return found

    def register_module(self, name: str, module: Named | None) -> None:
        """Hold `module` as the attribute `name`; None keeps the name free of one."""
        self._register(name, module, Named, "module")

    add_module = register_module

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Hold `param` as the attribute `name`; None says that there is none."""
        self._register(name, param, Parameter, "parameter")

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Hold an array as a :class:`Buffer`, the attribute `name`.

        Parameters
        ----------
        name : str
            Without dots.
        tensor : Tensor, array_like or None
            Copied once; None says that there is none.
        persistent : bool
            False leaves it out of the state dict.
        """
        kept = tensor if tensor is None or isinstance(tensor, Buffer) else Buffer(tensor)
        self._register(name, kept, Buffer, "buffer")
        self._passing = self._passing - {name} if persistent else self._passing | {name}

    def _register(self, name: str, value: Any, kind: type, what: str) -> None:
        op = f"{type(self).__name__}: a {what}"
        if not isinstance(name, str):
            raise TypeError(f"{op} must have a string as its name, got {type(name).__name__}")
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{op} is wanted for {name!r}, got {type(value).__name__}")
        own = vars(self)
        free = isinstance(own[name], (kind, type(None))) if name in own else not hasattr(self, name)
        if not name or "." in name or not free:
            raise KeyError(f"{op} cannot be named {name!r}")
        setattr(self, name, value)
