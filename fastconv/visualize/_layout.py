"""Where the boxes of a drawing go: in levels from top to bottom, in columns from left to right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastconv.graph.outline import Box

__all__ = ["Place", "arrange"]

WIDTH, GAP, BEND = 1.72, 0.16, 0.22  # inches: of a box, between neighbours, of a line that passes a level
LEVELS = 22  # in a column, about


@dataclass(eq=False, slots=True)
class Place:
    """A box, or a point that a long line passes, with its place in inches: the middle of its level."""

    box: Box | None
    level: int
    sources: list[Place]
    x: float = 0.0
    column: int = 0

    @property
    def width(self) -> float:
        """What it takes of its level."""
        return BEND if self.box is None else WIDTH


def arrange(boxes: Sequence[Box]) -> tuple[list[list[Place]], list[tuple[float, float]]]:
    """Return the places level by level, and for each column its left and right edge.

    The method is Sugiyama's: lines that pass levels get a point in each, levels are sorted by where their sources are,
    and places are as near to their sources as the others on the level allow.
    """
    levels = _levels(boxes)
    for row in levels[1:]:
        _place(row)
    for column, rows in enumerate(_columns(levels)):
        for row in rows:
            for place in row:
                place.column = column
    edges, left = [], 0.0
    for column in range(levels[-1][0].column + 1):
        inside = [place for row in levels for place in row if place.column == column]
        low = min(place.x - place.width / 2 for place in inside)
        high = max(place.x + place.width / 2 for place in inside)
        for place in inside:
            place.x += left - low
        edges.append((left, left + high - low))
        left += high - low + 0.9
    return levels, edges


def _levels(boxes: Sequence[Box]) -> list[list[Place]]:
    levels: list[list[Place]] = [[] for _ in range(1 + max(box.level for box in boxes))]
    ways: dict[Box, list[Place]] = {}  # a box, then the points of a line from it, one a level
    for box in boxes:
        place = Place(box, box.level, [])
        for source in box.sources:
            way = ways[source]
            while way[-1].level < box.level - 1:
                way.append(Place(None, way[-1].level + 1, [way[-1]]))
                levels[way[-1].level].append(way[-1])
            place.sources.append(way[box.level - 1 - source.level])
        levels[box.level].append(place)
        ways[box] = [place]
    return levels


def _place(row: list[Place]) -> None:
    """Sort a level, and put each place as near to its sources as goes."""

    def wanted(place: Place) -> float:
        boxes = [source.x for source in place.sources if source.box is not None]
        near = boxes if boxes and len(place.sources) <= 2 else [source.x for source in place.sources]
        return sum(near) / len(near) if near else 0.0

    row.sort(key=lambda place: wanted(place) + (0.01 if place.box is None else 0.0))
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + GAP)
    # Least squares under an order: neighbours that want to be too near are pooled. Lines give way to boxes, and one box
    # beside the main path gives way to that, so that it stays straight.
    solids = [place for place in row if place.box is not None]
    weights = dict.fromkeys(solids, 1000.0) if len(solids) != 2 else {solids[0]: 1e6, solids[1]: 1e3}
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for place, offset in zip(row, offsets, strict=True):
        mean, weight, count = wanted(place) - offset, weights.get(place, 1.0), 1
        while pools and pools[-1][0] > mean:
            before, more, many = pools.pop()
            mean, weight, count = (mean * weight + before * more) / (weight + more), weight + more, count + many
        pools.append((mean, weight, count))
    means = np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])
    for place, offset, mean in zip(row, offsets, means, strict=True):
        place.x = float(mean) + offset


def _columns(levels: list[list[Place]]) -> list[list[list[Place]]]:
    """Cut the levels into columns of about equal length, where few lines are cut."""
    count = max(1, round(len(levels) / LEVELS))
    cuts, size = [0], len(levels) / count
    for i in range(1, count):
        middle = round(i * size)
        around = range(max(cuts[-1] + 2, middle - 4), min(len(levels) - 1, middle + 5))
        cuts.append(min(around, key=lambda level: (len(levels[level - 1]), abs(level - middle))))
    return [levels[a:b] for a, b in zip(cuts, [*cuts[1:], len(levels)], strict=True)]
