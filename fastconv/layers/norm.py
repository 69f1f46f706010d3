"""Normalisation as layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.layers.module import Buffer, Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor
from fastconv.tracing import tracing

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
]


def affine_repr(layer: Any, name: str = "affine") -> str:
    """Say which parameters a layer has: both, none, or the weight alone."""
    alone = layer.weight is not None and layer.bias is None
    return f"{name}={layer.weight is not None}{', bias=False' * alone}"


class _Affine(Module):
    weight: Parameter | None

    @property
    def affine(self) -> bool:
        """Whether there is a `weight`; to be read, as in PyTorch."""
        return self.weight is not None


class _ChannelNorm(_Affine):
    """What batch and instance norm share: parameters and running values, one of each a channel."""

    _axes: tuple[int, ...]
    _alone = 0
    _layout: str

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool, bias: bool
    ) -> None:
        name = type(self).__name__
        self.num_features = checks.integer(num_features, name, "num_features")
        self.eps = checks.number(eps, name, "eps", 0.0)
        self.momentum = None if momentum is None else checks.number(momentum, name, "momentum")
        self.weight = Parameter(np.ones(self.num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(self.num_features, np.float32)) if affine and bias else None
        self.running_mean = Buffer(np.zeros(self.num_features, np.float32)) if track_running_stats else None
        self.running_var = Buffer(np.ones(self.num_features, np.float32)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

    def _check(self, input: Any) -> bool:
        """Raise unless `input` fits; return whether it is a single image, without an axis of the batch."""
        name = type(self).__name__
        x = as_array(input, name, "input")
        checks.ndim(x, self._axes, name, "input", self._layout)
        alone = x.ndim == self._alone
        given = x.shape[0 if alone else 1]
        if given != self.num_features:
            raise ShapeError(
                f"{name}: input must have {self.num_features} channels, got shape {x.shape}; "
                f"num_features={given} would fit"
            )
        return alone

    def _momentum(self) -> float:
        """What the next batch counts; without a momentum all batches count the same."""
        if self.momentum is not None:
            return self.momentum
        tracked = self.num_batches_tracked
        return 0.0 if tracked is None else 1 / (int(tracked.data) + 1)

    @property
    def track_running_stats(self) -> bool:
        """Whether running values are kept."""
        return self.running_mean is not None

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.data[...] = value

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps:g}, momentum={self.momentum}, {affine_repr(self)}, "
            f"track_running_stats={self.running_mean is not None}"
        )


class _BatchNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias)

    def forward(self, input: Any, *, residual: Any = None, activation: Any = None) -> Tensor:
        """Return `input`, normalised; while training, move the running values towards those of the batch.

        `residual` and `activation` are those of :func:`fastconv.functional.batch_norm`.
        """
        self._check(input)
        by_batch = self.training or self.running_mean is None
        arrays = (self.running_mean, self.running_var, self.weight, self.bias)
        after: dict[str, Any] = {"residual": residual, "activation": activation}
        out = F.batch_norm(input, *arrays, by_batch, self._momentum(), self.eps, **after)
        if self.training and self.num_batches_tracked is not None and not tracing():
            self.num_batches_tracked.data += 1
        return out


class BatchNorm2d(_BatchNorm):
    """Bring every channel of images to mean 0 and variance 1, then scale and shift it by learned numbers.

    While training, mean and variance are those of the batch; in evaluation those kept from training. See
    :func:`fastconv.functional.batch_norm`. A convolution in front needs no bias: the mean is subtracted anyway.

    Parameters
    ----------
    num_features : int
        Channels C of the input (N, C, H, W).
    eps : float
        Added to the variance.
    momentum : float or None
        Share of each batch in the running values; None: the mean of all batches so far.
    affine : bool
        Whether there are `weight` and `bias`.
    track_running_stats : bool
        Whether running values are kept; if not, evaluation too normalises by the batch.
    bias : bool
        False: `weight` alone.

    Attributes
    ----------
    weight, bias : Parameter or None
        (C,), at first 1 and 0.
    running_mean, running_var : Buffer or None
        (C,), at first 0 and 1; the variance is the unbiased one.
    num_batches_tracked : Buffer or None
        An int64 number.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization", ICML 2015.

    Examples
    --------
    >>> layer = BatchNorm2d(3)
    >>> layer(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    >>> layer.running_mean
    buffer([0.1, 0.1, 0.1])
    """

    _axes, _layout = (4,), "(N, C, H, W)"


class BatchNorm1d(_BatchNorm):
    """:class:`BatchNorm2d` for vectors (N, C) or signals (N, C, L)."""

    _axes, _layout = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm3d(_BatchNorm):
    """:class:`BatchNorm2d` for volumes (N, C, D, H, W)."""

    _axes, _layout = (5,), "(N, C, D, H, W)"


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias)

    def forward(self, input: Any) -> Tensor:
        """Return `input`, every image normalised."""
        alone = self._check(input)
        own = self.training or self.running_mean is None
        kept = (self.running_mean, self.running_var)
        images = F.unsqueeze(input, 0) if alone else input
        out = F.instance_norm(images, *kept, self.weight, self.bias, own, self.momentum or 0.0, self.eps)
        return F.squeeze(out, 0) if alone else out


class InstanceNorm2d(_InstanceNorm):
    """Bring every channel of every image to mean 0 and variance 1. See :func:`fastconv.functional.instance_norm`.

    Parameters
    ----------
    num_features : int
        Channels C of the input (N, C, H, W), or (C, H, W) for a single image.
    eps : float
        Added to the variance.
    momentum : float or None
        Share of each batch in the running values; None: 0.
    affine : bool
        Whether there are `weight` and `bias`, (C,), at first 1 and 0.
    track_running_stats : bool
        Whether running values are kept, and used in evaluation.
    bias : bool
        False: `weight` alone.

    Examples
    --------
    >>> InstanceNorm2d(3)(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    _axes, _alone, _layout = (4, 3), 3, "(N, C, H, W) or (C, H, W)"


class InstanceNorm1d(_InstanceNorm):
    """:class:`InstanceNorm2d` for signals (N, C, L), or one (C, L)."""

    _axes, _alone, _layout = (3, 2), 2, "(N, C, L) or (C, L)"


class InstanceNorm3d(_InstanceNorm):
    """:class:`InstanceNorm2d` for volumes (N, C, D, H, W), or one (C, D, H, W)."""

    _axes, _alone, _layout = (5, 4), 4, "(N, C, D, H, W) or (C, D, H, W)"


class GroupNorm(_Affine):
    """Bring groups of channels of every image to mean 0 and variance 1. See :func:`fastconv.functional.group_norm`.

    Parameters
    ----------
    num_groups : int
        Groups of adjacent channels.
    num_channels : int
        Channels of the input (N, C, ...).
    eps : float
        Added to the variance.
    affine : bool
        Whether there are `weight` and `bias`, (C,), at first 1 and 0.
    bias : bool
        False: `weight` alone.

    Examples
    --------
    >>> GroupNorm(2, 4)(np.ones((2, 4, 3, 3), np.float32)).shape
    (2, 4, 3, 3)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, bias: bool = True
    ) -> None:
        self.num_groups = checks.integer(num_groups, "GroupNorm", "num_groups")
        self.num_channels = checks.integer(num_channels, "GroupNorm", "num_channels")
        self.eps = checks.number(eps, "GroupNorm", "eps", 0.0)
        if self.num_channels % self.num_groups:
            raise ShapeError(f"GroupNorm: num_groups must divide num_channels, got {num_groups} and {num_channels}")
        self.weight = Parameter(np.ones(self.num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(self.num_channels, np.float32)) if affine and bias else None

    def forward(self, input: Any) -> Tensor:
        """Return `input`, normalised."""
        x = as_array(input, "GroupNorm", "input")
        checks.ndim(x, (2, 3, 4, 5), "GroupNorm", "input", "(N, C, ...)")
        if x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm: input must have {self.num_channels} channels, got shape {x.shape}; "
                f"num_channels={x.shape[1]} would fit"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps:g}, {affine_repr(self)}"
