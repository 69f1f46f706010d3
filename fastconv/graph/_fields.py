"""The arithmetic of receptive fields, carried through a graph by a rule for each kind of operation.

What each element along an axis of a map sees is a run of pixels, which may begin or end outside the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fastconv.graph._steps import STEPS, family
from fastconv.graph.ir import Graph, Node, Value

__all__ = ["Field", "fields"]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What a value sees along one axis of the input.

    Attributes
    ----------
    axis : int or None
        Axis of the value that runs along it; None when no position is left, as after a global pool.
    low, high : ndarray
        First and last pixel that each element sees; of length 1 where `axis` is None.
    jump : float
        Pixels from one element to the next, on the whole.
    whole : bool
        Whether everything is seen, by way of a branch without positions (squeeze and excitation).
    """

    axis: int | None
    low: np.ndarray
    high: np.ndarray
    jump: float = 1.0
    whole: bool = False


Fields = tuple[Field, ...]
Known = dict[Value, Fields]


def fields(graph: Graph) -> Known:
    """Return the fields of every value that depends on the graph's first input: one for each axis of its images."""
    image = graph.inputs[0]
    pixels = [np.arange(float(n)) for n in image.shape[2:]]
    known: Known = {image: tuple(Field(axis, at, at) for axis, at in enumerate(pixels, 2))}
    for node in graph.nodes:
        inputs = [value for value in node.inputs if value in known]
        rule = _RULES.get(node.op, _slid if family(node)[0] in STEPS else _together)
        if inputs:
            known.update(dict.fromkeys(node.outputs, rule(node, inputs, known)))
    return known


def _collapsed(field: Field) -> Field:
    """The field of something that takes all elements along an axis."""
    if field.axis is None:
        return field
    low, high = np.min(field.low, initial=np.inf), np.max(field.high, initial=-np.inf)
    return Field(None, np.array([low]), np.array([high]), whole=field.whole)


def _moved(found: Fields, place: dict[int, int]) -> Fields:
    """Fields of a value whose axes have moved; an axis without a new place has been joined with others."""
    return tuple(replace(f, axis=place[f.axis]) if f.axis in place else _collapsed(f) for f in found)


def _joined(one: Field, two: Field) -> Field:
    """The smallest field around two of one value."""
    whole = one.whole or two.whole or (one.axis is None) != (two.axis is None)
    if one.axis is None:
        one, two = two, one
    return replace(one, low=np.minimum(one.low, two.low), high=np.maximum(one.high, two.high), whole=whole)


def _at(places: np.ndarray, pixels: np.ndarray, jump: float) -> np.ndarray:
    """The pixels at places along an axis, which go on before its first and after its last element as between."""
    inside = np.clip(places, 0, len(pixels) - 1)
    beyond = (places - inside) * jump
    return pixels[inside.astype(np.intp)] + np.where(beyond < 0, np.floor(beyond), np.ceil(beyond))


# ---- rules: the fields of a node's result


def _slid(node: Node, inputs: list[Value], known: Known) -> Fields:
    """A window, or anything else that maps positions to positions along the last axes; and what is added to it."""
    value, shape, out = inputs[0], inputs[0].shape, node.output.shape
    name, axes = family(node)
    found = []
    for f in known[value]:
        i = -1 if f.axis is None else f.axis - (len(shape) - axes)
        if f.axis is not None and i >= 0 and len(f.low):
            first, last, ratio = STEPS[name](node, i, axes, shape[f.axis], out[len(out) - axes + i])
            ends = [_at(places, f.low, f.jump) for places in (first, last)]
            others = [_at(places, f.high, f.jump) for places in (first, last)]
            f = replace(f, low=np.minimum(*ends), high=np.maximum(*others), jump=f.jump * ratio)
        found.append(f)
    offset = len(out) - len(shape)
    slid = _moved(tuple(found), {axis: axis + offset for axis in range(len(shape))})
    added = node.arguments.get("residual")
    if isinstance(added, Value) and added in known:
        return tuple(_joined(a, b) for a, b in zip(slid, known[added], strict=True))
    return slid


def _together(node: Node, inputs: list[Value], known: Known) -> Fields:
    """Element by element, with broadcasting, and concatenation; axes whose length changes otherwise are collapsed."""
    out = node.output.shape
    joined: Fields = ()
    for value in inputs:
        offset = len(out) - len(value.shape)
        place = {i: i + offset for i, n in enumerate(value.shape) if i + offset >= 0 and out[i + offset] == n}
        found = _moved(known[value], place)
        joined = tuple(_joined(a, b) for a, b in zip(joined, found, strict=True)) if joined else found
    return joined


def _reduced(node: Node, inputs: list[Value], known: Known) -> Fields:
    """A sum, mean or extremum over some axes."""
    value = inputs[0]
    ndim, dim = len(value.shape), node.arguments["dim"]
    dims = range(ndim) if dim is None else [d % ndim for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    kept = [axis for axis in range(ndim) if axis not in dims]
    place = {axis: axis if node.arguments["keepdim"] else i for i, axis in enumerate(kept)}
    return _moved(known[value], place)


def _along(node: Node, inputs: list[Value], known: Known) -> Fields:
    """A softmax: what lies along one axis is taken together."""
    value = inputs[0]
    along = node.arguments["dim"] % len(value.shape)
    return _moved(known[value], {axis: axis for axis in range(len(value.shape)) if axis != along})


def _reshaped(node: Node, inputs: list[Value], known: Known) -> Fields:
    """Axes that keep their length, counted from either end, stay; axes of length 1 come and go."""
    value = inputs[0]
    before, after = value.shape, node.output.shape
    place: dict[int, int] = {}
    for old, new in (
        ([*range(len(before))], [*range(len(after))]),
        ([*range(len(before))][::-1], [*range(len(after))][::-1]),
    ):
        for a, b in zip(old, new, strict=False):
            if before[a] != after[b] or a in place:
                break
            place[a] = b
    return _moved(known[value], place)


def _permuted(node: Node, inputs: list[Value], known: Known) -> Fields:
    value = inputs[0]
    order = list(range(len(value.shape)))
    if node.op == "transpose":
        a, b = node.arguments["dim0"], node.arguments["dim1"]
        order[a], order[b] = order[b], order[a]
    else:
        order = [d % len(order) for d in node.arguments["dims"]]
    return _moved(known[value], {axis: i for i, axis in enumerate(order)})


def _sliced(node: Node, inputs: list[Value], known: Known) -> Fields:
    """Slices move and stretch; an int leaves one position; an array in the index, anything."""
    value = inputs[0]
    shape, index = value.shape, node.arguments["index"]
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, (int, np.integer, slice, type(None), type(...))) for part in index):
        return _moved(known[value], {})
    taken = sum(part is not None and part is not ... for part in index)
    parts = list(index) if any(part is ... for part in index) else [*index, ...]
    at = next(i for i, part in enumerate(parts) if part is ...)
    parts[at : at + 1] = [slice(None)] * (len(shape) - taken)
    by_axis = {f.axis: f for f in known[value] if f.axis is not None}
    moved: dict[int, Field] = {}
    axis = new = 0
    for part in parts:
        if part is not None:
            field = by_axis.get(axis)
            start, _, step = part.indices(shape[axis]) if isinstance(part, slice) else (part % shape[axis], 0, 0)
            if field is not None:
                place, kept = (new, part) if isinstance(part, slice) else (None, slice(start, start + 1))
                moved[axis] = Field(place, field.low[kept], field.high[kept], field.jump * (step or 1), field.whole)
            axis += 1
        new += part is None or isinstance(part, slice)
    return tuple(f if f.axis is None else moved[f.axis] for f in known[value])


def _product(node: Node, inputs: list[Value], known: Known) -> Fields:
    """A fully connected layer takes the last axis together."""
    value = inputs[0]
    return _moved(known[value], {axis: axis for axis in range(len(value.shape) - 1)})


_RULES: dict[str, Callable[[Node, list[Value], Known], Fields]] = {
    **dict.fromkeys(("sum", "mean", "amax", "amin", "max", "min", "argmax", "argmin", "var", "std"), _reduced),
    **dict.fromkeys(("softmax", "log_softmax"), _along),
    **dict.fromkeys(("reshape", "flatten", "squeeze", "unflatten", "unsqueeze"), _reshaped),
    **dict.fromkeys(("permute", "transpose"), _permuted),
    "getitem": _sliced,
    "linear": _product,
}
