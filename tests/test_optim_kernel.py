import itertools

import numpy as np
import pytest

from fastconv import _kernels
from fastconv.reference import optim as reference
from tests.guard import guarded
from tests.helpers import DTYPES, randn

# momentum, dampening, weight decay, Nesterov
RULES = [
    (0.0, 0.0, 0.0, False),
    (0.0, 0.0, 0.1, False),
    (0.9, 0.0, 0.0, False),
    (0.9, 0.5, 0.1, False),
    (0.9, 0.0, 0.1, True),
]


def arrays(n, dtype, momentum):
    return randn(n, dtype=dtype), randn(n, seed=1, dtype=dtype), np.full(n, np.nan, dtype) if momentum else None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_as_the_reference(each_isa, rule, dtype):
    momentum, dampening, decay, nesterov = rule
    length = _kernels.vector_length(np.dtype(dtype))
    for n in (0, 1, length - 1, length, length + 1, 2 * length + 1, 40_001):
        param, grad, velocity = arrays(n, dtype, momentum)
        wide = param.astype(np.longdouble)
        wide_velocity = None if velocity is None else velocity.astype(np.longdouble)
        for step in range(3):
            _kernels.sgd_update(param, grad, velocity, 0.1, momentum, dampening, decay, nesterov, step == 0)
            reference.sgd_update(
                wide, grad.astype(np.longdouble), wide_velocity, 0.1, momentum, dampening, decay, nesterov, step == 0
            )
        limit = {np.float32: 3e-6, np.float64: 5e-15}[dtype]
        np.testing.assert_allclose(param, wide.astype(dtype), rtol=0, atol=limit)
        if velocity is not None:
            np.testing.assert_allclose(velocity, wide_velocity.astype(dtype), rtol=0, atol=limit)


@pytest.mark.parametrize("rule", RULES)
def test_same_bits_in_every_lane_and_thread_count(each_isa, rule):
    momentum, dampening, decay, nesterov = rule
    whole = arrays(40_001, np.float32, momentum)
    before, found = _kernels.get_num_threads(), set()
    try:
        for threads in (1, 2, 3, 8):
            _kernels.set_num_threads(threads)
            param, velocity = whole[0].copy(), None if whole[2] is None else whole[2].copy()
            for step in range(2):
                _kernels.sgd_update(param, whole[1], velocity, 0.1, momentum, dampening, decay, nesterov, step == 0)
            found.add(param.tobytes())
    finally:
        _kernels.set_num_threads(before)
    assert len(found) == 1
    for i in (0, 5, 16_383, 16_384, 40_000):
        one, memory = whole[0][i : i + 1].copy(), None if whole[2] is None else whole[2][:1].copy()
        for step in range(2):
            _kernels.sgd_update(one, whole[1][i : i + 1], memory, 0.1, momentum, dampening, decay, nesterov, step == 0)
        assert one[0] == param[i]


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for n, edge in itertools.product(range(1, 2 * length + 2), ("start", "end")):
        param, grad, velocity = (guarded(a, edge) for a in arrays(n, dtype, 0.9))
        _kernels.sgd_update(param, grad, velocity, 0.1, 0.9, 0.0, 0.1, True, True)
        assert np.isfinite(param).all()


def test_nan_stays_in_its_lane(each_isa):
    param, grad, velocity = arrays(33, np.float32, 0.9)
    grad[5], grad[32] = np.nan, np.inf
    _kernels.sgd_update(param, grad, velocity, 0.1, 0.9, 0.0, 0.0, False, True)
    assert np.flatnonzero(~np.isfinite(param)).tolist() == [5, 32]


def test_what_would_crash_is_refused():
    param, grad, velocity = arrays(8, np.float32, 0.9)
    rule = (0.1, 0.9, 0.0, 0.0, False, True)
    for bad in (grad[:7], grad.astype(np.float64), np.zeros(16, np.float32)[::2]):
        with pytest.raises(TypeError):
            _kernels.sgd_update(param, bad, velocity, *rule)
        with pytest.raises(TypeError):
            _kernels.sgd_update(param, grad, bad, *rule)
    param.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        _kernels.sgd_update(param, grad, velocity, *rule)


@pytest.mark.parametrize("rule", RULES)
def test_as_torch(rule):
    torch = pytest.importorskip("torch")
    momentum, dampening, decay, nesterov = rule
    param, grad, velocity = arrays(1000, np.float32, momentum)
    theirs = torch.nn.Parameter(torch.tensor(param))
    options = {"momentum": momentum, "dampening": dampening, "weight_decay": decay, "nesterov": nesterov}
    optimizer = torch.optim.SGD([theirs], lr=0.1, **options)
    theirs.grad = torch.tensor(grad)
    for step in range(5):
        _kernels.sgd_update(param, grad, velocity, 0.1, momentum, dampening, decay, nesterov, step == 0)
        optimizer.step()
    np.testing.assert_allclose(param, theirs.detach().numpy(), rtol=0, atol=5e-7)
