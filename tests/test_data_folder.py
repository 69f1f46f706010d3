"""Image files in folders, and CIFAR's binary files."""

import io
import os

import numpy as np
import pytest

from fastconv.data import (
    CenterCrop,
    Compose,
    DataLoader,
    ImageFolder,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    load_cifar,
)
from fastconv.errors import DataError, ShapeError

PIL = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path):
    """Three classes; sizes, modes and formats differ."""
    made = {
        "ant/2.png": ("RGB", (30, 20)),
        "ant/10.jpg": ("RGB", (40, 40)),
        "bee/deep/er/x.PNG": ("L", (17, 25)),
        "bee/y.gif": ("P", (20, 20)),
        "cow/z.png": ("RGBA", (64, 48)),
        "cow/w.tif": ("CMYK", (24, 24)),
    }
    for name, (mode, size) in made.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        PIL.fromarray(pixels).convert(mode).save(path)
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    (tmp_path / "list.csv").write_text("no class")
    return tmp_path


def test_what_is_there(root):
    data = ImageFolder(root)
    assert data.classes == ["ant", "bee", "cow"]
    assert [os.path.relpath(path, root) for path in data.paths] == [
        "ant/10.jpg",
        "ant/2.png",
        "bee/deep/er/x.PNG",
        "bee/y.gif",
        "cow/w.tif",
        "cow/z.png",
    ]
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(data) == 6
    for i in range(6):
        image, label = data[i]
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert label == i // 2
    with PIL.open(root / "ant" / "2.png") as file:
        assert np.array_equal(data[1][0], np.asarray(file))
    assert ImageFolder(root, mode="L")[1][0].shape == (20, 30, 1)


def test_levels_of_16_bits(root):
    levels = np.arange(0, 2**16, 2**16 // 100, dtype=np.uint16)[:100].reshape(10, 10)
    PIL.fromarray(levels).save(root / "ant" / "0.png")
    image, _ = ImageFolder(root)[0]
    assert np.array_equal(image, (levels >> 8).astype(np.uint8)[..., None].repeat(3, 2))
    PIL.fromarray(levels.astype(np.int32) * 300).save(root / "ant" / "0.tif")
    with pytest.raises(DataError, match=r"0\.tif' has levels from 0 to \d+, beyond 16 bits"):
        ImageFolder(root).read(str(root / "ant" / "0.tif"))


def test_parts(root):
    data = ImageFolder(root)
    part = data[1:4]
    assert (part.paths, part.labels.tolist(), part.classes) == (data.paths[1:4], [0, 1, 1], data.classes)
    assert data[data.labels == 2].paths == data.paths[4:]
    assert np.array_equal(data[np.array([5, 0])][0][0], data[5][0])
    assert len(data) == 6
    with pytest.raises(IndexError):
        data[6]


def test_batches_of_one_size(root):
    data = ImageFolder(root, Compose([Resize(16), CenterCrop(16)]))
    images, labels = next(iter(DataLoader(data, batch_size=6)))
    assert images.shape == (6, 3, 16, 16)
    assert images.dtype == np.float32
    assert images.transpose(0, 2, 3, 1).flags.c_contiguous
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    alone = np.float32(1 / 255) * data[3][0].transpose(2, 0, 1)[None].astype(np.float32)
    np.testing.assert_allclose(images[3], CenterCrop(16)(Resize(16)(alone))[0], atol=1e-6)


def test_draws_do_not_depend_on_batches_order_or_threads(root):
    data = ImageFolder(root, Compose([RandomResizedCrop(8), RandomHorizontalFlip()]))

    def epoch(number, **options):
        loader = DataLoader(data, transform=RandomHorizontalFlip(), seed=1, **options)
        loader.set_epoch(number)
        order = sorted(((int(label), image.tobytes()) for batch in loader for image, label in zip(*batch, strict=True)))
        return order

    first = epoch(0, batch_size=1)
    assert epoch(0, batch_size=4, shuffle=True, prefetch=3) == first
    assert epoch(1, batch_size=4) != first


def test_sizes_that_differ(root):
    with pytest.raises(ShapeError, match=r"2\.png' became \(3, 20, 30\), others of its batch \(3, 40, 40\); give all"):
        list(DataLoader(ImageFolder(root), batch_size=2))
    assert len(list(DataLoader(ImageFolder(root), batch_size=1))) == 6


def png(width, height):
    file = io.BytesIO()
    PIL.new("1", (width, height)).save(file, "png")
    return file.getvalue()


def half_a_jpeg():
    file = io.BytesIO()
    PIL.fromarray(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "jpeg")
    return file.getvalue()[: file.tell() // 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"not an image", "cannot be read: cannot identify"),
        (half_a_jpeg(), "cannot be read"),
        (png(9000, 8000), "has 9000 x 8000 pixels, at most 64,000,000 are allowed"),
        (None, "is not a regular file"),
    ],
    ids=["empty", "text", "truncated", "huge", "pipe"],
)
def test_a_broken_image_is_named(root, content, message):
    path = root / "ant" / "1.png"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    data = ImageFolder(root, Resize((4, 4)))
    with pytest.raises(DataError, match=rf"ImageFolder: '.*ant/1\.png' {message}"):
        list(DataLoader(data, batch_size=6))
    path.unlink()
    with pytest.raises(DataError, match=r"ant/1\.png"):
        data.read(data.paths[0])


def test_folders_that_are_none(tmp_path, root):
    for make, error, message in [
        (lambda: ImageFolder(tmp_path / "nowhere"), DataError, "root must be a folder"),
        (lambda: ImageFolder(root / "ant"), DataError, "has no folders in it"),
        (lambda: ImageFolder(root, mode="CMYK"), ValueError, "mode must be RGB or L"),
        (lambda: ImageFolder(root, 3), TypeError, "transform must be callable"),
        (lambda: ImageFolder(root, max_pixels=0), ShapeError, "max_pixels"),
    ]:
        with pytest.raises(error, match=f"ImageFolder: .*{message}"):
            make()
    (root / "dog").mkdir()
    with pytest.raises(DataError, match="dog' has no images"):
        ImageFolder(root)


def rows(labels, count):
    return np.concatenate([labels, RNG.integers(0, 256, (count, 3072), dtype=np.uint8)], 1)


@pytest.fixture
def cifar(tmp_path):
    for i in range(1, 6):
        rows(np.full((4, 1), i, np.uint8), 4).tofile(tmp_path / f"data_batch_{i}.bin")
    rows(np.array([[9], [0]], np.uint8), 2).tofile(tmp_path / "test_batch.bin")
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    rows(np.array([[3, 99], [19, 0], [0, 7]], np.uint8), 3).tofile(folder / "train.bin")
    return tmp_path


def test_cifar10(cifar):
    train, test = load_cifar(cifar), load_cifar(cifar, "test")
    assert repr(train) == "Dataset('cifar10': 20 images of 32 x 32 x 3, 10 classes)"
    assert train.labels.tolist() == [i for i in range(1, 6) for _ in range(4)]
    assert test.labels.tolist() == [9, 0]
    assert train.classes[3] == "cat"
    raw = np.fromfile(cifar / "data_batch_2.bin", np.uint8).reshape(4, -1)
    assert np.array_equal(train.images[5, :, :, 0].ravel(), raw[1, 1:1025])  # red
    assert np.array_equal(train.images[5, :, :, 2].ravel(), raw[1, 2049:])  # blue


def test_cifar100(cifar):
    train = load_cifar(cifar, classes=100)
    assert train.labels.tolist() == [99, 0, 7]
    assert train.classes[7] == "7"
    names = cifar / "cifar-100-binary" / "fine_label_names.txt"
    names.write_text("\n".join(f"thing{i}" for i in range(100)))
    assert load_cifar(cifar, classes=100).classes[99] == "thing99"
    names.write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"fine_label_names\.txt' has 2 names, not 100"):
        load_cifar(cifar, classes=100)


def test_cifar_files_that_are_none(cifar):
    (cifar / "data_batch_3.bin").write_bytes(b"x" * 3000)
    with pytest.raises(DataError, match=r"data_batch_3\.bin' has 3000 bytes, not a number of images of 3073 bytes"):
        load_cifar(cifar)
    (cifar / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"there is no file '.*data_batch_3\.bin'"):
        load_cifar(cifar)
    rows(np.array([[10]], np.uint8), 1).tofile(cifar / "test_batch.bin")
    with pytest.raises(DataError, match="have a label 10, there are 10 classes"):
        load_cifar(cifar, "test")
    for arguments in ({"split": "valid"}, {"classes": 20}):
        with pytest.raises(DataError, match="load_cifar: "):
            load_cifar(cifar, **arguments)
