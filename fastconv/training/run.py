"""The folder that a training leaves behind."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastconv.errors import DataError
from fastconv.serialization import write_atomically
from fastconv.training.checkpoint import Checkpoint
from fastconv.training.history import History

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """A folder with weights, history, settings and figures of one training.

    Attributes
    ----------
    folder : pathlib.Path
        Where it is.
    weights, history, config, learning_curve, misclassified, last_good_step : pathlib.Path
        The files in it, which need not exist. The last has weights of a training that the loss put an end to.

    Examples
    --------
    >>> Run(Path("runs/first")).history.as_posix()
    'runs/first/history.csv'
    """

    folder: Path

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    @property
    def learning_curve(self) -> Path:
        return self.folder / "learning_curve.png"

    @property
    def misclassified(self) -> Path:
        return self.folder / "misclassified.png"

    @property
    def last_good_step(self) -> Path:
        return self.folder / "last_good_step.safetensors"

    @classmethod
    def create(cls, folder: str | os.PathLike[str] | None = None, *, name: str = "run", force: bool = False) -> Run:
        """Make the folder of a new run.

        Parameters
        ----------
        folder : str or path-like, optional
            Where; ``runs/NAME-YYYYmmdd-HHMMSS`` when left out, with a number after it if that exists.
        name : str
            NAME.
        force : bool
            Take a folder that is not empty. What an earlier run left in it stays until `save` replaces it.

        Raises
        ------
        FileExistsError
            When the folder is not empty and `force` is False, or there is a file of that name.
        OSError
            When it cannot be made.
        """
        if folder is None:
            stem = Path("runs", f"{name}-{datetime.now():%Y%m%d-%H%M%S}")
            for number in range(1, 1000):
                path = stem if number == 1 else stem.with_name(f"{stem.name}-{number}")
                try:
                    path.mkdir(parents=True)
                except FileExistsError:
                    continue
                return cls(path)
        path = Path(folder if folder is not None else stem)
        if path.exists() and not path.is_dir():
            raise FileExistsError(f"{path} exists and is not a folder")
        path.mkdir(parents=True, exist_ok=True)
        if not force and any(path.iterdir()):
            raise FileExistsError(
                f"{path} exists and is not empty: name another folder, or use --force to overwrite it"
            )
        return cls(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """Find a run by its folder or by the file with its weights.

        Raises
        ------
        FileNotFoundError
            When there is no such folder, or no weights in it.
        """
        path = Path(path)
        if path.is_dir():
            run = cls(path)
        elif path.exists() and path.name == cls(path.parent).weights.name:
            run = cls(path.parent)
        else:
            raise FileNotFoundError(f"no such run: {path}")
        if not run.weights.exists():
            raise FileNotFoundError(f"{path} holds no run: {run.weights.name} is missing")
        return run

    def save(self, checkpoint: Checkpoint, history: History, config: dict[str, Any]) -> None:
        """Write weights, history and settings, each atomically; after the first epoch clear what an old run left."""
        if len(history) == 1:
            for old in (self.learning_curve, self.misclassified, self.last_good_step):
                old.unlink(missing_ok=True)
            write_atomically(self.config, (json.dumps(config, indent=2) + "\n").encode())
        checkpoint.save(self.weights)
        history.save(self.history)

    def read_config(self) -> dict[str, Any]:
        """Return the settings; empty when there are none.

        Raises
        ------
        DataError
            When the file is not a JSON object.
        """
        try:
            found = json.loads(self.config.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.config} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise DataError(f"{self.config} must hold a JSON object, got {type(found).__name__}")
        return found

    def discard_if_empty(self) -> None:
        """Remove the folder if nothing was written into it."""
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
