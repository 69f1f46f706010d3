"""What training measured, an epoch at a time."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from fastconv.errors import DataError
from fastconv.serialization import write_atomically

__all__ = ["EpochRecord", "History"]


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    train_loss, train_accuracy : float
        Means over the epoch's images, each taken in training mode just before the step that used it.
    test_loss, test_accuracy : float
        After the epoch, on the validation data; NaN when there is none. Accuracies lie in 0 .. 1.
    learning_rate : float
        Of the epoch's last step.
    images_per_second : float
        Training images, validation not counted.
    seconds : float
        The whole epoch, validation counted.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    learning_rate: float
    images_per_second: float
    seconds: float


@dataclass
class History:
    """The epochs of one training, in order.

    Examples
    --------
    >>> history = History([EpochRecord(1, 0.5, 0.8, 0.4, 0.9, 0.01, 2e4, 0.4)])
    >>> len(history), history[-1].test_accuracy
    (1, 0.9)
    >>> print(history.to_csv().splitlines()[0])
    epoch,train_loss,train_accuracy,test_loss,test_accuracy,learning_rate,images_per_second,seconds
    """

    records: list[EpochRecord] = field(default_factory=list)

    def append(self, record: EpochRecord) -> None:
        """Add a finished epoch."""
        self.records.append(record)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    def __getitem__(self, index: int) -> EpochRecord:
        return self.records[index]

    def to_csv(self) -> str:
        """Return the table as comma-separated text with a header line."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [column.name for column in fields(EpochRecord)], lineterminator="\n")
        writer.writeheader()
        for record in self.records:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(record).items()})
        return text.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_csv` to a file, atomically."""
        write_atomically(path, self.to_csv().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a file written by `save`.

        Raises
        ------
        DataError
            When the columns are others or a value is not a number.
        """
        try:
            rows = list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8"))))
            records = [EpochRecord(int(row.pop("epoch")), **{k: float(v) for k, v in row.items()}) for row in rows]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise DataError(f"History.load: {path} is not a training history: {error}") from None
        return cls(records)
