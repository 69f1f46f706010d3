import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, integer_array_indices

import fastconv
from fastconv import Tensor, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import channels_last, check_op, randn

ONE = fastconv.available_isas()[:1]


def check(name, inputs, **options):
    check_op(
        getattr(F, name), getattr(reference, name), inputs, getattr(reference, f"{name}_grad"), isas=ONE, **options
    )


@pytest.mark.parametrize("shape", [(6, 20), (-1,), (2, -1, 2), (120,), (2, 3, 1, 4, 5)])
def test_reshape(shape):
    check("reshape", [randn(2, 3, 4, 5)], shape=shape)


@pytest.mark.parametrize("shape", [(7,), (-1, -1), (7, -1), (0, -1), (121,)])
def test_reshape_that_does_not_fit(shape):
    with pytest.raises(ShapeError, match=r"reshape: 120 elements of shape \(2, 3, 4, 5\) do not fit"):
        F.reshape(randn(2, 3, 4, 5), shape)


def test_reshape_takes_ints_only():
    for bad in (2.0, "2", (2.0, 3), None, (True, 6)):
        with pytest.raises(TypeError, match="reshape: shape"):
            F.reshape(randn(6), bad)
    with pytest.raises(ShapeError, match="reshape: shape"):
        F.reshape(randn(6), (-2, 3))
    assert F.reshape(randn(0, 3), (0, 7)).shape == (0, 7)


def test_methods_take_ints_or_tuples():
    x = Tensor(randn(2, 3, 4))
    assert x.reshape(6, 4).shape == x.reshape((6, 4)).shape == x.view(6, -1).shape == (6, 4)
    assert x.permute(2, 0, 1).shape == x.permute((2, 0, 1)).shape == (4, 2, 3)
    assert x.T.shape == (4, 3, 2)
    assert x.flatten(1).shape == (2, 12)
    assert x.transpose(0, -1).shape == (4, 3, 2)


@pytest.mark.parametrize(
    ("start", "end", "shape"), [(0, -1, (120,)), (1, -1, (2, 60)), (1, 2, (2, 12, 5)), (2, 2, (2, 3, 4, 5))]
)
def test_flatten(start, end, shape):
    check_op(lambda x: F.flatten(x, start, end), lambda x: x.reshape(shape), [randn(2, 3, 4, 5)], isas=ONE)
    twin = {"start_dim": start, "end_dim": end}
    check_op(F.flatten, reference.flatten, [randn(2, 3, 4, 5)], reference.flatten_grad, isas=ONE, **twin)


@pytest.mark.parametrize("output_size", [(2, 3), (3, 2), (5, 4)])
def test_center_crop_and_unflatten_are_the_twins(output_size):
    twins = reference.center_crop, [randn(2, 3, 5, 4)], reference.center_crop_grad
    check_op(F.center_crop, *twins, isas=ONE, output_size=output_size)
    for dim in (1, -3):
        twins = reference.unflatten, [randn(2, 6, 3, 2)], reference.unflatten_grad
        check_op(F.unflatten, *twins, isas=ONE, dim=dim, sizes=(3, 2))


def test_flatten_edge_cases():
    assert F.flatten(2.0).shape == (1,)
    assert F.flatten(np.zeros((0, 3, 4), np.float32), 1).shape == (0, 12)
    with pytest.raises(ShapeError, match="start_dim 2 comes after end_dim 1"):
        F.flatten(randn(2, 3, 4), 2, 1)
    with pytest.raises(ShapeError, match="flatten: start_dim"):
        F.flatten(randn(2), 1)


@pytest.mark.parametrize("dims", [(0, 1, 2), (2, 0, 1), (-1, 0, 1)])
def test_permute(dims):
    check("permute", [randn(2, 3, 4)], dims=dims)


def test_permute_names_every_axis_once():
    for bad in ((0, 1), (0, 0, 1), (0, 1, 3)):
        with pytest.raises(ShapeError, match="permute: dims"):
            F.permute(randn(2, 3, 4), bad)


def test_transpose_squeeze_unsqueeze():
    x = randn(2, 1, 3, 1)
    check_op(lambda x: F.transpose(x, 1, -2), lambda x: x.transpose(0, 2, 1, 3), [x], isas=ONE)
    check_op(F.squeeze, lambda x: x.reshape(2, 3), [x], isas=ONE)
    check_op(lambda x: F.squeeze(x, 1), lambda x: x.reshape(2, 3, 1), [x], isas=ONE)
    check_op(lambda x: F.squeeze(x, 0), lambda x: x, [x], isas=ONE)
    check_op(lambda x: F.squeeze(x, (1, 3)), lambda x: x.reshape(2, 3), [x], isas=ONE)
    check_op(lambda x: F.unsqueeze(x, -1), lambda x: x[..., None], [x], isas=ONE)
    assert F.unsqueeze(1.0, 0).shape == (1,)
    assert F.squeeze(1.0, 0).shape == F.transpose(1.0, 0, -1).shape == ()
    with pytest.raises(ShapeError, match="unsqueeze: dim"):
        F.unsqueeze(x, 5)


INDICES = [
    1,
    -1,
    slice(1, 3),
    slice(None, None, -2),
    (slice(None), 2),
    (..., 0),
    (None, 1),
    (1, slice(0, 2), ..., None),
    np.array([2, 0, 2]),
    (np.array([0, 0, 1]), slice(None), np.array([1, 1, 2])),
    [0, 2, 2],
    np.array([[0], [2]]),
    slice(0, 0),
    np.array([], np.int64),
    (np.int64(1), np.int32(2)),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_getitem(index):
    check("getitem", [randn(3, 4, 5)], index=index)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_getitem_counts_how_often_each_element_is_taken(data):
    shape = data.draw(array_shapes(max_dims=4, max_side=4))
    index = data.draw(st.one_of(basic_indices(shape, allow_newaxis=True), integer_array_indices(shape)))
    x = Tensor(randn(*shape), requires_grad=True)
    out = x[index]
    assert np.array_equal(out.data, x.data[index])
    out.backward(np.ones(out.shape))
    numbers = np.arange(x.data.size).reshape(shape)[index]
    assert np.array_equal(x.grad.data.ravel(), np.bincount(np.ravel(numbers), minlength=x.data.size))


def test_getitem_by_masks():
    x = randn(3, 4, 5)
    check("getitem", [x], index=x > 0)
    check("getitem", [x], index=(slice(None), np.array([True, False, True, True])))
    check("getitem", [x], index=np.array([False] * 3))
    t = Tensor(x, requires_grad=True)
    t[t > 0].sum().backward()
    assert np.array_equal(t.grad, (x > 0).astype(float))


def test_getitem_by_tensors_adds_repeats():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x[fastconv.tensor([0, 0, 2])]
    y.backward([1, 2, 4])
    assert x.grad.tolist() == [3, 0, 4]


def test_slices_share_memory():
    array = np.zeros((3, 4), np.float32)
    view = Tensor(array)[1:, 0]
    array[1, 0] = 5
    assert view.tolist() == [5, 0]


def test_getitem_out_of_range():
    with pytest.raises(IndexError):
        Tensor([1.0])[1]
    with pytest.raises(IndexError):
        Tensor([1.0])[0, 0]


def test_iteration_unpacks():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    assert x.grad.tolist() == [[3, 4], [1, 2]]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cat_and_stack(dim):
    arrays = [randn(2, 3, 4), randn(2, 3, 4, seed=1), randn(2, 3, 4, seed=2)]
    check_op(
        lambda *a: F.cat(a, dim),
        lambda *a: reference.cat(*a, dim=dim),
        arrays,
        lambda g, *a: reference.cat_grad(g, *a, dim=dim),
        isas=ONE,
    )
    check_op(lambda *a: F.stack(a, dim), lambda *a: np.stack(a, dim), arrays, isas=ONE)


def test_cat_of_channels():
    arrays = [channels_last(randn(2, n, 3, 4, seed=n)) for n in (3, 0, 1, 17)]
    wide = channels_last(randn(2, 9, 3, 4))
    for inputs in (arrays, [arrays[0], wide[:, 2:5]], [arrays[0], randn(2, 2, 3, 4)]):
        check_op(
            lambda *a: F.cat(a, 1),
            lambda *a: reference.cat(*a, dim=1),
            inputs,
            lambda g, *a: reference.cat_grad(g, *a, dim=1),
        )


def test_cat_of_different_lengths():
    arrays = [randn(2, 1), randn(2, 0), randn(2, 5)]
    check_op(lambda *a: F.cat(a, 1), lambda *a: np.concatenate(a, 1), arrays, isas=ONE)


def test_cat_of_one_tensor_twice():
    x = Tensor([1.0, 2.0], requires_grad=True)
    F.cat((x, x)).backward([1, 2, 3, 4])
    assert x.grad.tolist() == [4, 6]


def test_cat_errors():
    with pytest.raises(ShapeError, match=r"cat: tensors\[1\] of shape \(2, 4\) does not fit \(2, 3\) along dim 0"):
        F.cat((randn(2, 3), randn(2, 4)))
    with pytest.raises(TypeError, match=r"cat: tensors\[0\] is float64 but tensors\[1\] is float32"):
        F.cat((randn(2), randn(2, dtype=np.float32)))
    for bad in ((), randn(2), "ab", None):
        with pytest.raises(TypeError, match="cat: tensors must be a non-empty tuple or list"):
            F.cat(bad)
    with pytest.raises(ShapeError, match="cat"):
        F.cat((randn(), randn()))
    with pytest.raises(ShapeError, match=r"stack: tensors\[1\] has shape"):
        F.stack((randn(2), randn(3)))


def test_channels_last_stays():
    x = channels_last(randn(2, 3, 4, 5))
    assert F.cat((x, x), 1).data.transpose(0, 2, 3, 1).flags.c_contiguous
    assert F.clone(x).data.strides == x.strides


def test_clone_and_to():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x.clone()
    assert not np.may_share_memory(x.data, y.data)
    assert x.to(np.float32) is x
    z = y.to(np.float64)
    assert z.dtype == np.float64
    (z * z).sum().backward()
    assert x.grad.tolist() == [2, 4]
    assert x.grad.dtype == np.float32
    assert x.double().float().dtype == np.float32
    assert not x.to(np.int64).requires_grad
    with pytest.raises(TypeError, match="to: dtype"):
        x.to(np.float16)


@pytest.mark.parametrize(("dim", "sizes", "shape"), [(1, (3, 4), (2, 3, 4, 5)), (-1, (5, -1), (2, 12, 5, 1))])
def test_unflatten(dim, sizes, shape):
    check_op(lambda x: F.unflatten(x, dim, sizes), lambda x: x.reshape(shape), [randn(2, 12, 5)], isas=ONE)


def test_unflatten_that_does_not_fit():
    for bad in ((5, 2), (-1, -1), (5, -1), (), 12, (0, -1)):
        with pytest.raises(ShapeError, match="unflatten: sizes"):
            F.unflatten(randn(2, 12), 1, bad)
    with pytest.raises(TypeError, match="unflatten: sizes"):
        F.unflatten(randn(2, 12), 1, (3.0, 4))
    assert F.unflatten(randn(0, 3), 0, (2, 0)).shape == (2, 0, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("last", [True, False])
def test_cat_leaves_what_is_in_its_place(dtype, last):
    values = np.arange(2 * 5 * 3 * 4).reshape(2, 5, 3, 4).astype(dtype)
    out = np.full((2, 3, 4, 5), -1, dtype).transpose(0, 3, 1, 2) if last else np.full((2, 5, 3, 4), -1, dtype)
    first = F.cat([values[:, :2]], 1, out=out[:, :2])
    assert (out[:, 2:] == -1).all()
    version = out.base if last else out
    both = F.cat([first, values[:, 2:]], 1, out=out)
    np.testing.assert_array_equal(both, values)
    assert np.shares_memory(both.data, version)
    # Parts of `out` that are in the wrong place are read before they are written over.
    np.testing.assert_array_equal(F.cat([out[:, 3:], out[:, :3]], 1, out=out), np.roll(values, 2, 1))
    np.testing.assert_array_equal(F.cat([values[..., :1], values[..., 1:]], -1, out=out), values)


def test_gradients_pass_a_cat_into_an_array():
    x, y = (Tensor(randn(2, n, 3, 3), requires_grad=True) for n in (2, 3))
    out = np.empty((2, 5, 3, 3))
    once = F.cat([x], 1, out=out[:, :2])
    (F.cat([once * 2, y], 1) + F.cat([once, y], 1, out=out)).sum().backward()
    assert (x.grad.numpy() == 3).all()
    assert (y.grad.numpy() == 2).all()


def test_cat_into_an_array_that_does_not_fit():
    parts, read_only = [np.zeros((1, 2), np.float32)] * 2, np.zeros((1, 4), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ShapeError, match=r"cat: out must have shape \(1, 4\), got \(1, 3\)"):
        F.cat(parts, 1, out=np.zeros((1, 3), np.float32))
    for out in (np.zeros((1, 4)), [0, 0, 0, 0], read_only):
        with pytest.raises(TypeError, match="cat: out must be a writable array of float32"):
            F.cat(parts, 1, out=out)
