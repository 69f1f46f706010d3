"""The digits that ship, data sets by name, and what Dataset refuses."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

import fastconv.data
from fastconv.data import Dataset, load_dataset, load_digits
from fastconv.errors import DataError

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


def test_digits():
    train, test = load_digits("train"), load_digits("test")
    assert train.images.shape == (8000, 28, 28)
    assert test.images.shape == (2000, 28, 28)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert train.classes == list("0123456789")
    assert np.bincount(train.labels).tolist() == [784, 882, 805, 828, 789, 679, 811, 882, 755, 785]
    assert np.bincount(test.labels).tolist() == [217, 245, 186, 204, 191, 184, 203, 188, 189, 193]
    images = np.concatenate([train.images, test.images])
    labels = np.concatenate([train.labels, test.labels]).astype(np.uint8)
    assert len({image.tobytes() for image in images}) == 10000  # no digit is in both splits
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "25d5404ad3c98b3710ad8bf22d0710a009eb64dc2466b0e02d49601bb51a75ed"


def test_digits_file_is_small_and_licensed():
    folder = Path(fastconv.data.__file__).parent
    assert (folder / "digits.npz").stat().st_size < 1_700_000
    licence = (folder / "LICENSE-digits.md").read_text(encoding="utf-8")
    for words in ("Yann LeCun", "Corinna Cortes", "CC BY-SA 3.0", "Copyright (c) 2015 Juan Cazala"):
        assert words in licence


def write_mnist(folder, separator, ending):
    """Five training and three test images of 4 x 6 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 5), ("t10k", 3)):
        images = np.arange(count * 24, dtype=np.uint8).reshape(count, 4, 6)
        for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count, dtype=np.uint8))):
            data = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
            name = f"{split}-{kind.replace('-', separator)}-ubyte{ending}"
            (folder / name).write_bytes(gzip.compress(data) if ending else data)


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_by_name(tmp_path, separator, ending):
    write_mnist(tmp_path, separator, ending)
    train = load_dataset("mnist", tmp_path)
    test = load_dataset("fashion-mnist", str(tmp_path), split="test")
    assert train.images.shape == (5, 4, 6)
    assert train.labels.tolist() == [0, 1, 2, 3, 4]
    assert train.classes[3] == "3"
    assert test.labels.tolist() == [0, 1, 2]
    assert test.classes[9] == "Ankle boot"
    assert test.name == "fashion-mnist"


def test_torchvision_folders(tmp_path):
    write_mnist(tmp_path / "FashionMNIST" / "raw", "-", "")
    assert len(load_dataset("fashion-mnist", tmp_path)) == 5
    with pytest.raises(DataError, match="no train-images-idx3-ubyte"):
        load_dataset("mnist", tmp_path)


def test_missing_or_damaged_files(tmp_path):
    write_mnist(tmp_path, "-", "")
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 3]))
    with pytest.raises(DataError, match="labels must be 5 integers"):
        load_dataset("mnist", tmp_path)
    labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 5, 0, 1, 2, 3, 10]))
    with pytest.raises(DataError, match="from 0 to 9, got 0 to 10"):
        load_dataset("mnist", tmp_path)
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(DataError, match="truncated"):
        load_dataset("mnist", tmp_path)
    labels.unlink()
    with pytest.raises(DataError, match="no train-labels-idx1-ubyte"):
        load_dataset("mnist", tmp_path)


def test_names_roots_and_splits(tmp_path):
    assert load_dataset("digits", split="test").name == "digits"
    with pytest.raises(DataError, match="digits, mnist, fashion-mnist, got 'cifar'"):
        load_dataset("cifar")
    with pytest.raises(DataError, match="root must name"):
        load_dataset("mnist")
    with pytest.raises(DataError, match="root must be a folder"):
        load_dataset("mnist", tmp_path / "nowhere")
    with pytest.raises(DataError, match="'train' or 'test', got 'valid'"):
        load_digits("valid")
    with pytest.raises(DataError, match="'train' or 'test'"):
        load_dataset("mnist", tmp_path, "valid")


@pytest.mark.skipif(not DEBIAN_FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debian_fashion_mnist():
    train = load_dataset("fashion-mnist", DEBIAN_FASHION)
    test = load_dataset("fashion-mnist", split="test")  # found without being told
    assert train.images.shape == (60000, 28, 28)
    assert test.images.shape == (10000, 28, 28)
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert [train.classes[label] for label in train.labels[:3]] == ["Ankle boot", "T-shirt/top", "T-shirt/top"]


def test_dataset_parts():
    data = Dataset(np.arange(24, dtype=np.uint8).reshape(4, 2, 3), np.array([0, 1, 1, 0], np.uint8), ["a", "b"], "x")
    assert data.labels.dtype == np.int64
    part = data[data.labels == 1]
    assert len(part) == 2
    assert part.images[0, 0, 0] == 6
    image, label = data[3]
    assert image.shape == (2, 3)
    assert label == 0
    assert len(list(data)) == 4


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 3, 3), np.float32), [0, 1], "uint8"),
        (np.zeros((2, 3), np.uint8), [0, 1], r"\(N, H, W\)"),
        (np.zeros((2, 3, 3), np.uint8), [0], "2 integers"),
        (np.zeros((2, 3, 3), np.uint8), [0.0, 1.0], "2 integers"),
        (np.zeros((2, 3, 3), np.uint8), [0, -1], "from 0 to 1, got -1 to 0"),
        (np.zeros((2, 3, 3), np.uint8), [0, 2], "from 0 to 1, got 0 to 2"),
    ],
)
def test_dataset_refuses(images, labels, message):
    with pytest.raises(DataError, match=message):
        Dataset(images, np.array(labels), ["a", "b"], "x")
