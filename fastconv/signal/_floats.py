"""Convolution of float32 and float64 arrays by the kernels, which know planes: other numbers of axes become two."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import _kernels
from fastconv._kernels import Window
from fastconv.signal._cost import direct_cost, fft_plan

__all__ = ["Job", "convolve", "spans", "spread"]


@dataclass(frozen=True)
class Job:
    """Which elements of a convolution are wanted, axis by axis, and how they are to be computed.

    Element i of the result, of `count`, is element ``start + i * stride`` of the full convolution with dilated taps;
    `op` is for messages.
    """

    op: str
    start: tuple[int, ...]
    count: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    boundary: str = "fill"
    fill: float = 0.0
    method: str = "auto"

    @property
    def extent(self) -> tuple[int, ...]:
        """Elements of the full convolution from the first wanted to the last."""
        return tuple((n - 1) * s + 1 for n, s in zip(self.count, self.stride, strict=True))

    @property
    def unstrided(self) -> Job:
        """The same with all elements in between."""
        return replace(self, count=self.extent, stride=(1,) * len(self.stride))

    def thin(self, out: np.ndarray) -> np.ndarray:
        """Take what is wanted from the result (batch, ...) of `unstrided`."""
        kept = (slice(None), *(slice(None, None, s) for s in self.stride))
        return out if set(self.stride) == {1} else out[kept].copy()


def spans(shape: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes of dilated taps."""
    return tuple((k - 1) * d + 1 for k, d in zip(shape, dilation, strict=True))


def spread(taps: np.ndarray, dilation: tuple[int, ...]) -> np.ndarray:
    """Taps with the zeros that dilation puts between them."""
    if set(dilation) == {1}:
        return taps
    wide = np.zeros(spans(taps.shape, dilation), taps.dtype)
    wide[tuple(slice(None, None, d) for d in dilation)] = taps
    return wide


def convolve(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    """Convolve every x (batch, ...) with one array of taps of the same float dtype."""
    if not len(x):
        return np.empty((0, *job.count), x.dtype)
    by_axes = {1: _lines, 2: _planes}
    return by_axes.get(taps.ndim, _volumes)(x, taps, job)


# --- two axes --------------------------------------------------------------------------------------------------


def _planes(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    span = spans(taps.shape, job.dilation)
    cost, high, wide = fft_plan(len(x), job.extent, span, x.dtype)
    use_fft = job.method == "fft"
    if job.method == "auto":
        use_fft = cost < direct_cost(len(x) * math.prod(job.count), taps.shape, x.dtype)
    if use_fft and not high:
        raise ValueError(f'{job.op}: method "fft" takes no taps that span {span}, "direct" does')
    if x.strides[-1] != x.itemsize or not x.flags.aligned:
        x = x.copy()
    weight = taps[::-1, ::-1].copy()
    done = job.unstrided if use_fft else job
    padding = [size - 1 - start for size, start in zip(span, job.start, strict=True)]
    geometry = (*x.shape, 1, *taps.shape, *done.count, *done.stride, *padding, *done.dilation)
    window = Window(*geometry)
    out = _kernels.empty((len(x), *done.count), x.dtype)
    if not use_fft:
        _kernels.filter2d(window, x, weight, out, job.boundary, job.fill)
        return out
    _kernels.fft_filter2d(window, x, weight, out, high, wide, job.boundary, job.fill)
    return job.thin(out)


# --- one axis --------------------------------------------------------------------------------------------------

_RUN = 4096  # outputs of a long line that make a row
_ENOUGH = 16  # lines that need not be cut: there are rows enough for all threads


def _lines(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    (extent,), (stride,) = job.extent, job.stride
    (span,) = spans(taps.shape, job.dilation)
    cost, run = min((_folded_cost(x, extent, span, 1 << i), 1 << i) for i in range(4, 15))
    direct = direct_cost(x.shape[0] * job.count[0], (1, len(taps)), x.dtype)
    if job.method == "fft" or (job.method == "auto" and cost < direct):
        wide = spread(taps, job.dilation)
        return job.thin(np.stack([_folded(line, wide, job, run) for line in x]))
    if len(x) >= _ENOUGH or extent < 2 * _RUN or stride > _RUN:
        return _rows(x, taps, replace(job, count=(len(x), *job.count), start=(0, *job.start)))
    run = _RUN // stride * stride  # rows begin with an output
    rows = replace(job, start=(0, span - 1), count=(-(-extent // run), run // stride))
    found = [_rows(_cut(line, job.start[0] - span + 1, rows.count[0], run, run + span - 1), taps, rows) for line in x]
    return np.stack([each.reshape(-1)[: job.count[0]] for each in found])


def _rows(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    """Lines (rows, n), each by itself, as one plane; `stride` and `dilation` are the line's."""
    job = replace(job, stride=(1, *job.stride), dilation=(1, *job.dilation), method="direct")
    return _planes(x[None], taps[None], job)[0]


def _cut(line: np.ndarray, first: int, rows: int, run: int, width: int) -> np.ndarray:
    """Overlapping rows of `width` elements that begin `run` elements apart; zeros where there is no line."""
    padded = np.zeros((rows - 1) * run + width, line.dtype)
    begin, end = max(first, 0), min(len(line), first + len(padded))
    if begin < end:
        padded[begin - first : end - first] = line[begin:end]
    return np.lib.stride_tricks.as_strided(padded, (rows, width), (run * line.itemsize, line.itemsize), writeable=False)


def _folded_cost(x: np.ndarray, extent: int, span: int, run: int) -> float:
    return len(x) * fft_plan(1, (-(-extent // run), run), (-(-span // run), run), x.dtype)[0]


def _folded(line: np.ndarray, taps: np.ndarray, job: Job, run: int) -> np.ndarray:
    """A long line with many taps as a plane with a block of taps: what is `run` elements on is one row down."""
    high, rows = -(-len(taps) // run), -(-job.extent[0] // run)
    block = np.zeros(high * run, taps.dtype)
    block[len(block) - len(taps) :] = taps
    x = _cut(line, job.start[0] - len(taps) + 1, rows + high - 1, run, 2 * run - 1)
    wanted = Job(job.op, (high - 1, run - 1), (rows, run), (1, 1), (1, 1), method="fft")
    return _planes(x[None], block.reshape(high, run), wanted).reshape(-1)[: job.extent[0]]


# --- three and more --------------------------------------------------------------------------------------------


def _volumes(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    use_fft = job.method == "fft"
    if job.method == "auto":
        direct = direct_cost(len(x) * math.prod(job.count), taps.shape, x.dtype)
        use_fft = _merged_cost(x, spans(taps.shape, job.dilation), job.extent) < direct
    if use_fft:
        dense = replace(job.unstrided, dilation=(1,) * taps.ndim)
        return job.thin(_merged(x, spread(taps, job.dilation), dense))
    return _summed(x, taps, job)


def _merged(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    """Two axes as one: with room for the result's rows in every slice, no slice reaches into the next."""
    depth, height = x.shape[1:3]
    pitch = height + taps.shape[1] - 1
    flat = np.zeros((len(x), depth, pitch, *x.shape[3:]), x.dtype)
    flat[:, :, :height] = x
    block = np.zeros((len(taps), pitch, *taps.shape[2:]), x.dtype)
    block[:, : taps.shape[1]] = taps
    block = block.reshape(-1, *taps.shape[2:])[: (len(taps) - 1) * pitch + taps.shape[1]]
    wanted = replace(
        job,
        start=(job.start[0] * pitch, *job.start[2:]),
        count=(job.count[0] * pitch, *job.count[2:]),
        stride=job.stride[1:],
        dilation=job.dilation[1:],
        method="fft",
    )
    out = convolve(flat.reshape(len(x), -1, *x.shape[3:]), block, wanted)
    out = out.reshape(len(x), job.count[0], pitch, *job.count[2:])
    return out[:, :, job.start[1] : job.start[1] + job.count[1]]


def _merged_cost(x: np.ndarray, span: tuple[int, ...], extent: tuple[int, ...]) -> float:
    for height in x.shape[2 : len(span)]:
        pitch = height + span[1] - 1
        span = ((span[0] - 1) * pitch + span[1], *span[2:])
        extent = (extent[0] * pitch, *extent[2:])
    return fft_plan(len(x), extent, span, x.dtype)[0]


def _summed(x: np.ndarray, taps: np.ndarray, job: Job) -> np.ndarray:
    """Sum over the first axis' taps of convolutions over the others."""
    out = np.zeros((len(x), *job.count), x.dtype)
    rest = Job(job.op, job.start[1:], job.count[1:], job.stride[1:], job.dilation[1:], method="direct")
    for tap, block in enumerate(taps):
        # element start + i * stride - tap * dilation of x meets this tap in output i
        offset, step = job.start[0] - tap * job.dilation[0], job.stride[0]
        first = max(0, -(offset // step))
        last = min(job.count[0], (x.shape[1] - 1 - offset) // step + 1)
        if first < last:
            slices = x[:, offset + first * step : offset + (last - 1) * step + 1 : step]
            found = convolve(slices.reshape(-1, *x.shape[2:]), block, rest)
            out[:, first:last] += found.reshape(len(x), last - first, *job.count[1:])
    return out
