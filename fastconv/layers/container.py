"""Modules that hold others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastconv import checks
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers._listed import Listed, named, put
from fastconv.layers._steps import Step, run, side_by_side, steps_of
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["Branches", "ModuleDict", "ModuleList", "Sequential"]


class Sequential(Listed):
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

    A slice shares the layers and keeps their names:

    >>> net[1:]
    Sequential(
      (1): Flatten(start_dim=1, end_dim=-1)
    )
    """

    _in_a_row = ()  # all that it holds
    _steps: list[Step] | None = None

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        put(self, named(layers))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "_steps":
            vars(self).pop("_steps", None)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        vars(self).pop("_steps", None)

    def forward(self, input: Any) -> Any:
        """Run the layers in order.

        Where no hook would see it, a ReLU after a Conv2d is done on the way, or, if gradients are wanted and a
        MaxPool2d comes next, after the pooling: the maximum is the same, and there is less to do then and backward. In
        evaluation without gradients a BatchNorm2d and a ReLU or ReLU6 after a Conv2d are a part of it.
        """
        steps = self._steps
        if steps is None:
            steps = self._steps = steps_of(list(self))
        return run(steps, input)

    def _part(self, part: list[tuple[str, Module]]) -> Sequential:
        return Sequential(dict(part))

    def __add__(self, other: Sequential) -> Sequential:
        """The layers of both, numbered anew."""
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)


class ModuleList(Listed):
    """A list of modules that are called by name or number elsewhere; their paths are "0", "1", ...

    Parameters
    ----------
    modules : iterable of Module, optional
        The modules.

    Examples
    --------
    >>> from fastconv.layers import Linear
    >>> class Deep(Module):
    ...     def __init__(self):
    ...         self.layers = ModuleList(Linear(4, 4) for _ in range(3))
    ...
    ...     def forward(self, x):
    ...         for layer in self.layers:
    ...             x = x + layer(x)
    ...         return x
    >>> Deep()
    Deep(
      (layers): ModuleList(
        (0-2): 3 x Linear(in_features=4, out_features=4, bias=True)
      )
    )
    >>> list(Deep().state_dict())[:2]
    ['layers.0.weight', 'layers.0.bias']
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(() if modules is None else modules)

    def _part(self, part: list[tuple[str, Module]]) -> ModuleList:
        return ModuleList(module for _, module in part)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)

    def __repr__(self) -> str:
        """As every module's, but equal neighbours on one line."""
        runs: list[list[Any]] = []  # first, last, text
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        lines = [
            f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}"
            for first, last, text in runs
        ]
        return self._tree_text(lines)


class ModuleDict(Module):
    """Modules by name, called by name elsewhere; in the order in which they were put in.

    Parameters
    ----------
    modules : mapping or iterable of pairs, optional
        Names and modules.

    Examples
    --------
    >>> from fastconv.layers import ReLU, Tanh
    >>> choices = ModuleDict({"relu": ReLU(), "tanh": Tanh()})
    >>> choices["relu"]([-1.0, 1.0])
    tensor([0., 1.])
    >>> "tanh" in choices, list(choices)
    (True, ['relu', 'tanh'])
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self.update(() if modules is None else modules)

    def __len__(self) -> int:
        return len(self._held())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __getitem__(self, name: str) -> Any:
        try:
            return dict(self._held())[name]
        except KeyError:
            raise KeyError(f"ModuleDict: no module {name!r}, there are {self.keys()}") from None

    def __setitem__(self, name: str, module: Module) -> None:
        put(self, [(name, module)])

    def __delitem__(self, name: str) -> None:
        self[name]  # for the error
        delattr(self, name)

    def keys(self) -> list[str]:
        """Return the names."""
        return [name for name, _ in self._held()]

    def values(self) -> list[Module]:
        """Return the modules."""
        return [module for _, module in self._held()]

    def items(self) -> list[tuple[str, Module]]:
        """Return pairs of name and module."""
        return self._held()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Put in modules by name; those of the same names are replaced."""
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        put(self, pairs)

    def pop(self, name: str) -> Module:
        """Take a module out and return it."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in self.keys():
            delattr(self, name)


class Branches(Listed):
    """Modules side by side: each is given the same input, and their outputs are joined.

    Parameters
    ----------
    *branches : Module
        The modules, named "0", "1", ...; or one mapping from names to modules.
    merge : {"concat", "sum"}
        Whether outputs are put one after the other along `dim`, in the order of the branches, or added.
    dim : int
        The axis of the concatenation; 1 are the channels.

    Raises
    ------
    ValueError
        If there is no branch or no such merge.
    ShapeError
        When called, if the outputs do not fit together.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", CVPR 2015 (concatenation); He et al., "Deep residual learning for
    image recognition", CVPR 2016 (sum).

    Examples
    --------
    >>> from fastconv.layers import ReLU, Tanh
    >>> both = Branches({"relu": ReLU(), "tanh": Tanh()})
    >>> both(Tensor([[0.0, -1.0]])).shape, both.relu
    ((1, 4), ReLU())
    >>> Branches(ReLU(), ReLU(), merge="sum")([[1.0, -1.0]])
    tensor([[2., 0.]])
    """

    def __init__(self, *branches: Module | Mapping[str, Module], merge: str = "concat", dim: int = 1) -> None:
        if merge not in ("concat", "sum"):
            raise ValueError(f"Branches: merge must be concat or sum, got {merge!r}")
        self.merge = merge
        self.dim = checks.integer(dim, "Branches", "dim", minimum=-checks.LARGEST)
        put(self, named(branches))
        if not len(self):
            raise ValueError("Branches: there must be at least one branch")

    def forward(self, input: Any) -> Tensor:
        """Give `input` to every branch and join what comes out."""
        if self.merge == "concat" and self.dim == 1:
            return side_by_side([[branch] for branch in self], [input] * len(self))
        outputs = [branch(input) for branch in self]
        if self.merge == "concat":
            return F.cat(outputs, self.dim)
        total = outputs[0]
        for output in outputs[1:]:
            if output.shape != total.shape:
                raise ShapeError(f"Branches: outputs to be added have shapes {total.shape} and {output.shape}")
            total = total + output
        return total

    def _part(self, part: list[tuple[str, Module]]) -> Branches:
        return Branches(dict(part), merge=self.merge, dim=self.dim)

    def extra_repr(self) -> str:
        return f"merge={self.merge!r}, dim={self.dim}" if self.merge == "concat" else f"merge={self.merge!r}"
