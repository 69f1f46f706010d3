"""Pickles of arrays and PyTorch's files, sound, damaged and hostile."""

import io
import pickle
import pickletools
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest

from fastconv.errors import DataError
from fastconv.pickled import load_arrays, load_torch
from fastconv.pickled.files import MAGIC, PROTOCOL

ARRAYS = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "count": np.array(7),
    "big endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False]),
    "list": [np.float64(0.5), 1, -(2**40), "text", b"bytes", None, True, 1.5, (1, 2)],
}


@pytest.mark.parametrize("protocol", range(1, 6))
def test_arrays_of_every_protocol(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(OrderedDict(ARRAYS) if protocol > 1 else dict(ARRAYS), protocol))
    found = load_arrays(tmp_path / "a.pkl")
    assert type(found) is dict
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        if isinstance(array, np.ndarray):
            assert found[name].dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found[name], array)
    assert found["list"] == ARRAYS["list"]


class Plain:
    pass


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        Evil(exec, ("raise SystemExit",)),
        Evil(__import__, ("os",)),
        Evil(getattr, ("text", "upper")),
        Evil(np.zeros, ((10**6,),)),
        Plain(),
        {"a": np.array([Plain()], object)},
        np.zeros(2, [("a", "f4")]),
        np.array(["text"]),
        {1, 2},
        {(1, 2): 3},
        np.zeros,
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_else_is_made_or_called(tmp_path, protocol, value):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(DataError, match=r"load_arrays: .*a\.pkl cannot be read"):
        load_arrays(tmp_path / "a.pkl")


def test_damage_is_an_error_wherever_it_is(tmp_path):
    data = pickle.dumps(ARRAYS, 2)
    path = tmp_path / "a.pkl"
    for length in range(0, len(data), 5):
        path.write_bytes(data[:length])
        with pytest.raises(DataError):
            load_arrays(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        with suppress(DataError):
            load_arrays(path)


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02X\xff\xff\xff\xff.",  # 4 GB of text
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x02" + b"(" * 10**4 + b".",
        b"\x80\x02" + b"]" * 10**4 + b"a" * (10**4 - 1) + b".",  # a list in a list in a list
        b"\x80\x02]q\x00h\x00a.",  # a list in itself
        b"\x80\x02" + b"K\x01" + b"q\x00" + b"h\x00h\x00\x86q\x00" * 200 + b".",  # 2 to the 200 leaves
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02K\x01r\xff\xff\xff\xffj\xff\xff\xff\xfe.",
        b"\x80\x02(K\x01u.",
        b"\x80\x02K\x01K\x02s.",
        b"\x80\x02K\x01b.",
        b"\x80\x02K\x01R.",
        b"\x80\x02ccollections\nOrderedDict\n.",
        b"\x80\x02cnumpy\nndarray\n)R.",
        b"\x80\x02}}b.b",
        b"I" + b"9" * 10**6 + b"\n.",
        b"",
    ],
)
def test_programs_that_would_fill_the_memory_or_never_end(tmp_path, program):
    path = tmp_path / "a.pkl"
    path.write_bytes(program)
    tracemalloc.start()
    try:
        if program.endswith(b"}}b.b"):
            assert load_arrays(path) == {}
        else:
            with pytest.raises(DataError):
                load_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_bytes_that_are_copied_over_and_over(tmp_path):
    encode = b"c_codecs\nencode\nq\x01X\x00\x00\x01\x00" + b"a" * 65536 + b"q\x00X\x06\x00\x00\x00latin1q\x02"
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02(" + encode + b"h\x01h\x00h\x02\x86R" * 2000 + b"t.")
    with pytest.raises(DataError, match="over and over"):
        load_arrays(tmp_path / "a.pkl")


# ---- PyTorch's files, written by hand: what torch.save writes is compared in test_torch_files


class Storage:
    def __init__(self, kind, key, count):
        self.identity = ("storage", kind, key, "cpu", count)


class Pickler(pickle._Pickler):  # the one in C takes no made-up globals
    def persistent_id(self, value):
        return value.identity if isinstance(value, Storage) else None

    def save(self, value, *rest, **options):
        if isinstance(value, Named):
            return self.write(f"c{value.module}\n{value.name}\n".encode())
        return super().save(value, *rest, **options)


class Named:
    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError


class Tensor:
    def __init__(self, key, shape, stride, offset=0, kind="FloatStorage", count=6):
        storage = Storage(Named("torch", kind), key, count)
        self.arguments = (storage, offset, shape, stride, False, OrderedDict())

    def __reduce__(self):
        return Named("torch._utils", "_rebuild_tensor_v2"), self.arguments


def pickled(value):
    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue()


SIX = np.arange(6, dtype=np.float32)
SIX_BYTES = SIX.tobytes()


def zipped(path, value, entries=None, compression=zipfile.ZIP_STORED, **more):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(value))
        for key, data in (entries if entries is not None else {"0": SIX_BYTES}).items():
            archive.writestr(f"archive/data/{key}", data)
        for name, data in more.items():
            archive.writestr(f"archive/{name}", data)
    return path


def legacy(path, value, keys=("0",), data=SIX_BYTES, count=6):
    head = b"".join(pickled(part) for part in (MAGIC, PROTOCOL, {"little_endian": True}, value, list(keys)))
    path.write_bytes(head + struct.pack("<q", count) + data)
    return path


@pytest.mark.parametrize("write", [zipped, legacy])
def test_tensors_are_views_of_storages(tmp_path, write):
    value = OrderedDict(a=Tensor("0", (2, 3), (3, 1)), b=Tensor("0", (3, 2), (1, 3)), c=Tensor("0", (), (), 5))
    found = load_torch(write(tmp_path / "a.pth", {"state_dict": value, "epoch": 3}))
    assert found["epoch"] == 3
    np.testing.assert_array_equal(found["state_dict"]["a"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(found["state_dict"]["b"], SIX.reshape(2, 3).T)
    assert found["state_dict"]["c"].shape == ()
    assert found["state_dict"]["c"] == 5
    with pytest.raises(ValueError, match="read-only"):
        found["state_dict"]["a"][0, 0] = 1


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("0", (2, 4), (3, 1)),
        Tensor("0", (2, 3), (3, 1), 1),
        Tensor("0", (2, 3), (-3, 1)),
        Tensor("0", (2, 3), (3,)),
        Tensor("0", (2**40, 2**40), (0, 0)),
        Tensor("0", (7,), (0,)),
        Tensor("0", (True, 2), (1, 1)),
        Tensor("0", (2.0,), (1,)),
        Tensor("0", (6,), (1,), count=7),
        Tensor("0", (3,), (1,), kind="DoubleStorage", count=6),
        Tensor("1", (6,), (1,)),
        Tensor("0", (6,), (1,), kind="ComplexFloatStorage"),
    ],
)
def test_tensors_that_reach_out_of_their_storage(tmp_path, write, tensor):
    with pytest.raises(DataError, match=r"load_torch: .*a\.pth cannot be read: "):
        load_torch(write(tmp_path / "a.pth", {"a": tensor}))


@pytest.mark.parametrize("write", [zipped, legacy])
def test_a_damaged_byte_anywhere(tmp_path, write):
    path = write(tmp_path / "a.pth", {"a": Tensor("0", (6,), (1,))})
    for place in range(len(data := path.read_bytes())):
        path.write_bytes(data[:place] + b"\xd5" + data[place + 1 :])
        with suppress(DataError):
            load_torch(path)


def test_files_that_are_something_else(tmp_path):
    good = {"a": Tensor("0", (6,), (1,))}
    path = tmp_path / "a.pth"
    for make, match in (
        (lambda: zipped(path, good, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (lambda: zipped(path, good, **{"constants.pkl": b""}), "TorchScript"),
        (lambda: zipped(path, good, {}), "storage 0 is missing"),
        (lambda: legacy(path, good, keys=()), "list of storages"),
        (lambda: legacy(path, good, count=5), "storage 0 has 5 numbers"),
        (lambda: legacy(path, good, data=b""), "ends early"),
        (lambda: path.write_bytes(pickle.dumps({}, 2)), "does not begin as"),
        (lambda: path.write_bytes(b"PK\x03\x04"), "zip file"),
        (lambda: path.write_bytes(b"hello"), "neither a zip file nor a pickle"),
        (lambda: path.write_bytes(b""), "neither a zip file nor a pickle"),
    ):
        make()
        with pytest.raises(DataError, match=match):
            load_torch(path)
    for missing, error in ((tmp_path / "missing", FileNotFoundError), (tmp_path, DataError)):
        with pytest.raises(error):
            load_torch(missing)


def test_sixteen_bits(tmp_path):
    values = np.array([1.5, -2.0, 3.25], np.float32)
    bfloat = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    a = Tensor("0", (3,), (1,), kind="BFloat16Storage", count=3)
    b = Tensor("1", (3,), (1,), kind="HalfStorage", count=3)
    entries = {"0": bfloat, "1": values.astype("<f2").tobytes()}
    found = load_torch(zipped(tmp_path / "a.pth", [a, b], entries))
    assert [array.dtype for array in found] == [np.float32, np.float16]
    assert all((array == values).all() for array in found)
    turned = {"0": np.frombuffer(bfloat, "<u2").astype(">u2").tobytes(), "1": values.astype(">f2").tobytes()}
    found = load_torch(zipped(tmp_path / "a.pth", [a, b], turned, byteorder=b"big"))
    assert all((array == values).all() for array in found)


@pytest.mark.parametrize("zip_format", [True, False])
def test_torch_files(tmp_path, zip_format):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).to(memory_format=torch.channels_last)
    value = {"model": layer.state_dict(), "weight": layer[0].weight, "half": torch.ones(2).bfloat16(), "lr": 0.1}
    torch.save(value, tmp_path / "a.pth", _use_new_zipfile_serialization=zip_format)
    found = load_torch(tmp_path / "a.pth")
    for key, tensor in layer.state_dict().items():
        np.testing.assert_array_equal(found["model"][key], tensor.numpy())
    np.testing.assert_array_equal(found["weight"], layer[0].weight.detach().numpy())
    assert (found["half"] == 1).all()
    assert found["lr"] == 0.1


def test_the_machine_knows_no_instruction_that_python_does_not():
    from fastconv.pickled.machine import _STEPS

    assert set(_STEPS) <= {opcode.code.encode("latin-1") for opcode in pickletools.opcodes}
