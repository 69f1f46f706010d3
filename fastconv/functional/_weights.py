"""What functions keep beside a Parameter's values, and how they know that the values are still the same."""

from __future__ import annotations

from typing import Any

from fastconv.parameter import Parameter

__all__ = ["check_unwritten", "stamp"]

Stamp = tuple[dict[Any, Any], object]


def stamp(weight: Any) -> Stamp | None:
    """Mark a Parameter's values of now: its cache, which every write empties, and an object in it. Else None."""
    if type(weight) is not Parameter:
        return None
    cache = weight.cache
    mark = cache.get("stamp")
    if mark is None:
        mark = cache["stamp"] = object()
    return cache, mark


def check_unwritten(op: str, mark: Stamp | None) -> None:
    """Raise RuntimeError if the Parameter has been written to since it was stamped."""
    if mark is not None and mark[0].get("stamp") is not mark[1]:
        raise RuntimeError(f"{op}: the weight was written to between the forward and the backward pass")
