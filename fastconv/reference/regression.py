"""Losses that compare each element with a target of its own, and hinge losses."""

from __future__ import annotations

import numpy as np

from fastconv.reference.activation import sigmoid, softplus

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_grad",
    "hinge_loss",
    "hinge_loss_grad",
    "huber_loss",
    "huber_loss_grad",
    "kl_div",
    "kl_div_grad",
    "l1_loss",
    "l1_loss_grad",
    "map_loss",
    "map_loss_grad",
    "mse_loss",
    "mse_loss_grad",
    "multi_margin_loss",
    "multi_margin_loss_grad",
    "smooth_l1_loss",
    "smooth_l1_loss_grad",
]


def _reduce(losses: np.ndarray, reduction: str) -> np.ndarray:
    """The losses, their sum or a mean."""
    count = {"mean": losses.size, "batchmean": len(losses) if losses.ndim else 1}.get(reduction, 1)
    return losses if reduction == "none" else losses.sum() / count


def _share(grad: np.ndarray, losses: np.ndarray, reduction: str) -> np.ndarray:
    """What of the result's gradient each loss gets."""
    count = {"mean": losses.size, "batchmean": len(losses) if losses.ndim else 1}.get(reduction, 1)
    return grad if reduction == "none" else grad / count


def mse_loss(x: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    """(x - target)^2."""
    return _reduce((x - target) ** 2, reduction)


def mse_loss_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, reduction: str = "mean"
) -> tuple[np.ndarray, np.ndarray]:
    """2 (x - target), and the negative of that for the target."""
    found = 2 * (x - target) * _share(grad, x, reduction)
    return found, -found


def l1_loss(x: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    """|x - target|."""
    return _reduce(np.abs(x - target), reduction)


def l1_loss_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, reduction: str = "mean"
) -> tuple[np.ndarray, np.ndarray]:
    """The sign of the difference."""
    found = np.sign(x - target) * _share(grad, x, reduction)
    return found, -found


def huber_loss(x: np.ndarray, target: np.ndarray, reduction: str = "mean", delta: float = 1.0) -> np.ndarray:
    """d^2 / 2 up to delta, then a straight line."""
    d = np.abs(x - target)
    return _reduce(np.where(d <= delta, d * d / 2, delta * (d - delta / 2)), reduction)


def huber_loss_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, reduction: str = "mean", delta: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """d, at most delta."""
    found = np.clip(x - target, -delta, delta) * _share(grad, x, reduction)
    return found, -found


def smooth_l1_loss(x: np.ndarray, target: np.ndarray, reduction: str = "mean", beta: float = 1.0) -> np.ndarray:
    """Huber's loss, divided so that its slope is 1 at last."""
    return huber_loss(x, target, reduction, beta) / beta


def smooth_l1_loss_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, reduction: str = "mean", beta: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """d / beta, at most 1."""
    return huber_loss_grad(grad / beta, x, target, reduction, beta)


def binary_cross_entropy_with_logits(
    x: np.ndarray, target: np.ndarray, weight: float = 1.0, reduction: str = "mean", pos_weight: float = 1.0
) -> np.ndarray:
    """-log of the probability of yes, or of no."""
    yes, no = softplus(-x, threshold=np.inf), softplus(x, threshold=np.inf)
    return _reduce(weight * (pos_weight * target * yes + (1 - target) * no), reduction)


def binary_cross_entropy_with_logits_grad(
    grad: np.ndarray,
    x: np.ndarray,
    target: np.ndarray,
    weight: float = 1.0,
    reduction: str = "mean",
    pos_weight: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """sigmoid(x) - target, if both answers count the same."""
    share = weight * _share(grad, x, reduction)
    yes, no = softplus(-x, threshold=np.inf), softplus(x, threshold=np.inf)
    slope = (1 - target) * sigmoid(x) - pos_weight * target * sigmoid(-x)
    return slope * share, (pos_weight * yes - no) * share


def kl_div(x: np.ndarray, target: np.ndarray, reduction: str = "mean", log_target: bool = False) -> np.ndarray:
    """target (log target - x)."""
    log = target if log_target else np.log(target)
    return _reduce(np.exp(log) * (log - x), reduction)


def kl_div_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, reduction: str = "mean", log_target: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """-target, and log target + 1 - x for the target."""
    log, share = target if log_target else np.log(target), _share(grad, x, reduction)
    of_target = (log + 1 - x) * (np.exp(log) if log_target else 1)
    return -np.exp(log) * share, of_target * share


def hinge_loss(x: np.ndarray, target: np.ndarray, squared: bool = False, reduction: str = "mean") -> np.ndarray:
    """max(0, 1 - target x), perhaps squared."""
    return _reduce(np.maximum(1 - target * x, 0) ** (2 if squared else 1), reduction)


def hinge_loss_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, squared: bool = False, reduction: str = "mean"
) -> np.ndarray:
    """-target where there is a loss."""
    short = np.maximum(1 - target * x, 0)
    return -target * (2 * short if squared else short > 0) * _share(grad, x, reduction)


def multi_margin_loss(
    x: np.ndarray, target: np.ndarray, p: int = 1, margin: float = 1.0, reduction: str = "mean"
) -> np.ndarray:
    """The sum over the classes but the label of max(0, margin - x_label + x)^p, over their number."""
    own = np.eye(x.shape[1], dtype=bool)[target]
    short = np.where(own, 0, np.maximum(margin - x[own][:, None] + x, 0))
    return _reduce((short**p).mean(axis=1), reduction)


def multi_margin_loss_grad(
    grad: np.ndarray, x: np.ndarray, target: np.ndarray, p: int = 1, margin: float = 1.0, reduction: str = "mean"
) -> np.ndarray:
    """Each class's own slope; the label's is minus the sum of the others'."""
    own = np.eye(x.shape[1], dtype=bool)[target]
    short = np.where(own, 0, np.maximum(margin - x[own][:, None] + x, 0))
    slope = (2 * short if p == 2 else short > 0) / x.shape[1]
    slope = slope - own * slope.sum(axis=1, keepdims=True)
    return slope * np.reshape(_share(grad, target, reduction), (-1, 1))


def map_loss(y: np.ndarray, target: np.ndarray, j: float = 0.1, reduction: str = "mean") -> np.ndarray:
    """LeCun et al. (1998), equation 9: y_label + log(e^-j + sum of e^-y)."""
    total = np.exp(-j) + np.exp(-y).sum(axis=1)
    return _reduce(y[np.arange(len(y)), target] + np.log(total), reduction)


def map_loss_grad(
    grad: np.ndarray, y: np.ndarray, target: np.ndarray, j: float = 0.1, reduction: str = "mean"
) -> np.ndarray:
    """[c = label] - e^-y_c / (e^-j + sum of e^-y)."""
    shares = np.exp(-y) / (np.exp(-j) + np.exp(-y).sum(axis=1, keepdims=True))
    return (np.eye(y.shape[1])[target] - shares) * np.reshape(_share(grad, target, reduction), (-1, 1))
