"""Module: what layers and networks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastconv import checks
from fastconv.errors import DataError, ShapeError
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, array_of

__all__ = ["Buffer", "Module"]


class Buffer(Tensor):
    """An array that belongs to a module's state but is not learnt, such as a running mean.

    Parameters
    ----------
    data : array_like
        Copied once, in C order.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        super().__init__(np.array(array_of(data, "Buffer: data"), order="C", copy=True), requires_grad)


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` ignored."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base of layers and networks.

    A subclass assigns its Parameters, Buffers and other Modules to attributes, in the order they are to be listed, and
    defines ``forward``. Nothing is registered: what a module holds is what its attributes are, so that there is no
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

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``; a ShapeError or TypeError inside a network starts with the path of the layer."""
        try:
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
        if isinstance(self.__dict__.get(name), Parameter) and not (value is None or isinstance(value, Parameter)):
            raise TypeError(
                f"{type(self).__name__}: {name} is a Parameter and takes only another or None; "
                f"use {name}.assign(values) to write to it"
            )
        object.__setattr__(self, name, value)

    # ---- what it holds

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules directly inside this one, with their names."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """Yield the modules directly inside this one."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module and all inside it, each once, with their paths; this one's path is `prefix`."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                inside = [(f"{path}.{name}" if path else name, child) for name, child in module.named_children()]
                stack.extend(reversed(inside))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def _named(self, kind: type[Tensor]) -> Iterator[tuple[str, Any]]:
        """Yield what is of one kind in all modules, each once."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, kind) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters with their paths, each once."""
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """Yield the parameters, each once."""
        return (value for _, value in self._named(Parameter))

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield the buffers with their paths, each once."""
        return self._named(Buffer)

    def buffers(self) -> Iterator[Buffer]:
        """Yield the buffers, each once."""
        return (value for _, value in self._named(Buffer))

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

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call `function` on all modules inside, then on this one; returns this module."""
        for module in reversed(list(self.modules())):
            function(module)
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

    def _state(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        """Yield parameters and buffers by path; those used at two places twice, as in PyTorch."""
        for name, value in vars(self).items():
            if isinstance(value, (Parameter, Buffer)):
                yield name, value
            elif isinstance(value, Module):
                yield from ((f"{name}.{path}", inner) for path, inner in value._state())

    def state_dict(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by their paths, as Tensors that share the module's memory."""
        return {path: value.detach() for path, value in self._state()}

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
        own = dict(self._state())
        arrays = {key: array_of(state_dict[key], f"load_state_dict: {key}") for key in own if key in state_dict}
        missing = [key for key in own if key not in state_dict]
        unexpected = [key for key in state_dict if key not in own]
        shapes = [
            f"{key} has {own[key].shape}, given {a.shape}" for key, a in arrays.items() if a.shape != own[key].shape
        ]
        dtypes = [
            f"{key} has {own[key].dtype}, given {a.dtype}"
            for key, a in arrays.items()
            if not np.can_cast(a.dtype, own[key].dtype, "safe")
        ]
        problems = {"wrong shape": shapes, "wrong dtype": dtypes}
        if strict:
            problems = {"missing": missing, "unexpected": unexpected, **problems}
        if any(problems.values()):
            text = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
            error = DataError if strict and (missing or unexpected) else ShapeError if shapes else TypeError
            raise error(f"load_state_dict: the state does not fit {type(self).__name__}: {text}")
        for key, array in arrays.items():
            value = own[key]
            if isinstance(value, Parameter):
                value.assign(array.astype(value.dtype, copy=False))
            else:
                value.data[...] = array
        return IncompatibleKeys(missing, unexpected)

    # ---- text

    def extra_repr(self) -> str:
        """Return the arguments that the text form shows; subclasses define it."""
        return ""

    def __repr__(self) -> str:
        inside = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if not inside:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(inside) + "\n)"
