"""Training a classifier, measuring it, and the folder that a run leaves behind."""

from fastconv.training.checkpoint import Checkpoint
from fastconv.training.evaluation import Evaluation, evaluate
from fastconv.training.history import EpochRecord, History
from fastconv.training.loop import BatchRecord, NonFiniteLossError, fit
from fastconv.training.run import Run

__all__ = [
    "BatchRecord",
    "Checkpoint",
    "EpochRecord",
    "Evaluation",
    "History",
    "NonFiniteLossError",
    "Run",
    "evaluate",
    "fit",
]
