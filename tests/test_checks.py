import numpy as np
import pytest

from fastconv import checks
from fastconv.errors import ShapeError

NOT_INTS = [1.0, "1", None, True, np.True_, np.nan, np.float32(1), [1.0, 2], (1, "2"), (True, 1), {1: 2}]
BIG = [2**31, 2**62, 2**63, 2**64, 10**30]


@pytest.mark.parametrize("value", [1, 7, np.int32(7), np.uint8(7), np.array(7), 2**31 - 1])
def test_integers(value):
    assert checks.integer(value, "op", "n") == int(value)
    assert type(checks.integer(value, "op", "n")) is int
    assert checks.pair(value, "op", "n") == (int(value), int(value))
    assert checks.pair((1, value), "op", "n") == checks.pair([1, value], "op", "n") == (1, int(value))


@pytest.mark.parametrize("value", NOT_INTS, ids=repr)
def test_what_is_no_int(value):
    with pytest.raises(TypeError, match=r"conv2d: stride must be an int or a pair of ints >= 1, got .* of type"):
        checks.pair(value, "conv2d", "stride")
    with pytest.raises(TypeError, match="conv2d: groups must be an int >= 1, got"):
        checks.integer(value, "conv2d", "groups")


@pytest.mark.parametrize("value", [0, -1, -(2**63), (1, 0), (-5, 1), np.int64(0)])
def test_too_small(value):
    with pytest.raises(ShapeError, match=r"max_pool2d: kernel_size must be an int or a pair of ints >= 1, got"):
        checks.pair(value, "max_pool2d", "kernel_size")
    assert checks.pair(0, "max_pool2d", "padding", minimum=0) == (0, 0)


@pytest.mark.parametrize("value", BIG)
def test_too_large(value):
    for given in (value, (value, 1), (1, value)):
        with pytest.raises(ShapeError, match="conv2d: padding must be at most 2147483647, got"):
            checks.pair(given, "conv2d", "padding", minimum=0)
    with pytest.raises(ShapeError, match="at most"):
        checks.integer(value, "conv2d", "groups")


@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3), []])
def test_wrong_length(value):
    with pytest.raises(ShapeError, match="conv2d: stride must be an int or a pair of ints >= 1, got"):
        checks.pair(value, "conv2d", "stride")


def test_numbers():
    for value in (0.5, 1, np.float32(0.5), np.int64(1)):
        assert checks.number(value, "op", "p", 0, 1) == value
        assert type(checks.number(value, "op", "p")) is float
    for bad in (np.nan, np.inf, -0.1, 1.1):
        with pytest.raises(ValueError, match="op: p must be a number from 0 to 1, got"):
            checks.number(bad, "op", "p", 0, 1)
    for bad in ("1", None, True, [1], 1j):
        with pytest.raises(TypeError, match="op: p must be a number, got"):
            checks.number(bad, "op", "p")
    with pytest.raises(ValueError, match="must be a finite number, got inf"):
        checks.number(np.inf, "op", "a")


def test_axes():
    assert checks.axis(-1, 4, "op") == 3
    assert checks.axis(np.int64(0), 1, "op") == 0
    assert checks.axis(-1, 0, "op") == 0
    assert checks.axes(None, 3, "op") == (0, 1, 2)
    assert checks.axes(1, 3, "op") == (1,)
    assert checks.axes([0, -1], 3, "op") == (0, 2)
    assert checks.axes((), 3, "op") == ()
    assert checks.axes(0, 0, "op") == ()
    with pytest.raises(ShapeError, match="op: dim must be from -3 to 2 for a 3-d array, got 3"):
        checks.axis(3, 3, "op")
    with pytest.raises(ShapeError, match="twice"):
        checks.axes((0, -3), 3, "op")
    for bad in (0.0, "0", True):
        with pytest.raises(TypeError, match="op: dim"):
            checks.axes(bad, 3, "op")


def test_ndim():
    checks.ndim(np.ones((2, 3)), (2, 4), "op", "x")
    with pytest.raises(ShapeError, match=r"conv2d: input must be 3-d or 4-d \(N, C, H, W\), got shape \(2,\)"):
        checks.ndim(np.ones(2), (3, 4), "conv2d", "input", "(N, C, H, W)")


def test_dtypes():
    assert checks.dtype("float32", "op") is np.dtype(np.float32)
    assert checks.dtype(float, "op") is np.dtype(np.float64)
    assert checks.dtype(np.dtype(">f4"), "op") is np.dtype(np.float32)
    for bad in (None, int, "float16", "nonsense", 3, complex):
        with pytest.raises(TypeError, match="op: dtype must be float32 or float64, got"):
            checks.dtype(bad, "op")
    x, y = np.ones(1, np.float32), np.ones(1)
    checks.same_dtype("conv2d", x, "input", x, "weight")
    with pytest.raises(TypeError, match="conv2d: input is float32 but weight is float64; both must have one dtype"):
        checks.same_dtype("conv2d", x, "input", y, "weight")


def test_generators():
    rng = np.random.default_rng(0)
    assert checks.generator(rng, "op") is rng
    assert checks.generator(np.int64(3), "op").random() == np.random.default_rng(3).random()
    assert checks.generator(None, "op").random() != checks.generator(None, "op").random()
    for bad in ("a", 1.0, True, np.random.RandomState(0)):
        with pytest.raises(TypeError, match=r"op: rng must be a numpy.random.Generator, an int >= 0 or None"):
            checks.generator(bad, "op")
    with pytest.raises(ValueError, match="op: rng"):
        checks.generator(-1, "op")


def test_messages_stay_short():
    with pytest.raises(TypeError, match=r"got a value of type list$"):
        checks.pair(["x" * 1000, 1], "op", "stride")
