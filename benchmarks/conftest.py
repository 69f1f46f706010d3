"""What all benchmarks share: the fixture `race`, which compares two functions and then times one of them.

Every benchmark runs twice, as fastconv and as its NumPy twin, in one group of the table:

    pytest benchmarks/ --benchmark-columns=min,median,rounds        # about a minute
    pytest benchmarks/bench_conv.py -k 56 --benchmark-compare       # see pytest-benchmark's documentation
    pytest benchmarks/ --benchmark-disable                          # the comparisons alone, in seconds
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from fastconv import Parameter, Tensor, _kernels, functional, no_grad, reference

collect_ignore_glob = ["peers*"]  # its modules import libraries that need not be there

TOLERANCE = 2e-5  # relative to the largest value of a result, because sums of products cancel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the time a benchmark may take short: there are many."""
    for item in items:
        item.add_marker(pytest.mark.benchmark(max_time=0.25, min_rounds=3, disable_gc=True, warmup=False))


def randn(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal random numbers."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def tensor(array: np.ndarray) -> Tensor:
    """Return images in the order they have inside a network, channels last, and anything else as it is."""
    return Tensor(_kernels.channels_last(array) if array.ndim == 4 else array)


def _arrays(result: Any) -> list[np.ndarray]:
    found = list(result) if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(each.detach() if isinstance(each, Tensor) else each) for each in found if each is not None]


class Race:
    """Compares fastconv with its twin and times the one that this benchmark is about."""

    def __init__(self, benchmark: Any, side: str) -> None:
        self.benchmark = benchmark
        self.side = side

    def run(
        self,
        group: str,
        ours: Callable[[], Any],
        twin: Callable[[], Any],
        timed: Sequence[Callable[[], Any]] | None = None,
    ) -> None:
        """Assert that both return the same, then time one of them, or of the pair `timed`."""
        found, expected = _arrays(ours()), _arrays(twin())
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * np.abs(b).max(initial=1e-30))
        self.benchmark.group = group
        ours, twin = timed or (ours, twin)
        self.benchmark(ours if self.side == "fastconv" else twin)

    def forward(self, op: str, inputs: Sequence[Any], what: str, twin: str = "", **options: Any) -> None:
        """Race a function of `functional` without a tape; arrays after the first are parameters."""
        function = getattr(functional, op)
        given = [tensor(inputs[0]), *map(_parameter, inputs[1:])]

        def ours() -> Tensor:
            with no_grad():
                return function(*given, **options)

        self.run(f"{op} {what}", ours, lambda: _twin(op, twin, "")(*inputs, **_plain(options)))

    def backward(self, op: str, inputs: Sequence[Any], what: str, twin: str = "", **options: Any) -> None:
        """Race the closure that a function left on the tape with the twin's gradient, which starts from the inputs."""
        given = [tensor(inputs[0]).requires_grad_(), *map(_parameter, inputs[1:])]
        out = getattr(functional, op)(*given, **options)
        grad = np.asarray(randn(*out.shape, seed=1), np.float32)
        ours_grad = tensor(grad).numpy()
        self.run(
            f"{op}_grad {what}",
            lambda: out.node.backward(ours_grad),
            lambda: _twin(op, twin, "_grad")(grad, *inputs, **_plain(options)),
        )


def _parameter(x: Any) -> Any:
    return Parameter(x) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x


def _twin(op: str, twin: str, suffix: str) -> Callable[..., Any]:
    return getattr(reference, (twin or op) + suffix)


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options without those that only the kernels have."""
    return {key: value for key, value in options.items() if key != "algorithm"}


@pytest.fixture(params=["fastconv", "numpy"])
def race(request: pytest.FixtureRequest, benchmark: Any) -> Race:
    """Run the benchmark once for each side."""
    return Race(benchmark, request.param)
