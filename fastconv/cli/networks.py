"""Networks by name, for the commands that look at them."""

from __future__ import annotations

import re
from typing import Any

import click

from fastconv import models
from fastconv.init import skipped

__all__ = ["input_option", "made", "variant_option"]


class _Shape(click.ParamType):
    """Lengths with x between them: 3x224x224."""

    name = "shape"

    def convert(self, value: Any, parameter: Any, context: Any) -> tuple[int, ...]:
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8}){1,4}", value):
            self.fail(f"{value!r} is no shape; write 3x224x224, or 8x3x224x224 for a batch", parameter, context)
        return tuple(int(n) for n in value.split("x"))


input_option = click.option(
    "--input", "input_shape", type=_Shape(), metavar="CxHxW", help="Shape of the images.  [default: the network's own]"
)
variant_option = click.option("--variant", metavar="NAME", help="The form of the network.  [default: its first]")


def made(name: str, variant: str | None, shape: tuple[int, ...] | None) -> tuple[Any, tuple[int, ...]]:
    """Return a network whose weights are blank, and the shape of an image for it."""
    own = models.input_shape(name)
    with skipped():
        return models.create(name, variant=variant, rng=0), own if shape is None else shape
