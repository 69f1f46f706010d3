"""``fastconv visualize``: a network as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fastconv import visualize
from fastconv.cli.common import print_json, require_extras, stdout
from fastconv.cli.networks import input_option, trained_or_new, variant_option, with_weights
from fastconv.graph import receptive_field
from fastconv.models import RECIPES

__all__ = ["command"]

KINDS = ("architecture", "filters", "features", "field", "cam")


@click.argument("kind", type=click.Choice(KINDS))
@click.argument("network")
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option("--layer", "layers", metavar="PATH", multiple=True, help="Path of a layer; features takes several.")
@click.option(
    "--position", type=(int, int), metavar="ROW COLUMN", help="Of the element whose field is drawn.  [default: middle]"
)
@click.option(
    "--target", type=click.IntRange(0), metavar="N", help="Class whose evidence is drawn.  [default: the likeliest]"
)
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Draw blocks N levels down as one box each.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Draw at most N filters, or maps a layer.")
@input_option
@variant_option
@click.option(
    "--weights", type=click.Path(path_type=Path), metavar="FILE", help="Trained weights for NETWORK, as predict takes."
)
@click.option("--recipe", type=click.Choice(sorted(RECIPES)), help="How to use FILE.  [default: as its names say]")
@click.option("--out", type=click.Path(path_type=Path), help="PNG file.  [default: KIND-NETWORK.png]")
def command(
    kind: str,
    network: str,
    image: Path | None,
    layers: tuple[str, ...],
    position: tuple[int, int] | None,
    target: int | None,
    depth: int | None,
    limit: int | None,
    input_shape: tuple[int, ...] | None,
    variant: str | None,
    weights: Path | None,
    recipe: str | None,
    out: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Draw NETWORK, a name such as resnet18 (with new weights or those of FILE) or a run folder, as a PNG file.

    \b
    architecture  boxes and arrows, with shapes
    filters       the weights of a convolution, by default the first
    features      what layers make of IMAGE
    field         what one element of a layer sees, on IMAGE if there is one
    cam           where in IMAGE the evidence for a class lies (Grad-CAM)
    """
    require_extras("matplotlib")
    if image is None and kind in ("features", "cam"):
        raise click.UsageError(f"visualize {kind} needs an IMAGE.")
    if weights is None and recipe is not None:
        raise click.UsageError("--recipe is for the FILE of --weights.")
    if weights is None:
        found = trained_or_new(network, variant, input_shape, image, seed)
    else:
        found = with_weights(network, variant, input_shape, image, weights, recipe)
    model, shape, x = found.model, found.shape, found.image
    path = Path(f"{kind}-{Path(network).resolve().name}.png") if out is None else out
    if kind == "architecture":
        visualize.architecture(model, shape, depth, path)
    elif kind == "filters":
        visualize.filters(model, layers[0] if layers else None, limit or 64, path)
    elif kind == "features":
        visualize.feature_maps(model, x, layers or _maps(model, shape), limit or 16, path)
    elif kind == "field":
        layer = layers[0] if layers else _maps(model, shape)[-1]
        visualize.receptive_field(model, layer, position or _middle(model, shape, layer), x, path, shown=found.shown)
    else:
        visualize.grad_cam(model, x, target, layers[0] if layers else None, found.classes, path, shown=found.shown)
    if as_json:
        print_json({"kind": kind, "network": network, "file": str(path)})
    else:
        stdout().print(str(path), markup=False, soft_wrap=True)


def _maps(model: Any, shape: tuple[int, ...]) -> list[str]:
    """Paths of some layers that make maps: up to five, evenly over the network."""
    modules = dict(model.named_modules())
    found = [
        path for path, field in receptive_field(model, shape).items() if path in modules and None not in field.jump
    ]
    count = min(len(found), 5)
    return [found[round(i * (len(found) - 1) / max(count - 1, 1))] for i in range(count)]


def _middle(model: Any, shape: tuple[int, ...], layer: str) -> tuple[int, int]:
    """The element whose field is nearest to the middle of the image."""
    field = receptive_field(model, shape, layer)
    found = [
        0 if jump is None or start is None else max(0, round((pixels / 2 - start) / jump))
        for pixels, jump, start in zip(shape[-2:], field.jump, field.start, strict=True)
    ]
    return found[0], found[1]
