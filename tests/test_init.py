import math

import numpy as np
import pytest

from fastconv import Parameter, Tensor, init
from fastconv.errors import ShapeError

SHAPE = (64, 32, 3, 3)
FAN_IN, FAN_OUT = 32 * 9, 64 * 9


def values(function, *args, **options):
    return function(np.empty(SHAPE), *args, rng=0, **options)


@pytest.mark.parametrize(
    ("found", "bound"),
    [
        (values(init.uniform_, -2.0, 2.0), 2.0),
        (values(init.xavier_uniform_), math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (values(init.xavier_uniform_, gain=2.0), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (values(init.kaiming_uniform_), math.sqrt(6 / FAN_IN)),
        (values(init.kaiming_uniform_, a=math.sqrt(5)), 1 / math.sqrt(FAN_IN)),
        (values(init.kaiming_uniform_, mode="fan_out", nonlinearity="tanh"), 5 / math.sqrt(3 * FAN_OUT)),
    ],
)
def test_uniform(found, bound):
    assert np.abs(found).max() <= bound
    assert np.abs(found).max() > 0.999 * bound
    assert found.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert abs(found.mean()) < 0.02 * bound


@pytest.mark.parametrize(
    ("found", "mean", "std"),
    [
        (values(init.normal_, 1.0, 0.5), 1.0, 0.5),
        (values(init.xavier_normal_), 0, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (values(init.kaiming_normal_, nonlinearity="relu"), 0, math.sqrt(2 / FAN_IN)),
        (values(init.kaiming_normal_, mode="fan_out", a=1.0), 0, 1 / math.sqrt(FAN_OUT)),
    ],
)
def test_normal(found, mean, std):
    assert found.mean() == pytest.approx(mean, abs=0.03 * std)
    assert found.std() == pytest.approx(std, rel=0.02)


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_constants():
    assert init.constant_(Parameter(np.zeros(3)), 2).tolist() == [2, 2, 2]
    assert init.ones_(Tensor([0.0])).tolist() == [1]
    assert init.zeros_(np.ones(2)).tolist() == [0, 0]


def test_a_parameter_is_written_through_its_version():
    p = Parameter(np.zeros((2, 3), np.float32))
    p.cache["packed"] = 1
    assert init.xavier_normal_(p, rng=0) is p
    assert p.version == 1
    assert not p.cache
    assert p.numpy().all()
    assert p.dtype == np.float32


def test_seeds():
    a, b = np.empty((4, 4)), np.empty((4, 4), np.float32)
    init.kaiming_normal_(a, rng=7)
    init.kaiming_normal_(b, rng=7)
    np.testing.assert_allclose(a, b, rtol=1e-6)
    rng = np.random.default_rng(7)
    assert np.array_equal(init.kaiming_normal_(np.empty((4, 4)), rng=rng), a)
    assert not np.array_equal(init.kaiming_normal_(np.empty((4, 4)), rng=rng), a)
    assert not np.array_equal(init.kaiming_normal_(np.empty((4, 4))), init.kaiming_normal_(np.empty((4, 4))))


def test_wrong_arguments():
    w = np.ones((2, 2))
    for call, error in (
        (lambda: init.xavier_uniform_(np.ones(3)), ShapeError),
        (lambda: init.kaiming_normal_(np.ones((0, 3))), ShapeError),
        (lambda: init.kaiming_uniform_(w, mode="fan"), ValueError),
        (lambda: init.kaiming_uniform_(w, nonlinearity="swish"), ValueError),
        (lambda: init.uniform_(w, 2.0, 1.0), ValueError),
        (lambda: init.normal_(w, std=-1.0), ValueError),
        (lambda: init.constant_(w, np.nan), ValueError),
        (lambda: init.normal_(np.ones(3, int)), TypeError),
        (lambda: init.normal_([1.0]), TypeError),
        (lambda: init.uniform_(w, rng="a"), TypeError),
        (lambda: init.uniform_(w, rng=-1), ValueError),
    ):
        with pytest.raises(error):
            call()
    assert np.array_equal(w, np.ones((2, 2)))


def test_large_arrays_get_the_numbers_that_one_draw_would_give():
    expected = np.random.default_rng(3).normal(0.5, 2.0, (300, 700))
    for dtype in (np.float32, np.float64):
        assert np.array_equal(init.normal_(np.empty((300, 700), dtype), 0.5, 2.0, rng=3), expected.astype(dtype))
        parameter = Parameter(np.empty((300, 700), dtype))
        assert np.array_equal(init.normal_(parameter, 0.5, 2.0, rng=3).numpy(), expected.astype(dtype))
        assert parameter.version == 1
    spread = np.empty((600, 700))[::2]
    assert np.array_equal(init.normal_(spread, 0.5, 2.0, rng=3), expected)


def test_draws_can_be_skipped():
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    with init.skipped():
        assert init.normal_(np.full(3, 7.0), rng=generator).tolist() == [7, 7, 7]
        assert init.ones_(np.zeros(2)).tolist() == [1, 1]
        with pytest.raises(ValueError, match="normal_: std"):
            init.normal_(np.zeros(2), std=-1.0)
    assert generator.bit_generator.state == before
    assert init.normal_(np.full(3, 7.0), rng=generator).tolist() != [7, 7, 7]
