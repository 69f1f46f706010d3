"""One module for each library: what is installed, how a case runs there, and nothing about how it is timed.

A module has `version()` and ``prepare(case, threads)``, which returns a `Run` for each variant, none if the library
cannot do the case. fastconv's also has ``fma_peak(threads)``. Modules import their library at the top: only a worker
imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


@dataclass
class Run:
    """A prepared case.

    Attributes
    ----------
    call : callable
        What is timed.
    result : callable
        Computes the arrays that are compared with the other contenders', in a fixed order.
    context : context manager
        Entered around a batch of calls.
    """

    call: Callable[[], Any]
    result: Callable[[], Sequence[np.ndarray]]
    context: AbstractContextManager = field(default_factory=nullcontext)


def training_steps(
    model: Any, optimizer: Any, images: Any, labels: Any, cross_entropy: Callable[[Any, Any], Any], aux_weight: float
) -> Run:
    """Return training steps of a classifier, in any library that reads like PyTorch: scores and losses of two."""

    def step() -> tuple[Sequence[Any], Any]:
        optimizer.zero_grad()
        outputs = model(images)
        scores, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = cross_entropy(scores, labels)
        for each in others:
            loss = loss + cross_entropy(each, labels) * aux_weight
        loss.backward()
        optimizer.step()
        return (scores, *others), loss

    def two_steps() -> list[np.ndarray]:
        scores, loss = step()
        return [*(each.detach().numpy() for each in scores), loss.detach().numpy(), step()[1].detach().numpy()]

    return Run(step, two_steps)


class Library(NamedTuple):
    """What a contender is called, the modules it needs, and whether it counts as a peer (the NumPy twin does not).

    `layouts` are the variants whose memory can be measured.
    """

    title: str
    needs: tuple[str, ...]
    peer: bool = True
    layouts: tuple[str, ...] = ()


# By name of the module here.
LIBRARIES = {
    "ours": Library("fastconv", ("fastconv",), peer=False, layouts=("",)),
    "pytorch": Library("PyTorch", ("torch",), layouts=("nchw", "channels_last")),
    "onnx_runtime": Library("ONNX Runtime", ("onnx", "onnxruntime")),
    "openvino": Library("OpenVINO", ("onnx", "openvino")),
    "opencv": Library("OpenCV", ("cv2",)),
    "scipy": Library("SciPy", ("scipy",)),
    "twin": Library("NumPy", ("numpy",), peer=False),
}
