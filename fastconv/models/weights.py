"""Networks with trained weights, from files and into files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv import init
from fastconv.autograd import no_grad
from fastconv.errors import DataError, FastconvError
from fastconv.models._network import Network
from fastconv.models._registry import MODELS, create, options_of
from fastconv.models.densenet import modern_keys
from fastconv.models.preprocessing import Preprocessing, preprocessing_of
from fastconv.models.recipes import RECIPES, Recipe
from fastconv.pickled import load_arrays, load_torch
from fastconv.serialization import load_file, read_metadata, save_file

__all__ = ["Pretrained", "imagenet_classes", "load", "read_weights", "save"]

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how PyTorch's older files begin
WRAPPERS = ("state_dict", "model_state_dict", "model")
LARGEST_OPTION = 256


@dataclass
class Pretrained:
    """A network with trained weights, and what belongs to them.

    Attributes
    ----------
    model : Network
        In evaluation mode.
    preprocessing : Preprocessing
        What photographs have to look like.
    classes : list of str
        Names of its outputs.
    """

    model: Network
    preprocessing: Preprocessing
    classes: list[str]

    def probabilities(self, image: Any) -> np.ndarray:
        """Return the probability of every class, (K,), for a photograph, uint8 (H, W, 3)."""
        with no_grad():
            return F.softmax(self.model(self.preprocessing(image)), 1).numpy()[0]

    def predict(self, image: Any, top: int = 5) -> list[tuple[str, float]]:
        """Return the best classes of a photograph with their probabilities."""
        found = self.probabilities(image)
        return [(self.classes[number], float(found[number])) for number in np.argsort(-found, kind="stable")[:top]]


def imagenet_classes() -> list[str]:
    """Return the names of ImageNet's 1000 classes in their order.

    Examples
    --------
    >>> imagenet_classes()[281:284]
    ['tabby', 'tiger cat', 'Persian cat']
    """
    return (Path(__file__).parent / "imagenet.txt").read_text("utf-8").splitlines()


def save(
    model: Network,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
) -> None:
    """Write a network's weights to a safetensors file, with all that :func:`load` needs to use them again.

    Parameters
    ----------
    model : Network
        One of :func:`names`.
    path : str or path-like
        The file to create or to replace.
    classes : sequence of str, optional
        Names of its outputs.
    preprocessing : Preprocessing, optional
        What photographs have to look like.

    Raises
    ------
    ValueError
        For a network that `create` did not make.
    OSError, MissingExtraError
        As for :func:`fastconv.serialization.save_file`.
    """
    if model.name not in MODELS:
        raise ValueError(f"save: model must be one that models.create makes, got {type(model).__name__}")
    about: dict[str, Any] = {"model": model.name, "variant": model.variant, "options": options_of(model)}
    if classes is not None:
        about["classes"] = list(classes)
    if preprocessing is not None:
        about["preprocessing"] = preprocessing.to_dict()
    save_file(model.state_dict(), path, {key: json.dumps(value) for key, value in about.items()})


def load(
    path: str | os.PathLike[str], name: str | None = None, *, recipe: str | None = None, **options: Any
) -> Pretrained:
    """Make a network with the weights of a file.

    Parameters
    ----------
    path : str or path-like
        A file of :func:`save`; one of ``torch.save``, of today's or of the older format, with torchvision's or timm's
        keys, old DenseNet's too; one of a recipe. Nothing in it is run, trusted or not.
    name : str, optional
        Which network it is, where the file does not say so.
    recipe : str, optional
        One of `RECIPES`; by default the one whose names the file has.
    **options
        Arguments of the network's factory, `variant` among them. The number of classes, of input channels and whether
        there are auxiliary heads follow from the file.

    Returns
    -------
    Pretrained
        The network, in evaluation mode, how to prepare photographs for it, and names of its classes.

    Raises
    ------
    OSError
        When the file is missing or cannot be read.
    DataError, ShapeError, TypeError
        When it is damaged, or does not fit the network: the message lists what is missing, unexpected or of another
        shape.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from fastconv.models import squeezenet1_1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "weights.safetensors")
    ...     save(squeezenet1_1(2, rng=0), file, classes=["cat", "dog"])
    ...     found = load(file)
    >>> found.model.name, found.classes, found.preprocessing.crop
    ('squeezenet1_1', ['cat', 'dog'], 224)
    """
    weights, about = read_weights(path)
    name = name if name is not None else about.get("model")
    if name is None:
        raise ValueError(f"load: {path} does not say which network it holds, so `name` must")
    try:
        used = _recipe(recipe, name, weights)
        state = {**weights} if used is None else used.convert(weights)
        given = {**(used.options if used is not None else {}), **about.get("options", {}), **options}
        variant = given.pop("variant", about.get("variant"))
        model = _fitted(name, variant, given, modern_keys(state))
    except FastconvError as error:
        error.args = (f"load: {path}: {error}",)
        raise
    except (TypeError, ValueError) as error:
        if not about:
            raise
        raise DataError(f"load: {path}: {error}") from None
    preprocessing = about.get("preprocessing") or (
        used.preprocessing if used is not None else preprocessing_of(name, model.variant)
    )
    outputs = model.state_dict()[f"{model.heads[0]}.weight"].shape[0]
    model.eval()
    classes = about.get("classes") or (imagenet_classes() if outputs == 1000 else [str(n) for n in range(outputs)])
    if len(classes) != outputs:
        raise DataError(f"load: {path} names {len(classes)} classes, the network has {outputs} outputs")
    return Pretrained(model, preprocessing, classes)


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of a file by name, and what it says of them, checked; see :func:`load` for which files.

    Raises
    ------
    OSError, DataError
        As `load`.
    """
    if not os.path.isfile(path):
        load_file(path)  # says what is wrong
    with open(path, "rb") as file:
        start = file.read(len(LEGACY))
    if start[:4] != b"PK\x03\x04" and start[:1] != b"\x80":
        return load_file(path), _about(path)
    found = load_arrays(path) if start[:1] == b"\x80" and start != LEGACY else load_torch(path)
    for wrapper in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict) or not found or not all(isinstance(key, str) for key in found):
        raise DataError(f"load: {path} holds a {type(found).__name__}, not weights by name")
    if all(key.startswith("module.") for key in found):  # DataParallel's
        found = {key.removeprefix("module."): value for key, value in found.items()}
    return found, {}


def _about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a safetensors file says of itself, trusted or not."""
    found: dict[str, Any] = {}
    for key, text in read_metadata(path).items():
        if key == "preprocessing" or key in _ALLOWED:
            try:
                found[key] = json.loads(text)
            except (ValueError, RecursionError):
                raise DataError(f"load: {path} has {key} {text[:60]}, which is not JSON") from None
            if key in _ALLOWED and not _ALLOWED[key](found[key]):
                raise DataError(f"load: {path} has {key} {text[:60]}, which is not allowed")
    if "preprocessing" in found:
        found["preprocessing"] = Preprocessing.from_dict(found["preprocessing"])
    return found


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_option(value: Any) -> bool:
    """Say whether it is an argument that a file may give: none that makes a network huge."""
    return isinstance(value, (bool, float, str)) or (isinstance(value, int) and 0 <= value <= LARGEST_OPTION)


_ALLOWED: dict[str, Callable[[Any], bool]] = {
    "model": lambda value: isinstance(value, str) and value in MODELS,
    "variant": lambda value: isinstance(value, str),
    "classes": lambda value: isinstance(value, list) and all(map(_is_name, value)),
    "options": lambda value: isinstance(value, dict) and all(map(_is_option, value.values())),
}


def _recipe(wanted: str | None, name: str, weights: Mapping[str, Any]) -> Recipe | None:
    if wanted is not None and wanted not in RECIPES:
        raise ValueError(f"load: recipe must be one of {', '.join(RECIPES)}, got {wanted!r}")
    for key, recipe in RECIPES.items():
        if key == wanted or (wanted is None and recipe.model == name and recipe.marker in weights):
            if recipe.model != name:
                raise ValueError(f"load: the recipe {key} is for {recipe.model}, not for {name}")
            return recipe
    return None


def _fitted(name: str, variant: str | None, options: dict[str, Any], state: dict[str, Any]) -> Network:
    """Return the network with the weights, which say how many classes, input channels and heads it has."""
    for key, value in state.items():
        if not isinstance(value, np.ndarray):
            raise DataError(f"{key[:80]} is of type {type(value).__name__}, not an array")
    parameters = dict(options)
    with init.skipped():
        model = create(name, variant=variant, **parameters)
        own = model.state_dict()
        auxiliary = {head.split(".")[0] for head in model.heads[1:]}
        if auxiliary and "aux_logits" not in options and not any(key.split(".")[0] in auxiliary for key in state):
            parameters["aux_logits"] = False
        head, first = f"{model.heads[0]}.weight", next(key for key, value in own.items() if value.ndim == 4)
        if head in state and state[head].ndim and state[head].shape[0] != own[head].shape[0]:
            parameters["num_classes"] = state[head].shape[0]
        if first in state and state[first].ndim == 4 and state[first].shape[1] != own[first].shape[1]:
            parameters["in_channels"] = state[first].shape[1]
        if parameters != options:
            model = create(name, variant=variant, **parameters)
            own = model.state_dict()
    if any(value.dtype == np.float64 for value in state.values()):
        with np.errstate(invalid="ignore"):  # what is there is not initialised
            model.double()
    # PyTorch counts batches since 2018; files from before have no such numbers.
    counts = {key: value for key, value in own.items() if key.endswith("num_batches_tracked") and key not in state}
    model.load_state_dict({**state, **counts})
    return model
