"""The table of networks: factories by name, with the image they were made for and their forms."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fastconv import checks, init
from fastconv.models._network import Network

__all__ = ["MODELS", "create", "input_shape", "names", "register", "variants"]

N = TypeVar("N", bound=Network)

MODELS: dict[str, Callable[..., Network]] = {}
"""The factories by the names that the command line and saved weights use."""


_ALWAYS: dict[str, Any] = {"variant": None, "rng": None}  # arguments that every factory has


@dataclass(frozen=True)
class _Row:
    input_shape: tuple[int, int, int]
    variants: tuple[str, ...]
    shapes: Mapping[str, tuple[int, int, int]]


_ROWS: dict[str, _Row] = {}


def register(
    input_shape: tuple[int, int, int] = (3, 224, 224),
    variants: Sequence[str] = ("torchvision",),
    shapes: Mapping[str, tuple[int, int, int]] | None = None,
) -> Callable[[Callable[..., N]], Callable[..., N]]:
    """Put a function that assembles a network into the table, under its own name.

    The factory that takes its place checks ``num_classes`` and ``variant``, which it has even where there is only one,
    and has one argument more: ``rng``, a numpy Generator, a seed or None, where the initial weights come from.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, height and width of the images the network was designed for.
    variants : sequence of str
        The forms it has, the default first.
    shapes : mapping of str to tuple of int, optional
        The images of forms that were designed for others.
    """

    def add(assemble: Callable[..., N]) -> Callable[..., N]:
        name, signature = assemble.__name__, inspect.signature(assemble)

        choice, seed = (inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=d) for n, d in _ALWAYS.items())
        extra = [seed] if "variant" in signature.parameters else [choice.replace(default=variants[0]), seed]
        public = signature.replace(parameters=[*signature.parameters.values(), *extra])

        @functools.wraps(assemble)
        def factory(*args: Any, **options: Any) -> N:
            try:
                given = public.bind(*args, **options)
            except TypeError as error:
                raise TypeError(f"{name}: {error}") from None
            given.apply_defaults()
            found = given.arguments
            variant, generator = found["variant"], checks.generator(found["rng"], name)
            if variant not in variants:
                raise ValueError(f"{name}: variant must be one of {', '.join(variants)}, got {variant!r}")
            if found["num_classes"] is not None:
                checks.integer(found["num_classes"], name, "num_classes")
            with init.skipped():
                model = assemble(**{key: value for key, value in found.items() if key in signature.parameters})
            model.name, model.variant = name, variant
            model.options = {key: value for key, value in found.items() if key not in ("num_classes", *_ALWAYS)}
            channels, *size = _ROWS[name].shapes.get(variant, input_shape)
            model.image_shape = model.image_shape or (found.get("in_channels") or channels, *size)
            model.initialise(generator)
            return model

        factory.__signature__ = public  # type: ignore[attr-defined]
        MODELS[name], _ROWS[name] = factory, _Row(input_shape, tuple(variants), shapes or {})
        return factory

    return add


def options_of(model: Network) -> dict[str, Any]:
    """Return the arguments a network was made with other than its factory's defaults, classes and variant aside."""
    defaults = inspect.signature(MODELS[model.name]).parameters
    return {key: value for key, value in model.options.items() if value != defaults[key].default}


def names() -> list[str]:
    """Return the names of all networks, sorted.

    Examples
    --------
    >>> "resnet50" in names()
    True
    """
    return sorted(MODELS)


def input_shape(name: str, variant: str | None = None) -> tuple[int, int, int]:
    """Return channels, height and width of the images that a network, or one of its forms, was designed for.

    Examples
    --------
    >>> input_shape("inception_v3"), input_shape("alexnet", "paper")
    ((3, 299, 299), (3, 227, 227))
    """
    row = _row(name)
    return row.shapes.get(variant or "", row.input_shape)


def variants(name: str) -> tuple[str, ...]:
    """Return the forms that a network has, the default first.

    Examples
    --------
    >>> variants("alexnet")
    ('torchvision', 'paper', 'textbook')
    """
    return _row(name).variants


def create(
    name: str,
    num_classes: int | None = None,
    *,
    variant: str | None = None,
    rng: np.random.Generator | int | None = None,
    **options: Any,
) -> Network:
    """Make a network by name.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    num_classes : int, optional
        Length of the output; by default as published, 1000 for ImageNet's networks.
    variant : str, optional
        One of :func:`variants`; by default the first.
    rng : numpy.random.Generator, int or None
        Where the initial weights come from.
    **options
        What else the network's own factory takes.

    Returns
    -------
    Network
        In training mode, as PyTorch's networks are; ``.eval()`` before it is used.

    Raises
    ------
    ValueError
        For an unknown name or variant.

    Examples
    --------
    >>> model = create("squeezenet1_1", num_classes=10, rng=0)
    >>> sum(parameter.numel() for parameter in model.parameters())
    727626
    """
    _row(name)
    given = {"num_classes": num_classes, "variant": variant}
    return MODELS[name](**{key: value for key, value in given.items() if value is not None}, rng=rng, **options)


def _row(name: str) -> _Row:
    if name not in _ROWS:
        import difflib

        near = " or ".join(difflib.get_close_matches(str(name), _ROWS, 3))
        raise ValueError(f"models: no network is named {name!r}{f', did you mean {near}?' if near else ''}")
    return _ROWS[name]
