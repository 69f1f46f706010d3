import numpy as np
import pytest

from fastconv import _kernels
from fastconv.functional._resample import Matrix, mean_matrix, pick
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, randn, smallints, thread_counts


def _dense(matrix):
    dense = np.zeros((matrix.rows, matrix.columns))
    np.add.at(dense, (np.repeat(np.arange(matrix.rows), np.diff(matrix.start)), matrix.index), matrix.weight)
    return dense


def _apply(matrix, x, out):
    outer, _, inner = x.shape
    _kernels.resample(x, out, outer, inner, matrix.start, matrix.index, matrix.weight, matrix.columns)


@pytest.mark.parametrize("matrix", [mean_matrix(7, 3), mean_matrix(3, 7), pick([4, 0, 4], 6), pick([4, 0, 4], 6).T])
def test_transposed(matrix):
    assert np.array_equal(_dense(matrix.T), _dense(matrix).T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length_between_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for matrix in (mean_matrix(7, 3).T, pick([4, 0, 4], 6).T):
        for inner in (*range(1, 2 * length + 2), 5 * length + 1):
            x = smallints(2, matrix.columns, inner, dtype=dtype)
            for edge in ("start", "end"):
                out = guarded_empty((2, matrix.rows, inner), dtype, edge)
                _apply(matrix, guarded(x, edge), out)
                np.testing.assert_allclose(out, _dense(matrix) @ x.astype(np.float64), rtol=1e-6, atol=1e-6)


def test_thread_counts_give_the_same_bits():
    matrix, x = mean_matrix(50, 21), randn(3, 50, 333, dtype=np.float32)
    found = set()
    for _ in thread_counts():
        out = np.empty((3, 21, 333), np.float32)
        _apply(matrix, x, out)
        found.add(out.tobytes())
    assert len(found) == 1


def test_a_weight_of_one_copies_every_bit(each_isa):
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-45], np.float32).reshape(1, 6, 1)
    out = np.empty((1, 6, 1), np.float32)
    _apply(pick(np.arange(6), 6), x, out)
    assert x.tobytes() == out.tobytes()


def test_refuses_what_would_crash():
    matrix, x, out = pick([0, 2], 3), np.zeros((1, 3, 4), np.float32), np.zeros((1, 2, 4), np.float32)
    for bad in (x[:, :2].copy(), x.astype(np.float64), x[:, ::2]):
        with pytest.raises(TypeError):
            _apply(matrix, bad, out)
    for bad in (out[:, :1].copy(), out.astype(np.float64)):
        with pytest.raises(TypeError):
            _apply(matrix, x, bad)
    for bad in (matrix.index[:1], matrix.index.astype(np.int32), matrix.index.repeat(2)[::2]):
        with pytest.raises(TypeError):
            _kernels.resample(x, out, 1, 4, matrix.start, bad, matrix.weight, 3)
    assert Matrix(np.array([0]), np.array([2]), np.array([1]), 3).weight.dtype == np.float64
