"""What is timed: one operation or network, its inputs and options, the same for every contender."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

LENET_SHAPES = (
    ((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,)),
    ((120, 400), (120,), (84, 120), (84,), (10, 84), (10,)),
)


class Goal(NamedTuple):
    """A figure to reach, on a number of threads or (None) on any.

    `metric` is "ratio" (best peer's time / ours), "numpy" (the NumPy reference's time / ours), "peak" (share of the
    FMA peak), "mean" (the geometric mean of the ratios of all cases of its kind), "memory" (the best peer's peak of
    memory / ours), all at least `bound`; or "seconds", at most `bound`.
    """

    metric: str
    bound: float
    threads: int | None = None


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes
    ----------
    name : str
        As the table shows it.
    op : str
        A function of `fastconv.functional`, found under the same name in the other libraries; or "lenet5" or "network";
        or, to "update", a class of `fastconv.optim`.
    mode : {"forward", "tape", "backward", "both", "step", "update"}
        See the package's docstring.
    shapes : tuple
        Of the input and of the parameters that follow it, in order; of the parameters to update.
    options : dict
        Further arguments, by name.
    ours : dict
        Arguments that only fastconv takes.
    names : tuple of str
        What the arrays after the first are called, where they are not to be passed in order.
    classes : int
        If not 0, integer labels below this number are the last input.
    flops : float
        Floating-point operations, 0 where a share of the peak says nothing.
    goals : tuple of Goal
        What is aimed at.
    kind : str
        The family whose cases are also judged together.
    program : dict
        What a network computes; see `cases_models`.
    """

    name: str
    op: str
    mode: str
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    classes: int = 0
    flops: float = 0.0
    goals: tuple[Goal, ...] = ()
    kind: str = ""
    program: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> list[np.ndarray]:
        """Input and parameters in float32: normal numbers, weights scaled so that results are near 1."""
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(shape, np.float32) for shape in self.shapes]
        for weight in arrays[1:]:
            weight /= np.float32(math.sqrt(max(math.prod(weight.shape[1:]), 1)))
        return arrays

    def arguments(self, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and other arguments of a call with these inputs, which are in the order of `arrays`."""
        named = dict(zip(self.names, inputs[1:], strict=False))
        return [*inputs[:1], *inputs[1 + len(named) :]], {**named, **self.options}

    def labels(self) -> np.ndarray:
        """One class for each image."""
        return np.random.default_rng(1).integers(0, self.classes, self.shapes[0][0])

    def gradient(self, shape: tuple[int, ...]) -> np.ndarray:
        """What the result's gradient is: 1 for a loss, otherwise normal numbers."""
        return np.random.default_rng(2).standard_normal(shape, np.float32) if shape else np.ones((), np.float32)

    def comparable(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Results as they would be without chance: what dropout left out is put back, scaled as what it kept."""
        if self.op != "dropout":
            return arrays
        (found,) = arrays
        source = self.arrays()[0] if self.mode in ("forward", "tape") else self.gradient(found.shape)
        return [np.where(found == 0, source / np.float32(1 - self.options["p"]), found)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(replace(self, program={})), "program": self.program}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Case:
        """The inverse of `to_dict`, after a way through JSON."""
        shapes = tuple(tuple(shape) for shape in values["shapes"])
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in values["options"].items()}
        goals = tuple(Goal(*goal) for goal in values["goals"])
        names = tuple(values["names"])
        return cls(**{**values, "shapes": shapes, "options": options, "names": names, "goals": goals})


def conv(
    name: str,
    batch: int,
    c_in: int,
    size: int,
    c_out: int,
    kernel: int,
    stride: int = 1,
    *,
    mode: str = "forward",
    padding: int | None = None,
    groups: int = 1,
    bias: bool = True,
    goals: tuple[Goal, ...] = (),
) -> Case:
    """A convolution of square images and kernels; padding keeps the size unless given."""
    padding = kernel // 2 if padding is None else padding
    out = (size + 2 * padding - kernel) // stride + 1
    flops = 2.0 * batch * out**2 * c_out * (c_in // groups) * kernel**2
    options = {"stride": stride, "padding": padding, "groups": groups}
    shapes: tuple[tuple[int, ...], ...] = ((batch, c_in, size, size), (c_out, c_in // groups, kernel, kernel))
    return Case(
        name,
        "conv2d",
        mode,
        (*shapes, (c_out,)) if bias else shapes,
        {key: value for key, value in options.items() if value != (0 if key == "padding" else 1)},
        flops=flops * (2 if mode == "backward" else 1),
        goals=goals,
    )


def lenet(name: str, mode: str, batch: int, goals: tuple[Goal, ...] = ()) -> Case:
    """LeNet-5 on 28x28 digits; the parameters in the order of its state dict."""
    shapes = ((batch, 1, 28, 28), *LENET_SHAPES[0], *LENET_SHAPES[1])
    options = {"lr": 1e-3, "momentum": 0.9} if mode == "step" else {}
    return Case(name, "lenet5", mode, shapes, options, classes=10 if mode == "step" else 0, goals=goals)
