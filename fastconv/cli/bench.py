"""``fastconv bench``: how fast this machine is, in a quarter of a minute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from fastconv import _kernels
from fastconv import functional as F
from fastconv.autograd import no_grad
from fastconv.cli.common import note, print_json, stdout
from fastconv.errors import FastconvError
from fastconv.models import lenet5
from fastconv.optim import SGD
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor
from fastconv.threads import get_num_threads

__all__ = ["command"]

# Layers of VGG and ResNet: kernel, channels in and out, height and width.
LAYERS = ((3, 64, 64, 56), (3, 128, 128, 28), (3, 256, 256, 14), (1, 1024, 256, 14), (1, 64, 256, 56))
SECONDS = 0.4  # of measuring, for each row


class Row(NamedTuple):
    """A line of the table; `operations` counts multiplications and additions of the direct method, 0 for none."""

    name: str
    algorithm: str
    seconds: float
    operations: int = 0
    images: int = 1


def command(seed: int, as_json: bool) -> None:
    """Measure this machine: FMA peak, LeNet-5, convolutions.

    Takes less than 15 seconds. Every result is checked against the im2col method before it is timed. The share of the
    peak of Winograd's method can exceed 100 %: it multiplies less than what is counted.
    """
    threads = get_num_threads()
    note(f"measuring on {threads} thread{'s' * (threads > 1)} with {_kernels.active_isa()} ...")
    rng = np.random.default_rng(seed)
    peak = fma_peak(threads)
    rows = [*_lenet(rng), *(row for layer in LAYERS for row in _layer(rng, *layer))]
    peak = max(peak, fma_peak(threads))  # the clock moves: the better of before and after
    if as_json:
        print_json(
            {
                "isa": _kernels.active_isa(),
                "threads": threads,
                "fma_peak_gflops": peak / 1e9,
                "rows": [_as_json(row, peak) for row in rows],
            }
        )
        return
    table = Table(
        title=f"FMA peak {peak / 1e9:.0f} GF/s, {threads} thread{'s' * (threads > 1)}", box=None, pad_edge=False
    )
    table.add_column("float32", no_wrap=True)
    table.add_column("algorithm")
    for head in ("time", "GF/s", "of peak", "images/s"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        rate = row.operations / row.seconds
        table.add_row(
            row.name,
            row.algorithm,
            _time(row.seconds),
            f"{rate / 1e9:.0f}" if rate else "",
            f"{100 * rate / peak:.0f} %" if rate else "",
            f"{row.images / row.seconds:,.0f}",
        )
    stdout().print(table)


def fma_peak(threads: int) -> float:
    """Return the float32 operations a second of fused multiply-adds on as many threads, the best of several trials."""
    from concurrent.futures import ThreadPoolExecutor

    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        end = perf_counter() + SECONDS
        while perf_counter() < end:
            start = perf_counter()
            operations = sum(pool.map(lambda _: _kernels.fma_peak("float32", 1_000_000), range(threads)))
            best = max(best, operations / (perf_counter() - start))
    return best


def timed(call: Callable[[], Any], seconds: float = SECONDS) -> float:
    """Return the median time of a call, after a warm-up."""
    call()
    samples: list[float] = []
    end = perf_counter() + seconds
    while len(samples) < 5 or perf_counter() < end:
        start = perf_counter()
        call()
        samples.append(perf_counter() - start)
    return median(samples)


def _lenet(rng: np.random.Generator) -> list[Row]:
    model = lenet5(rng=rng)
    images, labels = rng.random((64, 1, 28, 28), np.float32), rng.integers(10, size=64)
    optimizer = SGD(model.parameters(), 1e-3, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    before = step()
    rows = [Row("LeNet-5 training step, 64 images", "auto", timed(step), images=64)]
    if not step() < before:
        raise FastconvError("bench: LeNet-5 does not learn a batch by heart")
    with no_grad():
        _same("LeNet-5, one image", model(images).data[:1], model(images[:1]).data)
        for count in (1, 64):
            name = f"LeNet-5 forward, {count} image{'s' * (count > 1)}"
            rows.append(Row(name, "auto", timed(partial(model, images[:count])), images=count))
    return rows


def _layer(rng: np.random.Generator, kernel: int, inputs: int, outputs: int, side: int) -> list[Row]:
    name = f"conv {kernel}x{kernel} {inputs}->{outputs}, {side}x{side}"
    x = Tensor(_kernels.channels_last(rng.standard_normal((1, inputs, side, side), np.float32)))
    weight = Parameter(rng.standard_normal((outputs, inputs, kernel, kernel), np.float32) / (inputs * kernel**2) ** 0.5)
    operations = 2 * outputs * inputs * kernel**2 * side**2
    rows = []
    with no_grad():
        expected = F.conv2d(x, weight, padding=kernel // 2, algorithm="im2col").data
        for algorithm in ("direct", "winograd") if kernel == 3 else ("direct",):
            call = partial(F.conv2d, x, weight, padding=kernel // 2, algorithm=algorithm)
            _same(f"{name}, {algorithm}", call().data, expected)
            rows.append(Row(name, algorithm, timed(call), operations))
    return rows


def _same(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    error = float(np.abs(found - expected).max())
    if not error <= 1e-4 * float(np.abs(expected).max()):
        raise FastconvError(f"bench: {name}: results differ by {error:.3g}")


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} us"


def _as_json(row: Row, peak: float) -> dict[str, Any]:
    rate = row.operations / row.seconds
    return {
        "name": row.name,
        "algorithm": row.algorithm,
        "seconds": row.seconds,
        "gflops": rate / 1e9 if rate else None,
        "share_of_peak": rate / peak if rate else None,
        "images_per_second": row.images / row.seconds,
    }
