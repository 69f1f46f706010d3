"""read_idx on good, damaged and hostile files."""

import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest

from fastconv.data import read_idx
from fastconv.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def header(code, *shape):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx(array):
    return header(CODES[array.dtype.str[1:]], *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def written(tmp_path):
    def write(data):
        path = tmp_path / "array.idx"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 1, 3, 2), (0,), (0, 28, 28)])
def test_every_type_and_shape(written, dtype, shape, packed):
    array = (np.arange(np.prod(shape)) * 5 - 7).astype(np.int8).astype(dtype).reshape(shape)
    data = idx(array)
    read = read_idx(written(gzip.compress(data) if packed else data))
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


def test_path_is_text_or_pathlike(written):
    path = written(idx(np.arange(3, dtype=np.uint8)))
    np.testing.assert_array_equal(read_idx(str(path)), [0, 1, 2])
    with pytest.raises(TypeError):
        read_idx(3.5)


LABELS = idx(np.arange(100, dtype=np.uint8))
BAD = {
    "empty": (b"", "truncated"),
    "header cut in the magic": (LABELS[:3], "truncated"),
    "header cut in the sizes": (LABELS[:6], "truncated"),
    "elements cut": (LABELS[:-1], "truncated"),
    "elements left over": (LABELS + b"\0", "left over"),
    "magic not zero": (b"\1" + LABELS[1:], "not an IDX file"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + LABELS, "not an IDX file"),
    "type unknown": (header(0x0A, 1) + b"\0", "not an IDX file"),
    "no dimension": (header(0x08) + b"\0", "not an IDX file"),
    "255 dimensions": (header(0x08, *[1] * 255) + b"\0", "not an IDX file"),
    "4 GiB of elements": (header(0x08, 2**32 - 1) + b"\0", "max_bytes"),
    "product wraps 64 bits": (header(0x0E, *[2**31] * 4), "max_bytes"),
    "huge, but with a zero": (header(0x08, 0, 2**32 - 1, 2**32 - 1), "max_bytes"),
    "just more than the file": (header(0x08, 1000) + bytes(999), "truncated"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_bad_files(written, case, packed):
    data, message = BAD[case]
    path = written(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_damaged_gzip(written):
    data = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)))
    for damaged in (data[:-200], data[:20], data[:3], data[:500] + b"\xff" * 40 + data[540:]):
        with pytest.raises(DataError):
            read_idx(written(damaged))


@pytest.mark.parametrize("announced", [100, 2**29])
def test_gzip_bomb_costs_little_memory(written, announced):
    # 40 MB of zeros in 40 kB; the header announces less, or more than deflate can have packed into so few bytes.
    path = written(gzip.compress(header(0x08, announced) + bytes(40_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="left over" if announced == 100 else "truncated"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_max_bytes(written):
    path = written(LABELS)
    assert read_idx(path, max_bytes=100).size == 100
    with pytest.raises(DataError, match="max_bytes=99"):
        read_idx(path, max_bytes=99)


def test_not_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would block for ever
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(DataError, match="regular file"):
            read_idx(path)
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")
