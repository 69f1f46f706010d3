"""Writes the tables in docs/networks: what `fastconv summary` says about the networks that a page names.

Usage: python tools/network_tables.py

A page names them in a comment, <!-- networks: resnet18 alexnet:paper@3x227x227 -->, a variant after a colon and a shape
after @ where they are not the first and the network's own. The table that follows, up to an empty line, is replaced.
"""

import re
from pathlib import Path

from fastconv import init, models, summary

PAGES = Path(__file__).parents[1] / "docs" / "networks"
TABLE = re.compile(r"(<!-- networks: (?P<names>[^>]+) -->\n)(?:\|[^\n]*\n)*")
HEADS = ("network", "form", "input", "parameters", "GMACs", "field of the last maps", "memory, forward")
HEAD = f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|\n"


def row(entry: str) -> str:
    """Return a line of a table."""
    name, variant, shape = re.fullmatch(r"(\w+)(?::(\w+))?(?:@([\dx]+))?", entry).groups()
    with init.skipped():
        model = models.create(name, variant=variant, rng=0)
    size = tuple(map(int, shape.split("x"))) if shape else models.input_shape(name)
    found = summary(model, size)
    fields = [each.receptive_field for each in found.rows if each.receptive_field.jump[0] is not None]
    last = fields[-1]
    field = "all" if last.start[0] is None else str(last.size[0])
    totals = found.totals
    costs = f"{totals.parameters:,} | {totals.macs / 1e9:.3f} | {field} | {totals.forward_bytes / 1e6:.1f} MB"
    return f"| `{name}` | {model.variant} | {' x '.join(map(str, size))} | {costs} |\n"


def filled(text: str) -> str:
    """Return a page with its tables written anew."""
    return TABLE.sub(lambda found: found[1] + HEAD + "".join(map(row, found["names"].split())), text)


if __name__ == "__main__":
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
