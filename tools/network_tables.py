"""Writes the tables in docs/networks: what `fastconv summary` says about the networks that a page names; and drawings.

Usage: python tools/network_tables.py [--drawings]

A page names them in a comment, <!-- networks: resnet18 alexnet:paper@3x227x227 -->, a variant after a colon and a shape
after @ where they are not the first and the network's own. The table that follows, up to an empty line, is replaced.
A picture whose text begins with such a name, ![resnet18, shapes of one image](resnet18.png), is drawn.
"""

import argparse
import re
from pathlib import Path

from PIL import Image

from fastconv import init, models, summary
from fastconv.visualize import architecture

PAGES = Path(__file__).parents[1] / "docs" / "networks"
TABLE = re.compile(r"(<!-- networks: (?P<names>[^>]+) -->\n)(?:\|[^\n]*\n)*")
PICTURE = re.compile(r"!\[(?P<entry>[\w:]+)[^]]*\]\((?P<file>[\w-]+\.png)\)")
HEADS = ("network", "form", "input", "parameters", "GMACs", "field of the last maps", "memory, forward")
HEAD = f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|\n"


def made(entry: str) -> tuple[models.Network, tuple[int, ...]]:
    """Return the network that a page names, and the shape of its images."""
    name, variant, shape = re.fullmatch(r"(\w+)(?::(\w+))?(?:@([\dx]+))?", entry).groups()
    with init.skipped():
        model = models.create(name, variant=variant, rng=0)
    return model, tuple(map(int, shape.split("x"))) if shape else model.image_shape


def row(entry: str) -> str:
    """Return a line of a table."""
    model, size = made(entry)
    found = summary(model, size)
    fields = [each.receptive_field for each in found.rows if each.receptive_field.jump[0] is not None]
    last = fields[-1]
    field = "all" if last.start[0] is None else str(last.size[0])
    totals = found.totals
    costs = f"{totals.parameters:,} | {totals.macs / 1e9:.3f} | {field} | {totals.forward_bytes / 1e6:.1f} MB"
    return f"| `{model.name}` | {model.variant} | {' x '.join(map(str, size))} | {costs} |\n"


def filled(text: str) -> str:
    """Return a page with its tables written anew."""
    return TABLE.sub(lambda found: found[1] + HEAD + "".join(map(row, found["names"].split())), text)


def draw(text: str) -> None:
    """Draw the pictures of a page, in few colours: a fifth of the size."""
    for found in PICTURE.finditer(text):
        path = PAGES / found["file"]
        architecture(*made(found["entry"]), path=path)
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(32)
        small.save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drawings", action="store_true", help="draw the pictures too")
    drawings = parser.parse_args().drawings
    for page in sorted(PAGES.glob("*.md")):
        text = filled(page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
        if drawings:
            draw(text)
