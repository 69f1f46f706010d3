import numpy as np
import pytest

from fastconv import Tensor, _kernels, layers, no_grad, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, check_op, misaligned, randn, thread_counts

LIMIT = {np.float32: 4e-6, np.float64: 1e-13}


def labels(shape, classes, seed=0):
    return np.random.default_rng(seed).integers(0, classes, shape)


def check(x, target, **options):
    check_op(
        F.cross_entropy, reference.cross_entropy, [x, target], reference.cross_entropy_grad, tolerance=LIMIT, **options
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_options(reduction, smoothing, weighted):
    weight = np.linspace(0.5, 2, 10, dtype=np.float64) if weighted else None
    target = labels(6, 10)
    target[2] = 7
    for dtype in DTYPES:  # a weight has the dtype of the input
        options = {
            "weight": None if weight is None else weight.astype(dtype),
            "ignore_index": 7,
            "reduction": reduction,
            "label_smoothing": smoothing,
        }
        x = (3 * randn(6, 10)).astype(dtype)
        given = Tensor(x, requires_grad=True)
        out = F.cross_entropy(given, target, **options)
        grad = np.asarray(randn(*out.shape)).astype(dtype)
        out.backward(grad)
        exact = {**options, "weight": weight}
        np.testing.assert_allclose(
            out.detach(), reference.cross_entropy(x.astype(float), target, **exact), rtol=20 * LIMIT[dtype]
        )
        expected = reference.cross_entropy_grad(grad.astype(float), x.astype(float), target, **exact)
        np.testing.assert_allclose(given.grad, expected, atol=LIMIT[dtype])


@pytest.mark.parametrize("classes", [2, 7, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_counts(classes, smoothing):
    check(3 * randn(5, classes), labels(5, classes), label_smoothing=smoothing)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_more_axes(shape, reduction):
    check(randn(*shape), labels((shape[0], *shape[2:]), shape[1]), reduction=reduction)


def test_a_single_class_is_certain(each_isa):
    x = Tensor(randn(3, 1, dtype=np.float32), requires_grad=True)
    loss = F.cross_entropy(x, [0, 0, 0])
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.numpy().any()


def test_one_sample_without_a_batch():
    x = randn(5, dtype=np.float32)
    given = Tensor(x, requires_grad=True)
    out = F.cross_entropy(given, 3)
    out.backward()
    np.testing.assert_allclose(out.detach(), -F.log_softmax(x).numpy()[3], rtol=1e-6)
    np.testing.assert_allclose(given.grad, F.softmax(x).numpy() - np.eye(5)[3], atol=1e-6)


def test_empty_batch_and_labels_that_count_nothing():
    empty = Tensor(np.zeros((0, 10), np.float32), requires_grad=True)
    none = np.zeros(0, np.int64)
    assert F.cross_entropy(empty, none, reduction="sum").item() == 0
    assert F.cross_entropy(empty, none, reduction="none").shape == (0,)
    loss = F.cross_entropy(empty, none)
    loss.backward()
    assert np.isnan(loss.item())
    assert empty.grad.shape == (0, 10)
    x = Tensor(randn(2, 3, dtype=np.float32), requires_grad=True)
    loss = F.cross_entropy(x, [-100, -100])
    loss.backward()
    assert np.isnan(loss.item())
    assert not x.grad.numpy().any()


def test_kinds_of_labels():
    x = randn(3, 5, dtype=np.float32)
    expected = F.cross_entropy(x, np.array([0, 4, 2])).item()
    frozen = np.array([0, 4, 2])
    frozen.flags.writeable = False
    for target in (
        [0, 4, 2],
        (0, 4, 2),
        np.array([0, 4, 2], np.uint8),
        np.array([0, 4, 2], ">i4"),
        np.array([0, 9, 4, 9, 2])[::2],
        misaligned(np.array([0, 4, 2])),
        frozen,
        Tensor(np.array([0, 4, 2])),
    ):
        assert F.cross_entropy(x, target).item() == expected


def test_no_gradient_is_made_under_no_grad():
    x = Tensor(randn(3, 5, dtype=np.float32), requires_grad=True)
    with no_grad():
        loss = F.cross_entropy(x, [0, 1, 2])
    assert loss.node is None
    assert loss.item() == F.cross_entropy(x, [0, 1, 2]).item()


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_scores(each_isa, dtype):
    inf = np.inf
    x = np.array([[1000, 0], [0, 1000], [-inf, 0], [inf, 0], [np.nan, 0]], dtype)
    given = Tensor(x, requires_grad=True)
    losses = F.cross_entropy(given, np.zeros(5, np.int64), reduction="none")
    losses.backward(np.ones(5, dtype))
    np.testing.assert_array_equal(losses.detach(), [0, 1000, inf, np.nan, np.nan])
    np.testing.assert_array_equal(given.grad.numpy()[:3], [[0, 0], [-1, 1], [-1, 1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for classes in range(1, 2 * length + 2):
        for edge in ("start", "end"):
            x = guarded(randn(3, classes, dtype=dtype), edge)
            target, weight = guarded(labels(3, classes), edge), guarded(np.ones(classes, dtype), edge)
            losses, grad = guarded_empty((3,), dtype, edge), guarded_empty((3, classes), dtype, edge)
            assert _kernels.check_target(x, target, weight, -100) == (3.0, -1)
            _kernels.cross_entropy(x, target, weight, -100, 0.1, 1.0, losses, grad)
            assert np.isfinite(losses).all()
            assert np.isfinite(grad).all()


def test_thread_counts_give_the_same_bits():
    x, target = randn(5000, 10, dtype=np.float32), labels(5000, 10)
    found = set()
    for _ in thread_counts():
        given = Tensor(x, requires_grad=True)
        loss = F.cross_entropy(given, target, label_smoothing=0.1)
        loss.backward()
        found.add((loss.item(), given.grad.numpy().tobytes()))
    assert len(found) == 1


# ---- arguments


@pytest.mark.parametrize("bad", [-1, 5, -101, 2**31, 2**62, -(2**63)])
def test_labels_out_of_range(bad):
    x = Tensor(randn(3, 5), requires_grad=True)
    with pytest.raises(ValueError, match=f"target must hold class numbers from 0 to 4.*got {bad} at position 1"):
        F.cross_entropy(x, np.array([0, bad, 2]))
    assert x.grad is None
    with pytest.raises(ValueError, match="class number"):
        F.cross_entropy(x, np.array([0, 2**64 - 100, 2], np.uint64))


@pytest.mark.parametrize(
    "bad", [np.zeros(3), np.float32([0, np.nan, 1]), [0.0, 1.0, 2.0], [True, False, True], "abc", None]
)
def test_labels_that_are_no_integers(bad):
    with pytest.raises(TypeError, match="cross_entropy: target"):
        F.cross_entropy(randn(3, 5), bad)


@pytest.mark.parametrize(
    ("x_shape", "target_shape"),
    [((), ()), ((3, 0), (3,)), ((3, 5), (4,)), ((3, 5), (3, 1)), ((3, 5), ()), ((5,), (1,)), ((3, 5, 2), (3,))],
)
def test_shapes_that_do_not_fit(x_shape, target_shape):
    with pytest.raises(ShapeError, match="cross_entropy: input must be"):
        F.cross_entropy(np.zeros(x_shape), np.zeros(target_shape, np.int64))


def test_wrong_options():
    x, target = randn(3, 5), labels(3, 5)
    with pytest.raises(ValueError, match="reduction must be one of"):
        F.cross_entropy(x, target, reduction="average")
    with pytest.raises(TypeError, match="input"):
        F.cross_entropy(np.zeros((3, 5), np.int64), target)
    for bad in (-0.1, 1.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="label_smoothing"):
            F.cross_entropy(x, target, label_smoothing=bad)
    with pytest.raises(TypeError, match="label_smoothing"):
        F.cross_entropy(x, target, label_smoothing="0.1")
    for bad in (1.0, True, None, "1"):
        with pytest.raises(TypeError, match="ignore_index"):
            F.cross_entropy(x, target, ignore_index=bad)
    with pytest.raises(ShapeError, match="ignore_index"):
        F.cross_entropy(x, target, ignore_index=2**63)
    with pytest.raises(ShapeError, match="weight must be"):
        F.cross_entropy(x, target, np.ones(4))
    with pytest.raises(TypeError, match="weight"):
        F.cross_entropy(x, target, np.ones(5, np.float32))


def test_layer():
    x, target, weight = randn(3, 5, dtype=np.float32), labels(3, 5), np.arange(1, 6, dtype=np.float32)
    layer = layers.CrossEntropyLoss(weight, reduction="sum", label_smoothing=0.1)
    assert layer(x, target).item() == F.cross_entropy(x, target, weight, reduction="sum", label_smoothing=0.1).item()
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "CrossEntropyLoss(reduction='sum', label_smoothing=0.1)"


# ---- oracle


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(7, 10), (3, 5, 4, 2)])
def test_as_torch(reduction, smoothing, weighted, shape):
    torch = pytest.importorskip("torch")
    x, target = 3 * randn(*shape, dtype=np.float32), labels((shape[0], *shape[2:]), shape[1])
    target.flat[1] = -100
    weight = np.linspace(0.5, 2, shape[1], dtype=np.float32) if weighted else None
    given, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours = F.cross_entropy(given, target, weight, reduction=reduction, label_smoothing=smoothing)
    other = torch.nn.functional.cross_entropy(
        theirs,
        torch.tensor(target),
        None if weight is None else torch.tensor(weight),
        reduction=reduction,
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(ours.detach(), other.detach().numpy(), rtol=1e-5)
    ours.backward(np.ones_like(ours.data))
    other.backward(torch.ones_like(other))
    np.testing.assert_allclose(given.grad, theirs.grad.numpy(), atol=2e-6)
