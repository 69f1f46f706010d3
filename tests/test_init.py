import math

import numpy as np
import pytest

from fastconv import Parameter, Tensor, functional, init
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
        (values(init.lecun_uniform_), math.sqrt(3 / FAN_IN)),
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
        (values(init.lecun_normal_), 0, 1 / math.sqrt(FAN_IN)),
    ],
)
def test_normal(found, mean, std):
    assert found.mean() == pytest.approx(mean, abs=0.03 * std)
    assert found.std() == pytest.approx(std, rel=0.02)


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in (
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose2d",
        "sigmoid",
        "tanh",
        "relu",
        "leaky_relu",
        "selu",
    ):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def share_below(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0, 1, -2, 2), (0, 0.02, -2, 2), (1, 2, 0.9, 1.1), (0, 1, 1, 3), (0, 1, 6, 1e9), (5, 1, -1e9, 1), (3, 1, 0, 3)],
)
def test_truncated_normal(mean, std, a, b):
    found = init.trunc_normal_(np.empty(20_000), mean, std, a, b, rng=0)
    assert a <= found.min() <= found.max() <= b
    low, high = share_below((a - mean) / std), share_below((b - mean) / std)
    for quantile in (0.1, 0.5, 0.9):  # the share of the distribution below that sample's value, computed exactly
        below = share_below((np.quantile(found, quantile) - mean) / std)
        if high - low > 1e-6:  # else the error function has no digits left
            assert (below - low) / (high - low) == pytest.approx(quantile, abs=0.02)
    if a == 6:  # the mean of a tail: density over share, the distance 6 plus about 1/6
        assert found.mean() == pytest.approx(6.158, abs=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 3, 2, 2), (16, 1, 3, 3)])
def test_orthogonal(shape):
    found = init.orthogonal_(np.empty(shape), gain=2.0, rng=0).reshape(shape[0], -1)
    product = found @ found.T if found.shape[0] <= found.shape[1] else found.T @ found
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_prefers_no_direction():
    firsts = [init.orthogonal_(np.empty((2, 2)), rng=seed)[0, 0] for seed in range(400)]
    assert abs(np.mean(firsts)) < 0.1
    assert 0 < np.mean(np.array(firsts) > 0) < 1
    assert init.orthogonal_(np.empty((0, 3)), rng=0).shape == (0, 3)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(8, 2, 3), (4, 6, 3, 4), (4, 4, 1, 2, 3)])
def test_dirac_is_pytorchs(shape, groups):
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.dirac_(torch.empty(shape), groups)
    assert np.array_equal(init.dirac_(np.empty(shape), groups), expected.numpy())


def test_dirac_passes_images_on():
    weight = init.dirac_(np.empty((4, 2, 3, 5)), groups=2)
    x = np.random.default_rng(0).standard_normal((1, 4, 6, 7))
    out = functional.conv2d(x, weight, padding=(1, 2), groups=2)
    assert np.array_equal(out.numpy(), x)
    assert np.array_equal(init.eye_(np.empty((2, 4))), np.eye(2, 4))


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_bilinear_interpolates(factor):
    size = 2 * factor - factor % 2
    weight = init.bilinear_(np.empty((2, 2, size, size)))
    assert not weight[0, 1].any()
    kernel = weight[1, 1]
    # Every output sees a few inputs, whose weights add up to 1 and keep a straight line straight.
    positions = np.arange(size) - (size - 1) / 2
    for phase in range(factor):
        taps = kernel.sum(0)[phase::factor] / factor
        assert taps.sum() == pytest.approx(1)
        assert taps @ positions[phase::factor] == pytest.approx(0)
    np.testing.assert_allclose(kernel, np.outer(kernel.sum(0), kernel.sum(1)) / kernel.sum())
    alone = init.bilinear_(np.empty((3, 1, size, size)), groups=3)
    assert all(np.array_equal(each, kernel) for each in alone[:, 0])


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
        (lambda: init.trunc_normal_(w, std=0.0), ValueError),
        (lambda: init.trunc_normal_(w, a=2.0, b=2.0), ValueError),
        (lambda: init.trunc_normal_(w, a=-np.inf), ValueError),
        (lambda: init.orthogonal_(np.ones(3)), ShapeError),
        (lambda: init.orthogonal_(w, gain="1"), TypeError),
        (lambda: init.lecun_normal_(np.ones(3)), ShapeError),
        (lambda: init.eye_(np.ones((1, 2, 3))), ShapeError),
        (lambda: init.dirac_(w), ShapeError),
        (lambda: init.dirac_(np.ones((4, 2, 3)), 3), ShapeError),
        (lambda: init.bilinear_(np.ones((4, 2, 3)), 0), ShapeError),
        (lambda: init.bilinear_(np.ones((4, 2, 3, 3, 3, 3))), ShapeError),
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
