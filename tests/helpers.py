"""What the tests of all operations share: `check_op`, random arrays, awkward strides, instruction sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import fastconv
from fastconv import Tensor, gradcheck, no_grad
from tests.guard import guarded

DTYPES = (np.float32, np.float64)
ISAS = fastconv.available_isas()
# Relative to the largest value of a result, because sums of products cancel.
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}


@contextmanager
def isa(name: str) -> Iterator[None]:
    """Use one instruction set inside the block."""
    before = fastconv.active_isa()
    fastconv.use_isa(name)
    try:
        yield
    finally:
        fastconv.use_isa(before)


def thread_counts() -> Iterator[int]:
    """Yield 1, 2, 3 and 8, each set as the number of threads; afterwards it is what it was."""
    before = fastconv.get_num_threads()
    try:
        for count in (1, 2, 3, 8):
            fastconv.set_num_threads(count)
            yield count
    finally:
        fastconv.set_num_threads(before)


def randn(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    """Normal random numbers of a fixed seed, which the shape enters."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def smallints(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    """Random integers from -4 to 4: sums of their products are exact, so that results can be compared bit for bit."""
    return np.random.default_rng([seed, *shape]).integers(-4, 5, shape).astype(dtype)


def channels_last(array: np.ndarray) -> np.ndarray:
    """A copy of a 4-d array in the physical order (N, H, W, C)."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def misaligned(array: np.ndarray) -> np.ndarray:
    """A copy that starts one byte past an aligned address."""
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    copy = raw.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def layouts(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same values at awkward places and strides, each with a name for messages."""
    if not array.ndim or not array.size:
        return
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1] + 1), np.nan if array.dtype.kind == "f" else 0, array.dtype)
    wide[..., 1::2] = array
    yield "every second element", wide[..., 1::2]
    yield "negative strides", np.flip(np.flip(array).copy())
    yield "reversed axes", array.T.copy().T
    frozen = array.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "misaligned", misaligned(array)
    yield "other byte order", array.astype(array.dtype.newbyteorder())
    yield "before a guard page", guarded(array, "end")
    yield "after a guard page", guarded(array, "start")
    if array.ndim == 4:
        yield "channels last", channels_last(array)
        yield "channels last before a guard page", guarded(channels_last(array), "end")


def close(found: Any, expected: Any, dtype: Any, tolerance: float | None = None, what: str = "") -> None:
    """Assert equal shapes and values; the tolerance is relative to the largest expected magnitude."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    if found.dtype.kind != "f":
        assert np.array_equal(found, expected), f"{what}: {found} is not {expected}"
        return
    assert found.dtype == dtype, f"{what}: dtype {found.dtype}, not {np.dtype(dtype)}"
    finite = np.abs(expected[np.isfinite(expected)])
    limit = TOLERANCE[np.dtype(dtype).type] if tolerance is None else tolerance
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit * max(finite.max(initial=0), 1e-30), err_msg=what)


def check_op(
    op: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Any],
    reference_grad: Callable[..., Any] | None = None,
    *,
    tolerance: dict[Any, float] | None = None,
    differentiable: bool = True,
    exact_layouts: bool = True,
    isas: Sequence[str] = tuple(ISAS),
    **options: Any,
) -> None:
    """Check an operation in every way that applies to all of them.

    On every instruction set and in both dtypes: value and gradients against the twin, no_grad, plain arrays beside
    Tensors, awkward strides of all inputs and of the gradient, inputs unchanged; then central differences in float64.

    Parameters
    ----------
    op : callable
        Called with Tensors and arrays, ``op(*inputs, **options)``; returns a Tensor.
    reference : callable
        The twin: ``reference(*arrays, **options)`` returns an array.
    inputs : sequence
        float64 arrays become the dtype under test and are differentiated; all else (labels, None) is passed on.
    reference_grad : callable, optional
        The twin's gradient: ``reference_grad(grad, *arrays, **options)`` returns an array for every float64 input, in
        order (a single array for a single one). Without it only central differences check the gradient.
    tolerance : dict, optional
        For each dtype, the allowed difference relative to the largest magnitude of the expected array; see `TOLERANCE`.
    differentiable : bool
        False for operations without a gradient.
    exact_layouts : bool
        Whether strides must not change a bit; False where NumPy does the sums.
    """
    floats = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype == np.float64]
    for dtype in DTYPES:
        arrays = [x.astype(dtype) if i in floats else x for i, x in enumerate(inputs)]
        limit = (tolerance or TOLERANCE).get(dtype, TOLERANCE[dtype])
        exact = [x.astype(np.float64) if i in floats else x for i, x in enumerate(arrays)]
        expected = np.asarray(reference(*exact, **options))
        grad = randn(*expected.shape, seed=1).astype(dtype)
        expected_grads = None
        if differentiable and reference_grad is not None:
            found = reference_grad(grad.astype(np.float64), *exact, **options)
            expected_grads = list(found) if isinstance(found, (tuple, list)) else [found]
        for name in isas:
            with isa(name):
                _check_one(op, arrays, floats, options, grad, expected, expected_grads, limit, differentiable)
                _check_layouts(op, arrays, floats, options, grad, limit, differentiable, exact_layouts)
    if differentiable and expected.size:
        for name in isas:
            with isa(name):
                gradcheck(lambda *given: op(*given, **options), inputs)


def run(op: Callable[..., Any], arrays: Sequence[Any], floats: Sequence[int], options: Any, grad: Any = None) -> Any:
    """Value of `op` as an array and, with `grad`, the gradients of the inputs numbered in `floats`."""
    given = [Tensor(x, requires_grad=grad is not None) if i in floats else x for i, x in enumerate(arrays)]
    out = op(*given, **options)
    assert type(out) is Tensor
    if grad is None:
        return out.numpy(), []
    out.backward(grad)
    found = [np.zeros_like(given[i].data) if given[i].grad is None else given[i].grad.numpy() for i in floats]
    return out.detach().numpy(), found


def _check_one(op, arrays, floats, options, grad, expected, expected_grads, tolerance, differentiable) -> None:
    name = f"{fastconv.active_isa()}, {grad.dtype}"
    before = [x.copy() if isinstance(x, np.ndarray) else x for x in arrays]
    plain = op(*arrays, **options)
    assert not plain.requires_grad
    close(plain, expected, grad.dtype, tolerance, f"{name}: value of plain arrays")
    with no_grad():
        silent = op(*[Tensor(x, requires_grad=True) if i in floats else x for i, x in enumerate(arrays)], **options)
    assert not silent.requires_grad
    assert silent.node is None
    assert np.array_equal(silent, plain, equal_nan=silent.dtype.kind == "f"), f"{name}: no_grad changes the value"
    if differentiable:
        value, grads = run(op, arrays, floats, options, grad)
        assert np.array_equal(value, plain, equal_nan=True), f"{name}: recording changes the value"
        for i, found in enumerate(grads):
            assert found.shape == arrays[floats[i]].shape
            if expected_grads is not None:
                close(found, expected_grads[i], grad.dtype, tolerance, f"{name}: gradient of input {floats[i]}")
    for i, x in enumerate(before):
        assert not isinstance(x, np.ndarray) or np.array_equal(x, arrays[i], equal_nan=x.dtype.kind == "f"), (
            f"input {i}"
        )


def _check_layouts(op, arrays, floats, options, grad, tolerance, differentiable, exact) -> None:
    value, grads = run(op, arrays, floats, options, grad if differentiable else None)
    variants = {i: dict(layouts(arrays[i])) for i in floats}
    grad_variants = dict(layouts(grad))
    for name in {n: None for found in (*variants.values(), grad_variants) for n in found}:
        placed = [variants[i].get(name, x) if i in floats else x for i, x in enumerate(arrays)]
        placed_grad = grad_variants.get(name, grad) if differentiable else None
        placed_value, placed_grads = run(op, placed, floats, options, placed_grad)
        for found, expected in zip([placed_value, *placed_grads], [value, *grads], strict=True):
            what = f"{fastconv.active_isa()}, {grad.dtype}, {name}"
            if exact:
                assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f"), what
            else:
                close(found, expected, expected.dtype, tolerance, what)
