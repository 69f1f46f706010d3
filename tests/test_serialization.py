"""Safetensors files: what goes in comes out, and what is damaged is refused."""

import json
import os
import struct

import numpy as np
import pytest

from fastconv import serialization
from fastconv.errors import DataError, MissingExtraError, ShapeError
from fastconv.layers import BatchNorm2d, Linear
from fastconv.serialization import load_file, load_model, read_metadata, save_file, save_model, write_atomically


def raw(header, data=b""):
    """The bytes of a safetensors file with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_round_trip(tmp_path):
    path = tmp_path / "a.safetensors"
    arrays = {
        "f32": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f64": np.array(1.5),
        "int": np.array([], np.int64),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "reversed": np.arange(3, dtype=np.float32)[::-1],
    }
    save_file(arrays, path, {"epoch": "3", "text": "a b"})
    found = load_file(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert read_metadata(path) == {"epoch": "3", "text": "a b"}


def test_a_model_round_trips_with_its_metadata(tmp_path):
    source, target = Linear(3, 2, rng=0), Linear(3, 2, rng=1)
    save_model(source, tmp_path / "m", {"k": "v"})
    assert load_model(target, tmp_path / "m") == {"k": "v"}
    np.testing.assert_array_equal(source.weight.numpy(), target.weight.numpy())


def test_no_metadata_is_empty(tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "m")
    assert read_metadata(tmp_path / "m") == {}


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({1: np.zeros(1)}, None, "names in tensors must be strings, got 1"),
        ({"a": np.zeros(1)}, {"epoch": 3}, r"metadata\['epoch'\] must be a string, got int"),
    ],
)
def test_only_text_beside_the_arrays(tmp_path, tensors, metadata, message):
    with pytest.raises(TypeError, match=message):
        save_file(tensors, tmp_path / "m", metadata)
    assert not list(tmp_path.iterdir())


def good():
    return raw({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        good()[:-1],
        good() + b"\x00",
        raw(b"{"),
        raw(b"\xff\xfe"),
        raw(b"[]"),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**64 - 1) + b"{}",
        raw({"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 8]}}, bytes(8)),
        raw({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, bytes(8)),
        raw({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, bytes(8)),
        raw({"a": {"dtype": "PICKLE", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        raw({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, bytes(8)),
    ],
)
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    for read in (load_file, read_metadata, lambda p: load_model(Linear(2, 1), p)):
        with pytest.raises(DataError, match=r"m\.safetensors"):
            read(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_file(tmp_path / "nothing")
    with pytest.raises(DataError, match="not a regular file"):
        load_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):  # and does not wait for a writer
        load_file(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"weight": np.zeros((1, 2), np.float32)}, DataError, r"missing \['bias'\]"),
        ({"weight": np.zeros((1, 2)), "bias": np.zeros(1), "x": np.zeros(1)}, DataError, r"unexpected \['x'\]"),
        (
            {"weight": np.zeros((2, 1), np.float32), "bias": np.zeros(1, np.float32)},
            ShapeError,
            r"weight of shape \(2, 1\)",
        ),
        ({"weight": np.zeros((1, 2), np.int8), "bias": np.zeros(1, np.float32)}, DataError, "weight as I8"),
    ],
)
def test_a_file_for_another_model_changes_nothing(tmp_path, arrays, error, message):
    save_file(arrays, tmp_path / "m")
    model = Linear(2, 1, rng=0)
    before = model.weight.numpy().copy()
    with pytest.raises(error, match=message):
        load_model(model, tmp_path / "m")
    np.testing.assert_array_equal(model.weight.numpy(), before)


def test_shapes_are_compared_before_arrays_are_read(tmp_path):
    """A file of 8 GB without a byte on disk: reading it would take seconds and all that memory."""
    path = tmp_path / "huge"
    size = 1 << 33
    header = raw(
        {
            name: {"dtype": "F32", "shape": [size // 8], "data_offsets": [i * size // 2, (i + 1) * size // 2]}
            for i, name in enumerate(("bias", "weight"))
        }
    )
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    with pytest.raises(ShapeError):
        load_model(Linear(2, 1), path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save_file({"a": np.zeros(1)}, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "m", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o644


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    monkeypatch.delitem(__import__("sys").modules, "safetensors.numpy", raising=False)
    with pytest.raises(MissingExtraError, match=r'safetensors.*pip install "fastconv\[cli\]"'):
        serialization.save_file({"a": np.zeros(1)}, tmp_path / "m")


def test_arrays_without_axes_keep_their_shape(tmp_path):
    save_file({"count": np.array(3), "turned": np.arange(6.0).reshape(2, 3).T}, tmp_path / "m")
    found = load_file(tmp_path / "m")
    assert found["count"].shape == ()
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_what_batch_norm_counts_is_read_and_nothing_else_in_its_place(tmp_path):
    model = BatchNorm2d(2)
    model(np.ones((2, 2, 2, 2), np.float32))
    save_model(model, tmp_path / "m")
    other = BatchNorm2d(2)
    load_model(other, tmp_path / "m")
    assert other.num_batches_tracked.item() == 1
    for name, values in (("num_batches_tracked", np.float32(1)), ("weight", np.ones(2, np.int64))):
        state = {key: value.numpy() for key, value in model.state_dict().items()}
        save_file({**state, name: values}, tmp_path / "wrong")
        with pytest.raises(DataError, match=f"{name} as (F32, allowed are I64|I64, allowed are F32, F64)"):
            load_model(other, tmp_path / "wrong")


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path):
    with pytest.raises(FileNotFoundError) as found:
        write_atomically(tmp_path / "missing" / "a.bin", b"x")
    assert found.value.filename == str(tmp_path / "missing" / "a.bin")
