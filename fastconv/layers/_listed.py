"""What Sequential, ModuleList and Branches have in common."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastconv.layers.module import Module

__all__ = ["Listed", "named", "put"]


def put(holder: Module, modules: Iterable[tuple[Any, Any]]) -> None:
    """Give `holder` modules, in the place of those that have the same names; all or none."""
    op, modules = type(holder).__name__, list(modules)
    held = dict(holder._held())
    for name, module in modules:
        if not isinstance(name, str):
            raise TypeError(f"{op}: names must be strings, got {name!r} of type {type(name).__name__}")
        if not isinstance(module, Module):
            raise TypeError(f"{op}: layer {name!r} must be a Module, got {type(module).__name__}")
        if not name or "." in name or (hasattr(holder, name) and name not in held):
            raise ValueError(f"{op}: a layer cannot be named {name!r}")
    for name, module in modules:
        setattr(holder, name, module)


def named(modules: tuple[Any, ...]) -> Iterable[tuple[Any, Any]]:
    """Names and modules, given as arguments or as one mapping."""
    if len(modules) == 1 and isinstance(modules[0], Mapping):
        return modules[0].items()
    return ((str(i), module) for i, module in enumerate(modules))


class Listed(Module):
    """Base of the containers whose modules have places: it reads, writes and grows like a list."""

    def _names(self) -> list[str]:
        return [name for name, _ in self._held()]

    def _position(self, index: Any) -> int:
        """The place `index` means, counted from the end where negative."""
        op = type(self).__name__
        try:
            place = operator.index(index)
        except TypeError:
            raise TypeError(f"{op}: index must be an int or a slice, got {type(index).__name__}") from None
        if not -len(self) <= place < len(self):
            raise IndexError(f"{op}: index must be from {-len(self)} to {len(self) - 1}, got {index}")
        return place % len(self)

    def _arrange(self, modules: list[tuple[str, Module]]) -> None:
        """Hold these, in this order; numbers that were names are counted anew."""
        numbered = all(name.isdecimal() for name, _ in modules)
        for name in self._names():
            delattr(self, name)
        put(self, ((str(i) if numbered else name, module) for i, (name, module) in enumerate(modules)))

    def __len__(self) -> int:
        return len(self._held())

    def __iter__(self) -> Iterator[Any]:
        return iter([module for _, module in self._held()])

    def __contains__(self, module: object) -> bool:
        return any(module is held for held in self)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._part(self._held()[index])
        return self._held()[self._position(index)][1]

    def _part(self, part: list[tuple[str, Module]]) -> Module:
        """Make the container that a slice of this one is; every container says what of its own goes along."""
        raise NotImplementedError(f"{type(self).__name__} defines no _part")

    def __setitem__(self, index: int, module: Module) -> None:
        put(self, [(self._names()[self._position(index)], module)])

    def __delitem__(self, index: int | slice) -> None:
        named = self._held()
        del named[index if isinstance(index, slice) else self._position(index)]
        self._arrange(named)

    def append(self, module: Module) -> Any:
        """Add a module at the end, named by its position; returns this container."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end, named by their positions; returns this container.

        In a slice, which kept its names, numbering goes on after the highest.
        """
        op = type(self).__name__
        if (isinstance(modules, Module) and not isinstance(modules, Listed)) or not isinstance(modules, Iterable):
            raise TypeError(f"{op}: modules must be an iterable of Modules, got {type(modules).__name__}")
        first = max([len(self), *(int(name) + 1 for name in self._names() if name.isdecimal())])
        put(self, ((str(first + i), module) for i, module in enumerate(list(modules))))
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module before position `index`, as `list.insert` does; returns this container.

        The numbers of those after it go up; modules with names of their own cannot be moved by numbers.
        """
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: insert takes a Module, got {type(module).__name__}")
        named = self._held()
        if not all(name.isdecimal() for name, _ in named):
            raise ValueError(
                f"{type(self).__name__}: cannot insert by position, the layers have names: {named[0][0]}, ..."
            )
        named.insert(operator.index(index), (str(len(named)), module))
        self._arrange(named)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take the module at a position out and return it."""
        module = self[index]
        del self[index]
        return module
