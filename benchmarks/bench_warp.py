"""The affine warp that augments digits."""

from __future__ import annotations

import numpy as np

from benchmarks.conftest import Race, randn
from fastconv import _kernels, reference


def test_affine_warp(race: Race) -> None:
    images = abs(randn(64, 1, 28, 28))
    turn = np.array([[0.98, -0.17, 1.3], [0.17, 0.98, -0.6]])
    matrices = np.repeat(turn[None], len(images), axis=0)
    given = _kernels.channels_last(images)

    def ours() -> np.ndarray:
        out = _kernels.empty_channels_last(images.shape, images.dtype)
        _kernels.affine_warp(given, matrices, 0.0, out)
        return out

    race.run("affine_warp 64x1x28²", ours, lambda: reference.warp.affine_warp(images, matrices))
