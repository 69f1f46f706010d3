import gc
import threading
import weakref

import numpy as np
import pytest

from fastconv import Parameter, Tensor, enable_grad, is_grad_enabled, no_grad
from fastconv import functional as F
from fastconv.autograd import needs_grad, record
from fastconv.errors import ShapeError
from tests.helpers import randn


def leaf(*values):
    return Tensor(list(values), requires_grad=True)


@pytest.fixture
def without_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_chain_rule():
    x, y = leaf(2.0, 3.0), leaf(4.0, 5.0)
    z = (x * y + x).sum()
    z.backward()
    assert x.grad.tolist() == [5, 6]
    assert y.grad.tolist() == [2, 3]
    assert z.grad is None


def test_a_diamond():
    x = leaf(3.0)
    y = x * x
    (y * y + y).backward([1.0])
    assert x.grad.item() == 4 * 27 + 6


def test_gradients_accumulate_by_allocation():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    first, before = x.grad, x.grad.data
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5, 5]
    assert before.tolist() == [2, 2]
    assert first is not x.grad
    x.zero_grad()
    assert x.grad is None


def test_no_two_gradients_share_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    given = np.ones(2, np.float32)
    (x + y).backward(given)
    assert not np.shares_memory(x.grad.data, y.grad.data)
    assert not np.shares_memory(x.grad.data, given)
    z = leaf(1.0)
    z.backward(given[:1])
    assert not np.shares_memory(z.grad.data, given)
    assert z.grad.data.flags.writeable
    w = leaf(1.0, 2.0)
    w.sum().backward()
    w.grad.data[0] = 5
    assert w.grad.tolist() == [5, 1]


def test_integers_and_plain_arrays_get_no_gradient():
    x = leaf(1.0, 2.0)
    mask = Tensor(np.array([1, 0]))
    (x * mask * np.ones(2, np.float32)).sum().backward()
    assert mask.grad is None
    assert x.grad.tolist() == [1, 0]


def test_a_second_backward_is_an_error():
    x = leaf(1.0, 2.0)
    y = x * x
    z = y.sum()
    z.backward()
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()
    with pytest.raises(RuntimeError, match="freed"):
        (y * 2).sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_two_results_of_separate_records_go_one_by_one():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 6]


def test_backward_of_a_leaf():
    x = Tensor(2.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1


def test_wrong_calls_of_backward():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="requires no gradient"):
        Tensor([1.0]).backward()
    y = x * 2
    with pytest.raises(ShapeError, match=r"shape \(2,\) needs the argument gradient"):
        y.backward()
    for bad in (np.ones(3, np.float32), np.ones((2, 1), np.float32), 1.0):
        with pytest.raises(ShapeError, match=r"gradient must have the tensor's shape \(2,\)"):
            y.backward(bad)
    with pytest.raises(TypeError, match="gradient must be float32"):
        y.backward(np.ones(2))
    with pytest.raises(TypeError, match="backward: gradient must be"):
        y.backward("ones")
    y.backward([1, 1])
    assert x.grad.tolist() == [2, 2]


def test_an_error_on_the_way_leaves_the_gradients_as_they_were():
    x, y = leaf(1.0), leaf(1.0)

    def broken(grad):
        raise KeyError

    z = record(x.data.copy(), broken, (x,)) + y * 2
    with pytest.raises(KeyError):
        z.backward([1.0])
    assert x.grad is None
    assert y.grad is None


def test_none_ends_a_branch():
    x, y = leaf(1.0), leaf(2.0)
    inner = x * y
    out = record(inner.data + 1, lambda grad: (None,), (inner,)) + y
    out.backward([1.0])
    assert x.grad is None
    assert y.grad.tolist() == [1]


def test_long_chains(without_gc):
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y + 1
    y.backward([1.0])
    assert x.grad.item() == 1
    y = x
    for _ in range(100_000):
        y = -y
    del y


def test_wide_graphs_walk_each_node_once():
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward([1.0])
    assert x.grad.item() == 2.0**60


def test_no_grad():
    x = leaf(1.0)
    with no_grad():
        assert not is_grad_enabled()
        assert not needs_grad(x)
        y = x * 2
        with enable_grad():
            assert (x * 2).requires_grad
        assert not is_grad_enabled()
    assert is_grad_enabled()
    assert not y.requires_grad
    assert y.is_leaf

    @no_grad()
    def evaluate(x):
        """Doc."""
        return x * 2

    assert not evaluate(x).requires_grad
    assert evaluate.__doc__ == "Doc."
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()
    guard = no_grad()
    with guard, guard:
        assert not is_grad_enabled()
    with guard:
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_no_grad_is_of_one_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_intermediate_arrays_go_with_the_last_reference(without_gc):
    x = leaf(*range(10))
    y = F.exp(x)
    kept = weakref.ref(y.data)
    z = y + 1  # needs no array
    del y
    assert kept() is not None  # exp's own backward needs its result
    z.sum().backward()
    assert kept() is None
    a = x + 1
    dropped = weakref.ref(a.data)
    b = a + 1
    del a
    assert dropped() is None
    assert b.requires_grad


def test_the_record_goes_as_the_walk_passes(without_gc):
    x = leaf(1.0)
    alive = []
    refs = []

    def step(y):
        saved = np.ones(3)
        refs.append(weakref.ref(saved))

        def backward(grad):
            alive.append(sum(ref() is not None for ref in refs))
            return (grad * saved[0].astype(np.float32),)

        return record(y.data * 1, backward, (y,))

    y = x
    for _ in range(5):
        y = step(y)
    y.backward([1.0])
    assert alive == [5, 4, 3, 2, 1]
    assert all(ref() is None for ref in refs)


def test_a_forgotten_record_goes_without_a_walk(without_gc):
    x = leaf(1.0)
    y = F.exp(x * 2)
    array, node = weakref.ref(y.data), weakref.ref(y.node.backward)
    del y
    assert array() is None
    assert node() is None
    t = Tensor([1.0], requires_grad=True)
    gone = weakref.ref(t)
    u = t * t
    u.backward([1.0])
    del t
    assert gone() is None


def test_needs_grad():
    x = leaf(1.0)
    assert needs_grad(None, 1.0, x)
    assert needs_grad(Parameter([1.0]))
    assert not needs_grad(Tensor([1.0]), np.ones(1), None)
    assert not needs_grad(Parameter([1.0], requires_grad=False))


def test_frozen_parameters_record_nothing():
    p = Parameter([1.0], requires_grad=False)
    assert not (p * 2).requires_grad


def test_subclasses_of_tensor_are_recorded():
    class Image(Tensor):
        pass

    x = Image([1.0], requires_grad=True)
    (x * x).backward([1.0])
    assert x.grad.tolist() == [2]


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    x, w, b = randn(4, 5), randn(5, 3), randn(3)

    def network(x, w, b, exp):
        h = x @ w + b
        h = h * exp(-h * h) / (1 + abs(h)) ** 1.5
        a = h[1:, ::2].T.reshape(2, 3)
        return (a - a.mean(1).reshape(2, 1)) ** 2 + h.max() - h[h > 0].sum() + h[[0, 0, 1], 1].sum()

    ours = [Tensor(v, requires_grad=True) for v in (x, w, b)]
    theirs = [torch.tensor(v, requires_grad=True) for v in (x, w, b)]
    out, expected = network(*ours, F.exp), network(*theirs, torch.exp)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    out.sum().backward()
    expected.sum().backward()
    for u, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(u.grad.numpy(), t.grad.numpy(), rtol=1e-10, atol=1e-12)
