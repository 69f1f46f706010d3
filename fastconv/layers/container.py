"""Modules that hold others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastconv.layers.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Modules called one after the other, each with the output of the one before.

    Parameters
    ----------
    *layers : Module
        The modules, named "0", "1", ...; or one mapping from names to modules.

    Examples
    --------
    >>> from fastconv.layers import Flatten
    >>> net = Sequential(Flatten())
    >>> net.append(Flatten())
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Flatten(start_dim=1, end_dim=-1)
    )
    >>> len(net), net[-1]
    (2, Flatten(start_dim=1, end_dim=-1))
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        named: Mapping[Any, Any] = dict(enumerate(layers))
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = layers[0]
        for name, layer in named.items():
            self._put(str(name), layer)

    def _put(self, name: str, layer: Any) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential: layer {name!r} must be a Module, got {type(layer).__name__}")
        if hasattr(self, name) or "." in name:
            raise ValueError(f"Sequential: a layer cannot be named {name!r}")
        setattr(self, name, layer)

    def forward(self, input: Any) -> Any:
        """Run the layers in order."""
        for layer in self:
            input = layer(input)
        return input

    def append(self, layer: Module) -> Sequential:
        """Add a layer at the end, named by its position; returns this module."""
        self._put(str(len(self)), layer)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self.children()))

    def __getitem__(self, index: int | slice) -> Any:
        """Return a layer, or a Sequential of some, which keep their names."""
        named = list(self.named_children())
        if isinstance(index, slice):
            return Sequential(dict(named[index]))
        return named[index][1]
