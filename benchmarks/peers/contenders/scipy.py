"""scipy.signal: the whole plane by FFT, by FFT of tiles, and (small kernels) directly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.fft
from scipy import signal

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run

DIRECT = 8  # sizes above take scipy's direct convolution seconds


def version() -> str:
    """SciPy's."""
    return str(scipy.__version__)


def prepare(case: Case, threads: int) -> dict[str, Run]:
    """Each on as many threads as it can use."""
    if case.op != "convolve2d":
        return {}
    x, kernel = case.arrays()
    names = ["fftconvolve", "oaconvolve", *(["convolve2d"] if len(kernel) <= DIRECT else [])]
    return {name: _run(partial(getattr(signal, name), x, kernel, **case.options), threads) for name in names}


def _run(function: Callable[[], np.ndarray], threads: int) -> Run:
    def call() -> np.ndarray:
        with scipy.fft.set_workers(threads):
            return function()

    return Run(call, lambda: [call()])
