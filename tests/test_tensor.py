import copy

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, Tensor, from_dlpack, from_numpy, tensor
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from tests.helpers import misaligned, randn

DTYPES = ["f4", "f8", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_is_shared(dtype):
    array = np.ones((2, 3), dtype)
    t = Tensor(array)
    assert t.data is array
    assert t.numpy() is array
    assert np.asarray(t) is array
    assert t.dtype == np.dtype(dtype)


def test_any_strides_and_read_only_memory_are_shared():
    base = randn(4, 6)
    frozen = base[::-1, ::2].T
    frozen.flags.writeable = False
    assert Tensor(frozen).numpy() is frozen
    assert np.shares_memory(Tensor(np.broadcast_to(base, (3, 4, 6))).data, base)


def test_other_byte_order_is_converted_by_value():
    array = randn(3, 4).astype(">f4")
    t = Tensor(array)
    assert t.dtype == np.float32
    assert t.dtype.isnative
    assert np.array_equal(t, array)
    assert as_array(array, "op", "x").dtype is np.dtype(np.float32)


def test_misaligned_memory_is_copied():
    array = misaligned(randn(3, 4))
    t = Tensor(array)
    assert t.data.flags.aligned
    assert np.array_equal(t, array)


def test_dtype_objects_are_numpys_own():
    odd = np.dtype("f4", metadata={"unit": "m"})
    array = np.ones(3, odd)
    assert Tensor(array).dtype is np.dtype("f4")
    assert np.shares_memory(Tensor(array).data, array)
    assert Tensor(np.ones(3, np.longlong)).dtype == np.int64


def test_subclasses_of_ndarray_become_plain():
    assert type(Tensor(np.ones((2, 2)).view(np.recarray)).data) is np.ndarray


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (1, "f4", ()),
        (2.5, "f4", ()),
        ([1, 2], "f4", (2,)),
        ([[1.0], [2.0]], "f4", (2, 1)),
        ([], "f4", (0,)),
        ((True, False), "?", (2,)),
    ],
)
def test_python_values(value, dtype, shape):
    t = Tensor(value)
    assert t.dtype == np.dtype(dtype)
    assert t.shape == shape
    assert t.tolist() == value or t.tolist() == list(value)


def test_numpy_scalars_and_lists_of_arrays_keep_their_dtype():
    assert Tensor(np.float64(1)).dtype == np.float64
    assert Tensor([np.float64(1), np.float64(2)]).dtype == np.float64
    assert Tensor([np.ones(2), np.zeros(2)]).dtype == np.float64


BAD = [
    np.ones(2, np.float16),
    np.ones(2, np.complex64),
    np.array([1, "a", None], object),
    np.array(["a"]),
    np.zeros(2, [("a", "f4")]),
    np.ma.masked_array([1.0, 2.0], [True, False]),
    np.array(["2020-01-01"], "M8[D]"),
    np.ones(2, np.longdouble),
    "text",
    b"bytes",
    None,
    object(),
    {"a": 1},
    {1.0, 2.0},
    [[1.0], [1.0, 2.0]],
    [1.0, None],
    [1j],
    1j,
    10**400,
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: type(bad).__name__)
def test_what_is_no_array_of_real_numbers(bad):
    for make in (Tensor, tensor, Parameter, lambda x: as_array(x, "relu", "input")):
        with pytest.raises(TypeError, match="must be"):
            make(bad)
    with pytest.raises(TypeError, match="relu: input must be"):
        as_array(bad, "relu", "input")


def test_as_array_takes_floats_only():
    for good in (np.ones(2), Tensor([1.0]), Parameter([1.0]), [1, 2], 3, np.float64(1), np.ones(2, ">f8")):
        assert as_array(good, "relu", "input").dtype in (np.float32, np.float64)
    for bad in (np.ones(2, int), np.ones(2, bool), Tensor(np.ones(2, int)), [True]):
        with pytest.raises(TypeError, match="relu: input must be float32 or float64, got"):
            as_array(bad, "relu", "input")


def test_the_function_tensor_copies_and_infers():
    array = np.ones(3)
    t = tensor(array)
    array[0] = 5
    assert t.tolist() == [1, 1, 1]
    assert tensor([1, 2]).dtype == np.int64
    assert tensor([1, 2.5]).dtype == np.float32
    assert tensor(True).dtype == bool
    assert tensor([]).dtype == np.float32
    assert tensor([2**53 + 1]).tolist() == [2**53 + 1]
    assert tensor([1, 2], dtype=np.float64).dtype == np.float64
    assert tensor([1.0], requires_grad=True).requires_grad
    with pytest.raises(TypeError, match="only float tensors have gradients"):
        tensor([1], requires_grad=True)


def test_from_numpy_shares_or_raises():
    array = np.ones(3, np.float32)
    assert from_numpy(array).data is array
    with pytest.raises(TypeError, match="-endian"):
        from_numpy(array.astype(array.dtype.newbyteorder()))
    with pytest.raises(TypeError, match="misaligned"):
        from_numpy(misaligned(array))
    with pytest.raises(TypeError, match=r"must be a numpy.ndarray, got list"):
        from_numpy([1.0])


def test_numpy_of_what_requires_a_gradient():
    t = Tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        t.numpy()
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(t)
    assert t.detach().numpy() is t.data


def test_array_protocol():
    t = Tensor([1.0, 2.0])
    assert np.array(t) is not t.data
    assert np.asarray(t, np.float64).dtype == np.float64
    assert t.__array__(copy=True) is not t.data
    assert t.__array__(np.float32, copy=False) is t.data
    with pytest.raises(ValueError, match="without a copy"):
        t.__array__(np.float64, copy=False)
    assert np.add(t.data, 1).tolist() == [2, 3]


def test_dlpack():
    t = Tensor(randn(3, 4))
    there = np.from_dlpack(t)
    assert np.shares_memory(there, t.data)
    assert np.shares_memory(from_dlpack(t).data, t.data)
    with pytest.raises(BufferError, match="gradient"):
        np.from_dlpack(Tensor([1.0], requires_grad=True))


def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    t = Tensor(randn(3, 4))
    there = torch.from_dlpack(t)
    there[0, 0] = 7
    assert t.data[0, 0] == 7
    back = from_dlpack(there)
    assert np.shares_memory(back.data, t.data)
    assert Tensor(torch.ones(2)).dtype == np.float32
    images = torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert from_dlpack(images).data.strides == tuple(4 * s for s in images.stride())


def test_attributes():
    t = Tensor(randn(2, 3, 4))
    assert t.shape == t.size() == (2, 3, 4)
    assert t.size(1) == t.size(-2) == 3
    assert t.ndim == t.dim() == 3
    assert t.numel() == 24
    assert len(t) == 2
    assert t.is_leaf
    assert t.grad is None
    assert not t.requires_grad
    with pytest.raises(TypeError, match="0-d"):
        len(Tensor(1.0))


def test_items():
    assert Tensor([[2.5]]).item() == 2.5
    assert type(tensor(3).item()) is int
    assert float(Tensor(2.5)) == 2.5
    assert int(tensor([3])) == 3
    assert [10, 20][tensor(1)] == 20
    assert f"{Tensor(0.12345):.2f}" == "0.12"
    assert bool(Tensor(1.0))
    assert not Tensor([0.0])
    for call in (Tensor([1.0, 2.0]).item, Tensor([]).item):
        with pytest.raises(ShapeError, match="one element"):
            call()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="index"):
        [1, 2][Tensor(1.0)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (Tensor(1.0), "tensor(1.)"),
        (Tensor([1 / 3], requires_grad=True), "tensor([0.3333], requires_grad=True)"),
        (tensor([1, 2]), "tensor([1, 2])"),
        (Tensor(np.ones(1)), "tensor([1.], dtype=float64)"),
        (Tensor(np.ones((0, 3), np.float32)), "tensor([], shape=(0, 3))"),
        (Tensor([[1.0, 2.0], [3.0, 4.0]]), "tensor([[1., 2.],\n        [3., 4.]])"),
        (Parameter([1.0]), "parameter([1.], requires_grad=True)"),
    ],
)
def test_repr(value, text):
    assert repr(value) == text


def test_requires_grad():
    t = Tensor([1.0])
    assert t.requires_grad_() is t
    assert t.requires_grad
    u = t * 2
    with pytest.raises(RuntimeError, match="only leaf"):
        u.requires_grad_(False)
    assert not t.requires_grad_(False).requires_grad
    with pytest.raises(TypeError, match="only float tensors"):
        tensor([1]).requires_grad_()


def test_detach_shares_memory():
    t = Tensor([1.0], requires_grad=True)
    u = (t * 2).detach()
    assert not u.requires_grad
    assert u.is_leaf
    assert np.shares_memory(t.detach().data, t.data)


def test_deepcopy():
    t = Tensor([1.0], requires_grad=True)
    t.grad = Tensor([2.0])
    for original in (t, Parameter([1.0])):
        other = copy.deepcopy(original)
        assert type(other) is type(original)
        assert not np.shares_memory(other.data, original.data)
        assert other.requires_grad
    assert copy.deepcopy(t).grad.tolist() == [2]
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(t * 2)


def test_public_names():
    assert fastconv.tensor is tensor
    for name in fastconv.__all__:
        assert hasattr(fastconv, name)
