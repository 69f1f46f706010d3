"""A trained network in one file, with all that is needed to use it: no code, no pickle."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastconv
from fastconv import functional as F
from fastconv.autograd import no_grad
from fastconv.data import Compose, Normalize, Resize
from fastconv.data.transforms import Transform
from fastconv.errors import DataError
from fastconv.layers import Module
from fastconv.models import MODELS, create
from fastconv.serialization import load_model, read_metadata, save_model

__all__ = ["Checkpoint"]

_KEYS = ("model", "variant", "classes", "mean", "std", "data", "epoch", "size")


@dataclass
class Checkpoint:
    """A network and what belongs to its weights.

    Attributes
    ----------
    model : Module
        The network, as ``create(name, len(classes), variant=variant, in_channels=1)`` makes it.
    name, variant : str
        Which network it is.
    classes : list of str
        Names of its outputs.
    mean, std : float
        What images, scaled to 0 .. 1, are normalised with.
    data : str
        The data set it was trained on.
    epoch : int
        Epochs it was trained for.
    size : int or None
        Height and width that images are scaled to; None leaves them as they are.

    Examples
    --------
    >>> from fastconv.models import lenet5
    >>> checkpoint = Checkpoint(lenet5(rng=0), "lenet5", "modern", list("0123456789"), 0.13, 0.31, "digits")
    >>> checkpoint.probabilities(np.zeros((2, 28, 28), np.uint8)).shape
    (2, 10)
    """

    model: Module
    name: str
    variant: str
    classes: list[str]
    mean: float
    std: float
    data: str
    epoch: int = 0
    size: int | None = None

    @property
    def transform(self) -> Transform:
        """What makes images (N, 1, H, W) of values from 0 to 1 what the network expects."""
        normalize = Normalize(self.mean, self.std)
        return normalize if self.size is None else Compose([Resize((self.size, self.size)), normalize])

    def probabilities(self, images: Any) -> np.ndarray:
        """Return the probability of every class, float32 (N, K), for uint8 images (N, H, W)."""
        scaled = np.divide(images, np.float32(255), dtype=np.float32)[:, None]
        with no_grad():
            return F.softmax(self.model.eval()(self.transform(scaled)), dim=1).numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, atomically; the text beside the weights is JSON, a value each."""
        metadata = {
            "model": self.name,
            "variant": self.variant,
            "classes": self.classes,
            "mean": self.mean,
            "std": self.std,
            "data": self.data,
            "epoch": self.epoch,
            "size": self.size,
            "fastconv_version": fastconv.__version__,
        }
        save_model(self.model, path, {key: json.dumps(value) for key, value in metadata.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read a file written by `save`, trusted or not.

        Raises
        ------
        OSError
            When the file is missing or cannot be read.
        DataError, ShapeError
            When it is damaged, or not a checkpoint of a network that fastconv has.
        """
        text = {"size": "null", **read_metadata(path)}
        try:
            found = {key: json.loads(text[key]) for key in _KEYS}
        except (KeyError, ValueError, RecursionError) as error:
            raise DataError(f"Checkpoint.load: {path} does not say what network it holds: {error!r}") from None
        name, classes = found["model"], found["classes"]
        for key, valid in {
            "model": isinstance(name, str) and name in MODELS,
            "variant": isinstance(found["variant"], str),
            "classes": isinstance(classes, list)
            and all(map(_is_word, classes))
            and len(set(classes)) == len(classes) > 0,
            "mean": _is_finite(found["mean"]),
            "std": _is_finite(found["std"]) and found["std"] > 0,
            "data": _is_word(found["data"]),
            "epoch": type(found["epoch"]) is int and found["epoch"] >= 0,
            "size": found["size"] is None or (type(found["size"]) is int and 0 < found["size"] <= 10_000),
        }.items():
            if not valid:
                raise DataError(f"Checkpoint.load: {path} has {key} {text[key][:60]}, which is not allowed")
        try:
            model = create(name, len(classes), variant=found["variant"], in_channels=1)
        except ValueError as error:
            raise DataError(f"Checkpoint.load: {path}: {error}") from None
        load_model(model, path)
        numbers = float(found["mean"]), float(found["std"])
        return cls(
            model.eval(), name, found["variant"], classes, *numbers, found["data"], found["epoch"], found["size"]
        )


def _is_word(value: Any) -> bool:
    """Say whether it is a name fit for a terminal."""
    return isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
