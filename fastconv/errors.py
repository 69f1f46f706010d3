"""What fastconv raises. Wrong types are the built-in :class:`TypeError`."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["DataError", "FastconvError", "MissingExtraError", "ShapeError", "require"]


class FastconvError(Exception):
    """Base of every exception that is fastconv's own."""


class ShapeError(FastconvError, ValueError):
    """A shape, size or geometry that an operation cannot take."""


class DataError(FastconvError, ValueError):
    """A file, data set or state dict whose content is not what it should be."""


class MissingExtraError(FastconvError, ImportError):
    """A feature needs an optional package that is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of fastconv that installs it.

    Raises
    ------
    MissingExtraError
        If the module cannot be found.

    Examples
    --------
    >>> require("json", "cli").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there; something it needs is not
        raise MissingExtraError(
            f'this needs {module}, which is not installed: pip install "fastconv[{extra}]"', name=module
        ) from None
