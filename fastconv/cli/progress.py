"""How far a training is, on standard error: live on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import math
from time import perf_counter
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn

from fastconv.cli.common import note, stderr
from fastconv.training import BatchRecord, EpochRecord

__all__ = ["TrainingProgress"]

REDRAW = 0.2  # seconds: a redraw costs milliseconds that the training could use


class TrainingProgress:
    """A context in which `on_batch` and `on_epoch`, given to `fastconv.training.fit`, show progress.

    Parameters
    ----------
    epochs, images : int
        Epochs to come, and training images in each.
    """

    def __init__(self, epochs: int, images: int) -> None:
        self.epochs, self.images = epochs, images
        self.start, self.drawn = perf_counter(), -math.inf  # the first batch is drawn
        self.seen = 0
        self.live: Progress | None = None
        console = stderr()
        if console.is_terminal:
            self.live = Progress(
                TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[text]}"),
                console=console,
                auto_refresh=False,
                expand=True,
                transient=True,
            )
            self.task = self.live.add_task("", total=epochs * images, epoch=1, text="")

    def __enter__(self) -> TrainingProgress:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def on_batch(self, record: BatchRecord) -> None:
        """Redraw the live display, now and then."""
        self.seen += record.images
        now = perf_counter()
        if self.live is None or now - self.drawn < REDRAW:
            return
        self.drawn = now
        rate = self.seen / (now - self.start)
        left = (self.epochs * self.images - self.seen) / rate
        text = f"loss {record.loss:.3f}  acc {100 * record.accuracy:.1f} %  {rate:,.0f} img/s  {_clock(left)} left"
        self.live.update(self.task, completed=self.seen, epoch=record.epoch, text=text, refresh=True)

    def on_epoch(self, record: EpochRecord) -> None:
        """Print the line of an epoch."""
        tested = "" if math.isnan(record.test_accuracy) else f"  test accuracy {100 * record.test_accuracy:6.2f} %"
        text = (
            f"epoch {record.epoch:{len(str(self.epochs))}}/{self.epochs}  loss {record.train_loss:.4f}  "
            f"accuracy {100 * record.train_accuracy:6.2f} %{tested}  {record.images_per_second:,.0f} img/s"
        )
        if self.live is None:
            note(text)
        else:
            self.live.console.print(text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
