import itertools

import numpy as np
import pytest

from fastconv import _kernels
from tests.guard import guarded
from tests.helpers import DTYPES, randn, thread_counts

# Rule, how many arrays it keeps, which of them it may go without, options.
RULES = [
    ("sgd", (), {"lr": 0.1, "weight_decay": 0.1}),
    ("sgd", (0,), {"lr": 0.1, "momentum": 0.9, "first": True}),
    ("sgd", (0,), {"lr": 0.1, "momentum": 0.9, "fresh": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("sgd", (0,), {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
    ("adam", (0, 1), {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "correction": 0.3, "eps": 1e-8}),
    ("adam", (0, 1, 2), {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "shrink": 0.9, "correction": 0.3, "eps": 1e-8}),
    ("rmsprop", (0,), {"lr": 0.1, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}),
    ("rmsprop", (0, 1, 2), {"lr": 0.1, "beta2": 0.99, "eps": 1e-8, "momentum": 0.9}),
    ("adagrad", (0,), {"lr": 0.1, "eps": 1e-10}),
    ("adadelta", (0, 1), {"lr": 1.0, "beta2": 0.9, "eps": 1e-3}),
]
KEPT = {"sgd": 1, "adam": 3, "rmsprop": 3, "adagrad": 1, "adadelta": 2}


def arrays(rule, kept, n, dtype=np.float32):
    """Parameter, gradient and what is kept: positive, so that averages of squares may start from it."""
    state = tuple(np.abs(randn(n, seed=2 + i, dtype=dtype)) if i in kept else None for i in range(KEPT[rule]))
    return randn(n, dtype=dtype), randn(n, seed=1, dtype=dtype), state


def copies(given):
    return tuple(None if a is None else a.copy() for a in given)


@pytest.mark.parametrize(("rule", "kept", "options"), RULES)
def test_same_bits_in_every_lane_and_thread_count(each_isa, rule, kept, options):
    start, grad, states = arrays(rule, kept, 40_001)
    found = set()
    for _ in thread_counts():
        param, state = start.copy(), copies(states)
        for _ in range(2):
            _kernels.optim_update(rule, param, grad, state, **options)
        found.add(b"".join(a.tobytes() for a in (param, *state) if a is not None))
    assert len(found) == 1
    for i in (0, 5, 16_383, 16_384, 40_000):
        part = slice(i, i + 1)
        one, state = start[part].copy(), copies(None if a is None else a[part] for a in states)
        for _ in range(2):
            _kernels.optim_update(rule, one, grad[part], state, **options)
        assert one[0] == param[i]


@pytest.mark.parametrize(("rule", "kept", "options"), RULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, rule, kept, options, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for n, edge in itertools.product(range(1, 2 * length + 2), ("start", "end")):
        param, grad, state = arrays(rule, kept, n, dtype)
        param, grad = guarded(param, edge), guarded(grad, edge)
        _kernels.optim_update(
            rule, param, grad, tuple(None if a is None else guarded(a, edge) for a in state), **options
        )
        assert np.isfinite(param).all()


@pytest.mark.parametrize(("rule", "kept", "options"), RULES)
def test_nan_stays_in_its_lane(each_isa, rule, kept, options):
    param, grad, state = arrays(rule, kept, 33)
    grad[5], param[32] = np.nan, np.nan
    _kernels.optim_update(rule, param, grad, state, **options)
    assert np.flatnonzero(np.isnan(param)).tolist() == [5, 32]
    assert all(np.isnan(a[5]) for a in state if a is not None)


def test_a_variance_that_rounds_below_0_is_0(each_isa):
    param, grad = np.zeros(1000, np.float32), randn(1000).astype(np.float32)
    state = (np.zeros_like(param), np.zeros_like(param), None)
    for _ in range(60):
        _kernels.optim_update("rmsprop", param, grad, state, lr=1e-6, beta2=0.5, eps=1.0)
    assert np.isfinite(param).all()


@pytest.mark.parametrize(("rule", "kept", "options"), RULES)
def test_what_would_crash_is_refused(rule, kept, options):
    param, grad, state = arrays(rule, kept, 8)
    for bad in (grad[:7], grad.astype(np.float64), np.zeros(16, np.float32)[::2]):
        with pytest.raises(TypeError):
            _kernels.optim_update(rule, param, bad, state, **options)
        for i in kept:
            with pytest.raises(TypeError):
                _kernels.optim_update(rule, param, grad, (*state[:i], bad, *state[i + 1 :]), **options)
    with pytest.raises(TypeError):
        _kernels.optim_update(rule, param, grad, (*state, None), **options)
    if rule != "sgd":
        with pytest.raises(TypeError):
            _kernels.optim_update(rule, param, grad, (None, *state[1:]), **options)
    frozen = param.copy()
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        _kernels.optim_update(rule, frozen, grad, state, **options)
    with pytest.raises(ValueError, match="no rule 'momentum'"):
        _kernels.optim_update("momentum", param, grad, state, **options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_of_squares(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for n in (*range(2 * length + 2), 16 * 4 * length + 5, 4096, 40_001, 300_007):
        x = randn(n, dtype=dtype)
        expected = np.square(x, dtype=np.float64).sum()
        assert _kernels.sum_squares(x) == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-13)
        if n < 100:
            assert np.isfinite([_kernels.sum_squares(guarded(x, edge)) for edge in ("start", "end")]).all()
    x = np.ones(5, dtype)
    for bad in (np.nan, np.inf):
        x[4] = bad
        assert not np.isfinite(_kernels.sum_squares(x))
    with pytest.raises(TypeError):
        _kernels.sum_squares(x[::2])


def test_sum_of_squares_for_any_number_of_threads(each_isa):
    x, found = randn(1_000_003).astype(np.float32), set()
    for _ in thread_counts():
        found.add(_kernels.sum_squares(x))
    assert len(found) == 1
