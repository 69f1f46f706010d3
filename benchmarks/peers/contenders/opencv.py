"""OpenCV's filter2D, which takes the Fourier transform by itself for larger kernels."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run


def version() -> str:
    """OpenCV's."""
    return cv2.__version__


def prepare(case: Case, threads: int) -> dict[str, Run]:
    """Planes of one channel only; filter2D correlates, so the kernel is reversed before."""
    if case.op != "convolve2d":
        return {}
    cv2.setNumThreads(threads)
    x, kernel = case.arrays()
    call = partial(cv2.filter2D, x, -1, np.ascontiguousarray(kernel[::-1, ::-1]), borderType=cv2.BORDER_CONSTANT)
    return {"": Run(call, lambda: [call()])}
