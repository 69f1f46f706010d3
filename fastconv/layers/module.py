"""Module: what layers and networks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.layers._hooks import Hooked
from fastconv.layers._named import Named
from fastconv.layers._state import Buffer, IncompatibleKeys, load_state
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor
from fastconv.tracing import call_traced, tracing

__all__ = ["Buffer", "Module"]


class Module(Hooked, Named):
    """Base of layers and networks.

    A subclass assigns its Parameters, Buffers and other Modules to attributes, in the order they are to be listed, and
    defines ``forward``. Nothing needs registering: what a module holds is what its attributes are, so that there is no
    ``__init__`` to call.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently while learning (Dropout) do so; set by ``train()`` and ``eval()``.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self, factor):
    ...         self.factor = Parameter([factor])
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> layer = Scale(2.0)
    >>> layer(Tensor([1.0, 2.0])).detach()
    tensor([2., 4.])
    >>> [name for name, _ in layer.named_parameters()]
    ['factor']
    """

    training: bool = True
    _one_step = False  # whether tables and drawings show its own operations as one although it holds modules

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` and the hooks; a ShapeError or TypeError in a network starts with the path of the layer."""
        try:
            if tracing():
                return call_traced(self, self._call_hooked, args, kwargs)
            if self._forward_hooks or self._forward_pre_hooks:
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)
        except (ShapeError, TypeError) as error:
            self._locate(error)
            raise

    def _locate(self, error: Any) -> None:
        """Put the name of the child that `error` came from before its message."""
        layer = getattr(error, "layer", None)
        for name, child in self.named_children():
            if child is layer:
                path = getattr(error, "path", "")
                message = str(error)[len(path) + 2 :] if path else str(error)
                error.path = f"{name}.{path}" if path else name
                error.args = (f"{error.path}: {message}",)
                break
        error.layer = self

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__.get(name)
        if held is not None and value is not None:
            for kind in (Parameter, Buffer, Module):
                if isinstance(held, kind) and not isinstance(value, kind):
                    hint = f"; use {name}.assign(values) to write to it" if kind is Parameter else ""
                    raise TypeError(
                        f"{type(self).__name__}: {name} is a {kind.__name__} and takes only another or None, "
                        f"got {type(value).__name__}{hint}"
                    )
        object.__setattr__(self, name, value)

    # ---- what it holds

    def _held(self) -> list[tuple[str, Module]]:
        """The modules directly inside this one by name; one that has two names twice."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules directly inside this one, each once, with their names."""
        seen: set[int] = set()
        for name, value in self._held():
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def children(self) -> Iterator[Module]:
        """Yield the modules directly inside this one, each once."""
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all inside it with their paths, outer ones first; this one's path is `prefix`.

        A module that is used at several places comes once, or with ``remove_duplicate=False`` under every path. Those
        in `memo` are left out, with what is only inside them; it gets those that come.
        """
        if isinstance(memo, str):
            raise TypeError(f"named_modules: memo must be a set of modules or None, got {memo!r}; prefix comes second")
        seen = {id(module) for module in memo or ()}
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) not in seen:
                if remove_duplicate:
                    seen.add(id(module))
                    if memo is not None:
                        memo.add(module)
                yield path, module
                inside = [(f"{path}.{name}" if path else name, child) for name, child in module._held()]
                stack.extend(reversed(inside))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def _named(
        self, kind: type[Tensor], prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Yield what is of one kind in this module and, with `recurse`, in those inside."""
        seen: set[int] = set()
        for path, module in self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]:
            for name, value in vars(module).items():
                if isinstance(value, kind) and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their paths, which begin with `prefix`.

        Parameters
        ----------
        prefix : str
            Path of this module.
        recurse : bool
            False leaves out those of the modules inside.
        remove_duplicate : bool
            Whether a parameter that is used at several places comes once, or under every path.
        """
        return self._named(Parameter, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once; without `recurse` only those directly inside this module."""
        return (value for _, value in self._named(Parameter, recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Buffer]]:
        """Yield the buffers with their paths; the arguments are those of :meth:`named_parameters`."""
        return self._named(Buffer, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        """Yield the buffers, each once; without `recurse` only those directly inside this module."""
        return (value for _, value in self._named(Buffer, recurse=recurse))

    # ---- modes

    def train(self, mode: bool = True) -> Module:
        """Set all modules inside to learn, or with False to be used; returns this module."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Module:
        """Set all modules inside to be used, not to learn; returns this module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze all parameters with False, or free them; returns this module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with False set them to 0."""
        for p in self.parameters():
            p.forget_grad(set_to_none)

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` on all modules inside, innermost first, then on this one; returns this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, dtype: Any) -> Module:
        """Convert all parameters and float buffers to float32 or float64; gradients are forgotten; returns this module.

        Raises
        ------
        TypeError
            For any other dtype.
        """
        wanted = checks.dtype(dtype, "to")
        for parameter in self.parameters():
            parameter.convert(wanted)
        for buffer in self.buffers():
            if buffer.dtype.kind == "f":
                buffer.data = buffer.data.astype(wanted)
        return self

    def float(self) -> Module:
        """Convert to float32; returns this module."""
        return self.to(np.float32)

    def double(self) -> Module:
        """Convert to float64; returns this module."""
        return self.to(np.float64)

    # ---- state

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Parameter | Buffer]]:
        """Yield parameters, buffers, then those of the modules inside; what is used at two places twice."""
        held = vars(self).items()
        for kind in (Parameter, Buffer):
            named = ((name, value) for name, value in held if isinstance(value, kind))
            yield from ((prefix + name, value) for name, value in named if name not in self._passing)
        for name, module in self._held():
            yield from module._state(f"{prefix}{name}.")

    def state_dict(self, *, prefix: str = "") -> dict[str, Tensor]:
        """Return all parameters and buffers by their paths, as Tensors that share the module's memory.

        Keys and order are PyTorch's: a module's parameters, its buffers, then the modules inside.
        """
        return {path: value.detach() for path, value in self._state(prefix)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Write arrays into the parameters and buffers of the same paths.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            float32 values go into float64 parameters, but not the other way.
        strict : bool
            False ignores missing and unexpected keys.

        Returns
        -------
        IncompatibleKeys
            The keys that were ignored: ``missing_keys`` and ``unexpected_keys``.

        Raises
        ------
        DataError, ShapeError, TypeError
            If keys, shapes or dtypes do not fit; the message lists them all and nothing is written.
        """
        return load_state(type(self).__name__, dict(self._state()), state_dict, strict)

    # ---- text

    def extra_repr(self) -> str:
        """Return the arguments that the text form shows; subclasses define it."""
        return ""

    def __repr__(self) -> str:
        return self._tree_text([f"({name}): {child!r}" for name, child in self._held()])

    def _tree_text(self, children: list[str]) -> str:
        """Return the name and the arguments and, indented, the text of each child."""
        name, extra = type(self).__name__, self.extra_repr()
        if not children:
            return f"{name}({extra})"
        lines = [*extra.splitlines(), *children]
        return f"{name}(\n  " + "\n".join(lines).replace("\n", "\n  ") + "\n)"
