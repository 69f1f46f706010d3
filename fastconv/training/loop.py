"""Training and evaluation: batches through a network, epoch after epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.autograd import no_grad
from fastconv.errors import FastconvError
from fastconv.layers import Module
from fastconv.lr_scheduler import LRScheduler, ReduceLROnPlateau
from fastconv.optim import Optimizer, clip_grad_norm_, clip_grad_value_
from fastconv.training.evaluation import evaluate
from fastconv.training.history import EpochRecord, History

__all__ = ["BatchRecord", "NonFiniteLossError", "fit"]

Loss = Callable[[Any, Any], Any]


class NonFiniteLossError(FastconvError, ArithmeticError):
    """The loss became NaN or infinite, and training stopped with the weights of the last good step.

    Attributes
    ----------
    epoch, batch, step : int
        Where, all counted from 1; `step` counts batches over all epochs.
    """

    def __init__(self, loss: float, epoch: int, batch: int, batches: int, step: int, rate: float) -> None:
        super().__init__(
            f"fit: the loss is {loss} at step {step} "
            f"(epoch {epoch}, batch {batch} of {batches}, learning rate {rate:g})"
        )
        self.epoch, self.batch, self.step = epoch, batch, step


class BatchRecord(NamedTuple):
    """Where training is: what `fit` tells `on_batch`.

    Attributes
    ----------
    epoch, batch, batches : int
        Number of the epoch and of the batch, from 1, and batches an epoch.
    images : int
        In the batch.
    loss, accuracy : float
        Means over the epoch so far.
    """

    epoch: int
    batch: int
    batches: int
    images: int
    loss: float
    accuracy: float


def fit(
    model: Module,
    train_loader: Any,
    validation_loader: Iterable[Any] | None = None,
    *,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    epochs: int = 1,
    loss: Loss = F.cross_entropy,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    on_batch: Callable[[BatchRecord], Any] | None = None,
    on_epoch: Callable[[EpochRecord], Any] | None = None,
) -> History:
    """Train a classifier.

    Parameters
    ----------
    model : Module
        Takes images (N, C, H, W), returns scores (N, K). Trained in place, left in evaluation mode. While training it
        may return a tuple, its scores and those of auxiliary heads, whose losses count ``model.aux_weight`` each.
    train_loader : iterable with a length
        Yields pairs of images and labels (N,) anew in each epoch, such as a `fastconv.data.DataLoader`.
    validation_loader : iterable, optional
        The same kind of pairs, evaluated after each epoch.
    optimizer : Optimizer
        Of the model's parameters.
    scheduler : LRScheduler, optional
        Stepped after every batch, not every epoch. Only a `ReduceLROnPlateau` is stepped after every epoch, with the
        loss if its mode is "min" and the accuracy if it is "max", those of the validation where there is one.
    epochs : int
        How often to go through the training data.
    loss : callable
        From scores and labels to a Tensor with one number, the mean over the batch.
    clip_norm, clip_value : float, optional
        Before each update the gradients are cut to [-clip_value, clip_value], then scaled down to at most this common
        2-norm (`fastconv.optim.clip_grad_norm_`).
    on_batch, on_epoch : callable, optional
        Called with a `BatchRecord` after each batch and an `EpochRecord` after each epoch, for a display or to
        save the weights. What they raise ends the training.

    Returns
    -------
    History
        A record an epoch.

    Raises
    ------
    NonFiniteLossError
        When a loss, or a weight at the end of an epoch, is NaN or infinite. The model then has the weights of the
        last good step: one after which the batch that made it still has a finite loss.
    NonFiniteGradientError
        When gradients are to be clipped and one is not finite; it names the parameter. The model has the weights of
        the step before.
    KeyboardInterrupt
        After Ctrl-C. The model then has the weights of the last finished epoch, or those it came with.
    TypeError, ValueError
        When an argument is wrong, or the training data is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.layers import Flatten, Linear, Sequential
    >>> from fastconv.optim import SGD
    >>> images = np.random.default_rng(0).random((64, 1, 2, 2), np.float32)
    >>> labels = (images.mean((1, 2, 3)) > 0.5).astype(np.int64)
    >>> model = Sequential(Flatten(), Linear(4, 2, rng=0))
    >>> history = fit(model, [(images, labels)], optimizer=SGD(model.parameters(), lr=2.0), epochs=100)
    >>> len(history), bool(history[-1].train_accuracy > 0.9)
    (100, True)
    """
    epochs = checks.integer(epochs, "fit", "epochs")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    if not len(train_loader):
        raise ValueError("fit: train_loader has no batches")
    plateau = scheduler if isinstance(scheduler, ReduceLROnPlateau) else None
    history = History()
    trainer = _Trainer(model, optimizer, None if plateau else scheduler, loss, _clipping(model, clip_norm, clip_value))
    finished = snapshot(model)
    try:
        for epoch in range(1, epochs + 1):
            start = perf_counter()
            model.train()
            mean_loss, accuracy, images = trainer.epoch(epoch, train_loader, on_batch)
            seconds = perf_counter() - start
            tested = None if validation_loader is None else evaluate(model, validation_loader, loss=loss)
            finished = snapshot(model)
            record = EpochRecord(
                epoch,
                mean_loss,
                accuracy,
                math.nan if tested is None else tested.loss,
                math.nan if tested is None else tested.accuracy,
                trainer.rate,
                images / seconds,
                perf_counter() - start,
            )
            history.append(record)
            if plateau is not None:
                plateau.step(_judged(record, plateau.mode, tested is not None))
            if on_epoch is not None:
                on_epoch(record)
    except KeyboardInterrupt:
        model.load_state_dict(finished)
        raise
    finally:
        model.eval()
    return history


def _clipping(model: Module, clip_norm: float | None, clip_value: float | None) -> Callable[[], None]:
    """Return what is done with the gradients before each update."""
    norm = None if clip_norm is None else checks.number(clip_norm, "fit", "clip_norm", minimum=0.0)
    value = None if clip_value is None else checks.number(clip_value, "fit", "clip_value", minimum=0.0)

    def clip() -> None:
        if value is not None:
            clip_grad_value_(model.named_parameters(), value)
        if norm is not None:
            clip_grad_norm_(model.named_parameters(), norm)

    return clip


def _judged(record: EpochRecord, mode: str, validated: bool) -> float:
    """Return the metric that a `ReduceLROnPlateau` is to listen to."""
    if mode == "min":
        return record.test_loss if validated else record.train_loss
    return record.test_accuracy if validated else record.train_accuracy


class _Trainer:
    """What stays the same from step to step, and the way back from a bad one."""

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        loss: Loss,
        clip: Callable[[], None],
    ) -> None:
        self.model, self.optimizer, self.scheduler, self.loss, self.clip = model, optimizer, scheduler, loss, clip
        self.step = 0
        self.rate = optimizer.param_groups[0]["lr"]
        # The state before the last update, the live arrays it is copied from, and the batch that update came from.
        self.saved = snapshot(model)
        self.live = {name: value.data for name, value in model.state_dict().items()}
        self.previous: tuple[Any, Any] | None = None

    def epoch(self, epoch: int, loader: Any, on_batch: Callable[[BatchRecord], Any] | None) -> tuple[float, float, int]:
        """Go through the data once; return mean loss, accuracy and number of images."""
        total, correct, seen, batches = 0.0, 0, 0, len(loader)
        for batch, (images, labels) in enumerate(loader, 1):
            self.step += 1
            self.rate = self.optimizer.param_groups[0]["lr"]
            self.optimizer.zero_grad()
            scores, loss = self.judge(images, labels)
            value = loss.item()
            if not math.isfinite(value):
                self.go_back()
                raise NonFiniteLossError(value, epoch, batch, batches, self.step, self.rate)
            loss.backward()
            self.clip()
            for name, array in self.live.items():
                np.copyto(self.saved[name], array)
            self.previous = images, labels
            with np.errstate(over="ignore", invalid="ignore"):  # is noticed by the next loss or `is_good`
                self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
            total += value * len(labels)
            correct += int((scores.data.argmax(axis=1) == np.asarray(labels)).sum())
            seen += len(labels)
            if on_batch is not None:
                on_batch(BatchRecord(epoch, batch, batches, len(labels), total / seen, correct / seen))
        if not seen:
            raise ValueError("fit: train_loader yields nothing; an iterator can be used in one epoch only")
        if not self.is_good():  # after the last step of an epoch comes a checkpoint, not another loss
            self.go_back()
            raise NonFiniteLossError(math.nan, epoch, batches, batches, self.step, self.rate)
        return total / seen, correct / seen, seen

    def judge(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Return the scores of a batch and its loss, to which auxiliary heads add theirs."""
        scores = self.model(images)
        if not isinstance(scores, tuple):
            return scores, self.loss(scores, labels)
        loss, weight = self.loss(scores[0], labels), getattr(self.model, "aux_weight", 0.0)
        for auxiliary in scores[1:]:
            loss = loss + self.loss(auxiliary, labels) * weight
        return scores[0], loss

    def go_back(self) -> None:
        """Undo what the bad step did to buffers, and the update before it if that was the bad one."""
        buffers = dict(self.model.named_buffers())
        parameters = {name: array for name, array in self.live.items() if name not in buffers}
        self.model.load_state_dict({**self.saved, **parameters})
        if not self.is_good():
            self.model.load_state_dict(self.saved)

    def is_good(self) -> bool:
        """Say whether weights and buffers are finite and so is the loss of the batch that the weights came from."""
        if self.previous is None or not all(np.isfinite(array).all() for array in self.live.values()):
            return False
        images, labels = self.previous
        self.model.eval()
        with no_grad():
            return math.isfinite(self.loss(self.model(images), labels).item())


def snapshot(model: Module) -> dict[str, np.ndarray]:
    """Copy the state of a model."""
    return {name: value.data.copy() for name, value in model.state_dict().items()}
