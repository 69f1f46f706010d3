"""Which algorithm convolutions take, and the options that have a say in it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, Tensor, algorithm_of, algorithm_options
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.functional import _choice
from tests.helpers import randn

X, W = (2, 32, 20, 20), (32, 32, 3, 3)


@pytest.fixture(autouse=True)
def keep_options() -> Iterator[None]:
    before = _choice.options.options
    yield
    _choice.options.set(before)


def arrays(dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    return randn(*X, dtype=dtype), randn(*W, dtype=dtype, seed=1)


def assert_bits(a: Tensor, b: Tensor) -> None:
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize(
    ("shape", "weight", "options", "algorithm", "reason"),
    [
        ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}, "winograd", "4 times fewer"),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1, "stride": 2}, "direct", "stride is not 1"),
        ((1, 16, 56, 56), (64, 16, 3, 3), {}, "winograd", "4 times fewer"),
        ((1, 15, 56, 56), (64, 15, 3, 3), {}, "direct", "fewer than 16 channels"),
        ((1, 16, 16, 16), (64, 16, 3, 3), {"padding": 1}, "direct", "fewer than 20000 products"),
        ((8, 16, 16, 16), (64, 16, 3, 3), {"padding": 1}, "winograd", "4 times fewer"),
        ((1, 64, 9, 9), (64, 64, 3, 3), {}, "direct", "fewer than 16 tiles"),
        ((1, 64, 9, 9), (64, 64, 1, 1), {}, "direct", "matrix product"),
        ((1, 64, 9, 9), (64, 1, 3, 3), {"groups": 64}, "direct", "depthwise"),
        ((64, 9, 9), (64, 64, 7, 7), {}, "direct", "neither 3x3 nor"),
        ((1, 64, 27, 27), (192, 64, 5, 5), {"padding": 2}, "winograd", "2.8 times fewer"),
        ((1, 96, 27, 27), (256, 48, 5, 5), {"padding": 2, "groups": 2}, "winograd", "2.8 times fewer"),
        ((1, 15, 27, 27), (64, 15, 5, 5), {"padding": 2}, "direct", "fewer than 16 channels"),
        ((1, 64, 10, 10), (64, 64, 5, 5), {}, "direct", "fewer than 16 tiles"),
        ((1, 4, 256, 256), (4, 4, 31, 31), {}, "fft", "961 taps"),
        ((1, 8, 100), (8, 8, 9), {}, "direct", "fewer than 64 channels"),
        ((64, 100), (64, 64, 9), {}, "winograd", "a line of 9 taps"),
        ((1, 32, 8, 16, 16), (32, 32, 3, 3, 3), {"padding": 1}, "winograd", "4 times fewer"),
        ((1, 64, 56, 56), (64, 32, 3, 3), {"padding": 1, "transposed": True}, "winograd", "4 times fewer"),
        ((1, 64, 36, 36), (64, 64, 4, 4), {"padding": 1, "stride": 2}, "winograd", "2.2 times fewer"),
        ((1, 64, 30, 30), (64, 64, 4, 4), {"padding": 1, "stride": 2}, "direct", "fewer than 36 tiles of 3 x 3"),
        ((16, 64, 8, 8), (64, 64, 4, 4), {"padding": 1, "stride": 2}, "direct", "too large for the map"),
        ((1, 64, 56, 56), (64, 64, 4, 4), {}, "direct", "neither 3x3 nor"),
        ((1, 64, 18, 18), (64, 64, 4, 4), {"padding": 1, "stride": 2, "transposed": True}, "winograd", "at stride 2"),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"algorithm": "im2col"}, "im2col", "named"),
    ],
)
def test_which_and_why(shape, weight, options, algorithm, reason):
    choice = algorithm_of(shape, weight, **options)
    assert choice.algorithm == algorithm
    assert reason in choice.reason
    assert str(choice).startswith(f"{algorithm}: ")
    assert (choice.tile is not None) == (algorithm == "winograd")


def test_arrays_tell_shape_and_dtype():
    x, w = arrays("float64")
    assert algorithm_of(x, Parameter(w)) == algorithm_of(X, W, dtype=np.float64)
    assert algorithm_of(x, w).packed_bytes == 2 * algorithm_of(X, W).packed_bytes


@pytest.mark.parametrize("algorithm", ["direct", "winograd", "fft"])
@pytest.mark.parametrize("transposed", [False, True])
def test_packed_bytes_are_what_a_parameter_keeps(algorithm, transposed):
    x, w = arrays()
    weight = Parameter(w)
    (F.conv_transpose2d if transposed else F.conv2d)(x, weight, padding=1, algorithm=algorithm)
    kept = sum(packed.nbytes for _, packed in weight.cache.values())
    assert algorithm_of(X, W, padding=1, algorithm=algorithm, transposed=transposed).packed_bytes == kept > 0


def test_asking_computes_nothing():
    """A convolution of 10^14 multiplications on arrays of 8 GB, which no memory is taken for."""
    choice = algorithm_of((1, 1024, 1024, 1024), (1024, 1024, 3, 3), padding=1)
    assert choice.algorithm == "winograd"
    assert 0 < choice.scratch_bytes < 100 << 20


def test_scratch_grows_with_the_threads():
    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(1)
        large = (2, 32, 80, 80)
        one = algorithm_of(large, W).scratch_bytes
        fastconv.set_num_threads(4)
        assert 3 * one < algorithm_of(large, W).scratch_bytes < 5 * one
    finally:
        fastconv.set_num_threads(before)


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize(
    ("shape", "weight"),
    [
        ((8, 64, 56, 56), (64, 64, 3, 3)),
        ((1, 128, 112, 112), (128, 128, 3, 3)),
        ((8, 256, 28, 28), (256, 256, 3, 3)),
        ((1, 512, 14, 14), (512, 512, 3, 3)),  # too many weights to keep transformed ones
        ((1, 512, 28, 28), (512, 512, 3, 3)),
        ((8, 512, 7, 7), (512, 512, 3, 3)),
        ((8, 512, 28, 28), (512, 512, 3, 3)),
    ],
)
def test_working_memory_is_a_tenth_of_the_arrays(algorithm, shape, weight):
    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(2)
        choice = algorithm_of(shape, weight, padding=1, algorithm=algorithm)
    finally:
        fastconv.set_num_threads(before)
    size = 4 * (2 * math.prod(shape) + math.prod(weight))
    assert size > 10e6
    assert choice.scratch_bytes <= size / 10


@pytest.mark.parametrize(
    ("shape", "weight", "transposed"),
    [
        ((8, 64, 112, 112), (128, 64, 4, 4), False),
        ((8, 512, 16, 16), (256, 512, 4, 4), False),
        ((1, 128, 112, 112), (128, 64, 4, 4), True),
        ((16, 512, 8, 8), (512, 256, 4, 4), True),
    ],
)
def test_working_memory_of_strided_winograd_is_a_tenth_of_the_arrays(shape, weight, transposed):
    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(2)
        choice = algorithm_of(shape, weight, stride=2, padding=1, transposed=transposed)
    finally:
        fastconv.set_num_threads(before)
    outputs = shape[0] * weight[1 if transposed else 0] * shape[2] * shape[3] * (4 if transposed else 1 / 4)
    size = 4 * (math.prod(shape) + math.prod(weight) + outputs)
    assert choice.algorithm == "winograd"
    assert size > 10e6
    assert choice.scratch_bytes <= size / 10


def test_exact_rules_winograd_out_of_value_and_gradients():
    x, w = arrays()

    def run(algorithm: str) -> list[Tensor]:
        a, b = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
        out = F.conv2d(a, b, padding=1, algorithm=algorithm)
        out.sum().backward()
        assert a.grad is not None
        assert b.grad is not None
        return [out, a.grad, b.grad]

    usual, direct = run("auto"), run("direct")
    with algorithm_options(exact=True):
        exact = run("auto")
        with pytest.raises(ValueError, match="ruled out by exact=True"):
            run("winograd")
        assert "exact=True rules winograd out" in algorithm_of(X, W).reason
        assert algorithm_of((1, 4, 256, 256), (4, 4, 31, 31)).algorithm == "direct"
    for a, b, c in zip(usual, direct, exact, strict=True):
        assert_bits(b, c)
        assert not np.array_equal(a.detach().numpy(), c.detach().numpy())
    assert_bits(run("auto")[0], usual[0])


def test_workspace_is_a_cap_on_packed_weights_and_scratch():
    free = algorithm_of(X, W)
    needs = free.packed_bytes + free.scratch_bytes
    with algorithm_options(workspace=needs):
        assert algorithm_of(X, W) == free
    x, w = arrays()
    with algorithm_options(workspace=needs - 1):
        choice = algorithm_of(X, W)
        assert choice.algorithm == "direct"
        assert f"winograd needs {needs} bytes" in choice.reason
        assert_bits(F.conv2d(x, w), F.conv2d(x, w, algorithm="direct"))
        with pytest.raises(ValueError, match=f"needs {needs} bytes of working memory, more than workspace"):
            F.conv2d(x, w, algorithm="winograd")
        with algorithm_options(workspace=math.inf):
            assert algorithm_of(X, W) == free
    with algorithm_options(workspace=0), pytest.raises(ValueError, match="'im2col' needs"):
        F.conv2d(x, w, algorithm="im2col")


def test_autotune_takes_what_timing_finds_and_remembers(monkeypatch):
    """Timing is told what to find, so that the machine's load has no say."""
    timed = []

    def fastest(tiles, run):
        timed.append(tiles)
        for tile in tiles:
            run(tile)
        return wanted

    monkeypatch.setattr(_choice, "_fastest", fastest)
    x, weight = randn(2, 32, 21, 21, dtype="float32"), Parameter(arrays()[1])
    for wanted, algorithm, threads in ((0, "direct", 1), (2, "winograd", 2)):
        fastconv.set_num_threads(threads)
        with algorithm_options(autotune=True):
            assert "4 times fewer" in algorithm_of(x, weight).reason
            outs = [F.conv2d(x, weight) for _ in range(2)]
            choice = algorithm_of(x, weight)
            assert choice.algorithm == algorithm
            assert "when they were timed" in choice.reason
            outs[0].sum().backward()
        assert_bits(*outs)
        if not wanted:
            assert_bits(outs[0], F.conv2d(x, weight, algorithm="direct"))
    fastconv.set_num_threads(2)
    assert timed == [[0, 4, 2, 8], [0, 4]] * 2


def test_autotune_times_no_tiles_for_the_gradient_of_a_line(monkeypatch):
    timed = []
    monkeypatch.setattr(_choice, "_fastest", lambda tiles, run: timed.append(tiles) or 0)
    with algorithm_options(autotune=True):
        F.conv2d(randn(1, 32, 9, 19, dtype="float32"), Parameter(randn(32, 32, 1, 7, dtype="float32"))).sum().backward()
    assert [len(tiles) > 1 for tiles in timed] == [True, False]
    assert timed[1] == [0]


def test_autotune_times_what_serves():
    x, weight = randn(1, 32, 24, 24, dtype="float32"), Parameter(arrays()[1])
    with algorithm_options(autotune=True):
        out = F.conv2d(x, weight)
        named = algorithm_of(x, weight).algorithm
        assert len(weight.cache) <= 1  # what was packed for the sake of timing is gone
    np.testing.assert_allclose(
        out.detach().numpy(), F.conv2d(x, weight, algorithm=named).detach().numpy(), rtol=1e-4, atol=1e-4
    )
    with algorithm_options(autotune=True, exact=True):
        F.conv2d(x, weight)
        assert algorithm_of(x, weight).algorithm == "direct"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exact": 1}, TypeError, "exact must be True or False"),
        ({"autotune": "yes"}, TypeError, "autotune must be True or False"),
        ({"workspace": -1}, ValueError, "workspace must be a finite number >= 0"),
        ({"workspace": math.nan}, ValueError, "workspace must be a finite number >= 0"),
        ({"workspace": "1 MB"}, TypeError, "workspace must be a number"),
    ],
)
def test_bad_options_change_nothing(options, error, message):
    with pytest.raises(error, match=message):
        algorithm_options(exact=True, **options) if "exact" not in options else algorithm_options(**options)
    assert _choice.options.options == _choice.Options()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((1, 2, 8, 8), (2, 3, 3, 3)), ShapeError, "takes 3 input channels"),
        (((1, 2, 8, 8), (2, 3)), ShapeError, "weight must have 3, 4 or 5 axes"),
        (((1, 2, 8.0, 8), (2, 2, 3, 3)), ShapeError, "input must be"),
        ((["a"], (2, 2, 3, 3)), TypeError, "algorithm_of: input"),
    ],
)
def test_bad_shapes(arguments, error, message):
    with pytest.raises(error, match=message):
        algorithm_of(*arguments)
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        algorithm_of((1, 2, 8, 8), (2, 2, 3, 3), dtype="int32")
    with pytest.raises(ValueError, match="algorithm must be one of"):
        algorithm_of((1, 2, 8, 8), (2, 2, 3, 3), algorithm="fastest")
