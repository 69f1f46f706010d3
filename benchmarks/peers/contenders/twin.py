"""The NumPy twins of `fastconv.reference`; convolution as im2col and a matrix product."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run
from fastconv import reference
from fastconv.reference.lenet import LeNet5

NAMES = {"conv2d": "conv2d_im2col"}


def version() -> str:
    """NumPy's."""
    return np.__version__


def prepare(case: Case, threads: int) -> dict[str, Run]:
    """The matrix products take as many threads as the environment says."""
    x, *weights = case.arrays()
    if case.op == "lenet5":
        net = LeNet5(weights)
        if case.mode == "forward":
            return {"": Run(partial(net.forward, x), lambda: [net.forward(x)])}
        step = partial(net.step, x, case.labels(), **case.options)
        return {"": Run(step, lambda: [step(), step(), *(p.copy() for p in net.parameters)])}
    name = NAMES.get(case.op, case.op)
    inputs = [x, *weights, *([case.labels()] if case.classes else [])]
    args, options = case.arguments(inputs)
    forward = partial(getattr(reference, name), *args, **options)
    if case.mode in ("forward", "tape"):
        return {"": Run(forward, lambda: [forward()])}
    grad = case.gradient(np.shape(forward()))
    backward = partial(getattr(reference, f"{name}_grad"), grad, *args, **options)
    call = (lambda: (forward(), backward())) if case.mode == "both" else backward

    def gradients() -> list[np.ndarray]:
        found = backward()
        return list(found) if isinstance(found, tuple) else [found]

    return {"": Run(call, gradients)}
