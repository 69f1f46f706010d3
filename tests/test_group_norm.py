"""Group, instance and layer normalisation, and local response normalisation."""

import numpy as np
import pytest

from fastconv import Parameter, Tensor, _kernels, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, channels_last, check_op, randn, thread_counts

LIMIT = {np.float32: 4e-6, np.float64: 2e-14}


def affine(function, *options):
    """A function of input, weight and bias."""
    return lambda x, weight=None, bias=None, **more: function(x, *options, weight, bias, **more)


def affine_grad(function, *options):
    return lambda grad, x, weight=None, bias=None: function(grad, x, *options, weight, bias)


def check(op, twin, twin_grad, options, shape, inner):
    inputs = [2 * randn(*shape) + 1, randn(*inner, seed=1), randn(*inner, seed=2)]
    check_op(affine(op, *options), affine(twin, *options), inputs, affine_grad(twin_grad, *options), tolerance=LIMIT)


# ---- groups


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((3, 6), 2), ((2, 6, 5), 3), ((2, 6, 3, 5), 2), ((2, 70, 3, 3), 10), ((3, 33, 4, 4), 1), ((2, 4, 2, 3, 2), 2)],
)
def test_group_norm(shape, groups):
    check(F.group_norm, reference.group_norm, reference.group_norm_grad, [groups], shape, shape[1:2])


@pytest.mark.parametrize("shape", [(2, 3, 7), (3, 17, 3, 5), (2, 3, 2, 3, 2)])
def test_instance_norm(shape):
    def op(x, weight, bias):
        return F.instance_norm(x, None, None, weight, bias)

    check(op, reference.instance_norm, reference.instance_norm_grad, [], shape, shape[1:2])


def test_without_parameters():
    x = randn(3, 6, 4, 4)
    check_op(
        lambda a: F.group_norm(a, 3),
        lambda a: reference.group_norm(a, 3),
        [x],
        lambda g, a: reference.group_norm_grad(g, a, 3),
        tolerance=LIMIT,
    )
    check_op(F.instance_norm, reference.instance_norm, [x], reference.instance_norm_grad, tolerance=LIMIT)


def test_group_norm_layer():
    layer = layers.GroupNorm(2, 6)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert repr(layer) == "GroupNorm(2, 6, eps=1e-05, affine=True)"
    x = randn(1, 6, dtype=np.float32)
    np.testing.assert_allclose(layer(x).detach(), reference.group_norm(x, 2), atol=1e-5)
    with pytest.raises(ShapeError, match="num_groups must divide num_channels, got 4 and 6"):
        layers.GroupNorm(4, 6)
    with pytest.raises(ShapeError, match="must divide"):
        F.group_norm(x, 4)
    with pytest.raises(ShapeError, match="6 channels"):
        layer(np.zeros((2, 5), np.float32))
    assert layer(np.zeros((0, 6, 3, 3), np.float32)).shape == (0, 6, 3, 3)


def test_instance_norm_layer():
    layer = layers.InstanceNorm2d(3, affine=True, track_running_stats=True, momentum=1.0)
    x = 3 * randn(4, 3, 5, 5, dtype=np.float32) + 1
    np.testing.assert_allclose(layer(x).detach(), reference.instance_norm(x), atol=1e-5)
    np.testing.assert_allclose(layer.running_mean, x.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, x.var((2, 3), ddof=1).mean(0), rtol=1e-5)
    layer.eval()
    expected = F.batch_norm(x, layer.running_mean, layer.running_var)
    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-6)
    assert list(layers.InstanceNorm1d(3).state_dict()) == []
    with pytest.raises(ShapeError, match="more than one pixel"):
        layer.train()(np.zeros((2, 3, 1, 1), np.float32))
    with pytest.raises(ShapeError, match="InstanceNorm3d: input must be"):
        layers.InstanceNorm3d(3)(x[0])


@pytest.mark.parametrize(("kind", "shape"), [("1d", (3, 7)), ("2d", (3, 4, 5)), ("3d", (3, 2, 3, 4))])
def test_instance_norm_of_a_single_image(kind, shape):
    layer = getattr(layers, f"InstanceNorm{kind}")(3, affine=True, track_running_stats=True)
    x = randn(*shape, dtype=np.float32)
    np.testing.assert_array_equal(layer(x).detach(), layer(x[None])[0].detach())
    assert layer(x).shape == shape
    with pytest.raises(ShapeError, match="3 channels"):
        layer(x[:2])


# ---- rows


@pytest.mark.parametrize(
    ("shape", "inner"),
    [
        ((5,), (5,)),
        ((3, 1), (1,)),
        ((4, 17), (17,)),
        ((2, 3, 33), (33,)),
        ((2, 3, 4, 5), (4, 5)),
        ((2, 3, 4, 5), (3, 4, 5)),
    ],
)
def test_layer_norm(shape, inner):
    if inner == (1,):
        assert not F.layer_norm(randn(*shape), inner).numpy().any()
        return
    check(F.layer_norm, reference.layer_norm, reference.layer_norm_grad, [inner], shape, inner)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3000, 96), (3, 70_000), (700, 1000)])
def test_many_pieces(each_isa, shape, dtype):
    x, grad = randn(*shape, dtype=dtype) - 5, randn(*shape, seed=1, dtype=dtype)
    given, w = Tensor(x, requires_grad=True), Parameter(randn(shape[1], seed=2, dtype=dtype))
    out = F.layer_norm(given, shape[1], w)
    out.backward(grad)
    wide = [a.astype(float) for a in (x, w.numpy(), grad)]
    limit = 50 * LIMIT[dtype]
    np.testing.assert_allclose(out.detach(), reference.layer_norm(wide[0], (shape[1],), wide[1]), rtol=0, atol=limit)
    grad_x, grad_w = reference.layer_norm_grad(wide[2], wide[0], (shape[1],), wide[1])
    np.testing.assert_allclose(given.grad, grad_x, rtol=0, atol=limit)
    np.testing.assert_allclose(w.grad, grad_w, rtol=0, atol=limit * np.abs(grad_w).max())


def test_pixels_of_channels_last_images_are_not_copied():
    x = channels_last(randn(2, 8, 4, 4, dtype=np.float32))
    out = F.permute(F.layer_norm(F.permute(x, (0, 2, 3, 1)), 8), (0, 3, 1, 2))
    assert out.numpy().strides == x.strides
    np.testing.assert_allclose(out.numpy().mean(1), 0, atol=1e-6)


def test_layer_norm_layer():
    layer = layers.LayerNorm((3, 4))
    assert {key: value.shape for key, value in layer.state_dict().items()} == {"weight": (3, 4), "bias": (3, 4)}
    assert list(layers.LayerNorm(4, bias=False).state_dict()) == ["weight"]
    assert list(layers.LayerNorm(4, elementwise_affine=False).state_dict()) == []
    assert repr(layers.LayerNorm(4)) == "LayerNorm((4,), eps=1e-05, elementwise_affine=True)"
    for shape in ((3,), (2, 4, 3), ()):
        with pytest.raises(ShapeError, match="last axes of input"):
            layer(np.zeros(shape, np.float32))
    for bad in ((), 0, (2, -1)):
        with pytest.raises(ShapeError, match="normalized_shape"):
            layers.LayerNorm(bad)
    with pytest.raises(ShapeError, match="weight must have shape"):
        F.layer_norm(np.zeros((2, 3)), 3, np.ones(4))
    assert layer(np.zeros((0, 3, 4), np.float32)).shape == (0, 3, 4)


# ---- local response


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.3])
@pytest.mark.parametrize(("channels", "size"), [(1, 3), (5, 1), (17, 5), (33, 4), (4, 40)])
def test_local_response_norm(channels, size, beta):
    options = {"size": size, "alpha": 2.0, "beta": beta, "k": 1.5}
    twin, twin_grad = reference.local_response_norm, reference.local_response_norm_grad
    check_op(F.local_response_norm, twin, [randn(2, channels, 3, 4)], twin_grad, tolerance=LIMIT, **options)


@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 7, 3, 2, 2), (0, 3, 4, 4)])
def test_local_response_norm_of_other_shapes(shape):
    options = {"size": 3, "alpha": 1.0}
    twin, twin_grad = reference.local_response_norm, reference.local_response_norm_grad
    check_op(F.local_response_norm, twin, [randn(*shape)], twin_grad, tolerance=LIMIT, **options)


def test_alexnets_numbers():
    """The paper does not divide the sum by n: its alpha of 1e-4 is 5e-4 here."""
    x = 30 * randn(2, 96, 5, 5)
    squares = np.pad(x**2, [(0, 0), (2, 2), (0, 0), (0, 0)])
    sums = sum(squares[:, i : i + 96] for i in range(5))
    paper = x / (2 + 1e-4 * sums) ** 0.75
    np.testing.assert_allclose(layers.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(x), paper, rtol=1e-12)


def test_within_a_channel():
    x = randn(2, 3, 6, 5)
    padded = np.pad(x**2, [(0, 0), (0, 0), (1, 1), (1, 1)])
    sums = sum(padded[:, :, i : i + 6, j : j + 5] for i in range(3) for j in range(3))
    expected = x / (1.5 + 0.3 * sums / 9) ** 0.75
    check_op(
        lambda a: F.local_response_norm(a, 3, 0.3, 0.75, 1.5, within_channel=True),
        lambda a: expected,
        [x],
        tolerance={np.float32: 1e-5, np.float64: 1e-12},
        exact_layouts=False,
    )
    layer = layers.LocalResponseNorm(3, within_channel=True)
    assert layer(x).shape == x.shape
    assert repr(layer) == "LocalResponseNorm(3, alpha=0.0001, beta=0.75, k=1.0, within_channel=True)"
    with pytest.raises(ShapeError, match="size must be odd"):
        F.local_response_norm(x, 4, within_channel=True)
    with pytest.raises(ShapeError, match="size"):
        layers.LocalResponseNorm(0)
    with pytest.raises(ShapeError, match="input must be"):
        F.local_response_norm(np.zeros((2, 3)), 3)


# ---- memory and threads


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for n in range(1, 2 * length + 2):
        for edge in ("start", "end"):
            x, grad = (guarded(randn(3, n, seed=s, dtype=dtype), edge) for s in (0, 1))
            out, grad_x = (guarded_empty((3, n), dtype, edge) for _ in range(2))
            w, b, grad_w, grad_b = (guarded(np.ones(n, dtype), edge) for _ in range(4))
            mean, deviation = (guarded_empty((3,), np.float64, edge) for _ in range(2))
            _kernels.layer_norm(x, w, b, out, mean, deviation, 1e-5)
            _kernels.layer_norm_grad(x, grad, w, mean, deviation, grad_x, grad_w, grad_b)
            assert all(np.isfinite(a).all() for a in (out, grad_x, grad_w, grad_b))
            _kernels.local_response_norm(x, out, 5, 1.0, 0.75, 1.0)
            _kernels.local_response_norm_grad(x, grad, grad_x, 5, 1.0, 0.75, 1.0)
            assert all(np.isfinite(a).all() for a in (out, grad_x))


def test_thread_counts_give_the_same_bits():
    x = channels_last(randn(3, 40, 33, 31, dtype=np.float32))
    found = set()
    for _ in thread_counts():
        given, group = Tensor(x, requires_grad=True), layers.GroupNorm(4, 40)
        rows = layers.LayerNorm(40)
        out = F.local_response_norm(group(given), 5)
        out = rows(F.permute(out, (0, 2, 3, 1)))
        out.backward(np.sign(out.detach().numpy()))
        arrays = (out.detach(), given.grad, group.weight.grad, rows.weight.grad)
        found.add(b"".join(a.numpy().tobytes() for a in arrays))
    assert len(found) == 1


@pytest.mark.parametrize("affine", [True, False])
def test_what_a_norm_holds_can_be_read(affine):
    for layer in (layers.BatchNorm2d(4, affine=affine), layers.InstanceNorm1d(4, affine=affine)):
        assert layer.affine is affine
        assert layer.track_running_stats is isinstance(layer, layers.BatchNorm2d)
    assert layers.BatchNorm1d(4, track_running_stats=False).track_running_stats is False
    assert layers.GroupNorm(2, 4, affine=affine).affine is affine
    assert layers.LayerNorm(4, elementwise_affine=affine).elementwise_affine is affine
