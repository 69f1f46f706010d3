"""Local response normalisation as a layer."""

from __future__ import annotations

from typing import Any

from fastconv import checks
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["LocalResponseNorm"]


class LocalResponseNorm(Module):
    """``input / (k + alpha * mean) ** beta`` with the mean of the squares of neighbouring channels.

    AlexNet's ``k=2, n=5, alpha=1e-4, beta=0.75`` is ``LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)``: as in
    PyTorch, the sum of squares is divided by `size`. See :func:`fastconv.functional.local_response_norm`.

    Parameters
    ----------
    size : int
        Neighbouring channels.
    alpha, beta, k : float
        As in the formula.
    within_channel : bool
        Take the neighbours of a pixel in its own channel instead, `size` x `size`.

    Examples
    --------
    >>> LocalResponseNorm(5, alpha=5e-4, k=2.0)([[[0.0]], [[1.0]]])
    tensor([[[0.    ]],
    <BLANKLINE>
            [[0.5946]]])
    """

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, *, within_channel: bool = False
    ) -> None:
        self.size = checks.integer(size, "LocalResponseNorm", "size")
        self.alpha = alpha
        self.beta = beta
        self.k = k
        self.within_channel = bool(within_channel)

    def forward(self, input: Any) -> Tensor:
        """Return `input`, normalised."""
        return F.local_response_norm(
            input, self.size, self.alpha, self.beta, self.k, within_channel=self.within_channel
        )

    def extra_repr(self) -> str:
        text = f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
        return f"{text}, within_channel=True" if self.within_channel else text
