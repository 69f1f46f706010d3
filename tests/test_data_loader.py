"""Batches: order, types, prefetching, errors, threads and forks."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastconv.data import Compose, DataLoader, Dataset, Normalize, RandomAffine, RandomTransform
from fastconv.data.prefetch import prefetched
from fastconv.errors import ShapeError


@pytest.fixture(autouse=True)
def no_thread_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def numbered(count, **options):
    """A loader whose image and label i say i."""
    images = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None], (count, 2, 3))
    return DataLoader((images, np.arange(count)), **options)


def labels_of(loader):
    return np.concatenate([labels for _, labels in loader]).tolist()


@pytest.mark.parametrize("prefetch", [0, 1, 3, 100])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("count", "batch_size"), [(10, 3), (9, 3), (1, 4), (0, 4), (5, 1)])
def test_batches(count, batch_size, drop_last, prefetch):
    loader = numbered(count, batch_size=batch_size, drop_last=drop_last, prefetch=prefetch)
    batches = list(loader)
    sizes = [batch_size] * (count // batch_size)
    if count % batch_size and not drop_last:
        sizes.append(count % batch_size)
    assert [len(labels) for _, labels in batches] == sizes
    assert len(loader) == len(sizes)
    for images, labels in batches:
        assert images.shape == (len(labels), 1, 2, 3)
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(images[:, 0, 1, 2], labels)
    if batches:
        assert np.concatenate([labels for _, labels in batches]).tolist() == list(range(sum(sizes)))


def test_shuffling_is_seeded_and_differs_by_epoch():
    loader = numbered(100, batch_size=7, shuffle=True, seed=3)
    first, second = labels_of(loader), labels_of(loader)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert first != list(range(100))
    assert loader.epoch == 2
    loader.set_epoch(0)
    assert labels_of(loader) == first
    again = numbered(100, batch_size=100, shuffle=True, seed=3, prefetch=0)
    assert [labels_of(again), labels_of(again)] == [first, second]
    assert labels_of(numbered(100, shuffle=True, seed=4)) != first


def test_shuffling_is_fair():
    loader = numbered(8, batch_size=8, shuffle=True, prefetch=0)
    orders = np.array([labels_of(loader) for _ in range(2000)])
    counts = np.stack([np.bincount(orders[:, place], minlength=8) for place in range(8)])
    assert np.abs(counts - 250).max() < 75  # 250 +- 5 standard deviations


def test_scale_type_and_layout():
    pixels = np.arange(2 * 2 * 5 * 3, dtype=np.uint8).reshape(2, 2, 5, 3)
    images, _ = next(iter(DataLoader(Dataset(pixels, np.array([0, 0]), ["a"], "colour"), batch_size=2)))
    assert images.shape == (2, 3, 2, 5)
    assert images.dtype == np.float32
    assert images.transpose(0, 2, 3, 1).flags.c_contiguous  # channels last in memory
    np.testing.assert_array_equal(images, (pixels / np.float32(255)).transpose(0, 3, 1, 2))
    for dtype in (np.float32, np.float64):
        floats = pixels.astype(dtype)  # a pair of arrays is (N, C, H, W) and keeps its scale
        images, _ = next(iter(DataLoader((floats, np.array([0, 0])), batch_size=2)))
        assert images.dtype == dtype
        np.testing.assert_array_equal(images, floats)


def test_batches_are_fresh_arrays():
    source = np.ones((4, 1, 2, 2), np.float32)
    for images, labels in DataLoader((source, np.zeros(4, np.int64)), batch_size=4):
        images[:] = 7
        labels[:] = 7
    assert source.max() == 1


class Keys(RandomTransform):
    """Replaces every image by the leading bits of its key."""

    def apply(self, images, keys):
        return np.broadcast_to((keys >> np.uint64(32)).astype(float)[:, None, None, None], images.shape)


@pytest.mark.parametrize("transform", [Keys(), Compose([Normalize(0, 1), Keys()])], ids=["alone", "composed"])
def test_draws_belong_to_sample_and_epoch(transform):
    def draws(epoch, **options):
        loader = numbered(50, transform=transform, **options)
        loader.set_epoch(epoch)
        return {int(i): image[0, 0, 0] for images, labels in loader for i, image in zip(labels, images, strict=True)}

    first = draws(0, batch_size=50)
    assert len(set(first.values())) == 50
    assert draws(0, batch_size=7, shuffle=True, prefetch=0) == first
    assert draws(0, batch_size=1, prefetch=4) == first
    for other in (draws(1, batch_size=50), draws(0, batch_size=50, seed=1)):
        assert not set(other.values()) & set(first.values())


def test_augmentation_does_not_depend_on_batches():
    digits = np.random.default_rng(0).random((30, 1, 9, 8), np.float32)

    def images(**options):
        loader = DataLoader((digits, np.arange(30)), transform=RandomAffine(20, (0.1, 0.2), (0.8, 1.2)), **options)
        return np.concatenate([images for images, _ in loader])

    whole = images(batch_size=30)
    assert np.abs(whole - digits).max() > 0.1
    np.testing.assert_array_equal(images(batch_size=4, prefetch=0), whole)


def test_plain_transform_runs_in_the_background():
    seen = []

    def double(images):
        seen.append(threading.current_thread())
        return images * 2

    for images, labels in numbered(4, transform=double, batch_size=2):
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels * 2)
    assert threading.main_thread() not in seen
    list(numbered(4, transform=double, prefetch=0))
    assert seen[-1] is threading.main_thread()


def test_runs_ahead_but_not_too_far():
    started = []
    third = threading.Event()

    def load(number):
        started.append(number)
        if number == 2:
            third.set()
        return number

    items = prefetched(load, count=9, depth=2)
    assert next(items) == 0
    assert third.wait(10)  # 1 and 2 are prepared while 0 is in use
    time.sleep(0.05)
    assert started == [0, 1, 2]
    items.close()


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_exception_surfaces_in_order(prefetch):
    def fail(images):
        if images.max() >= 6:
            raise KeyError("bad image")
        return images

    loader = numbered(10, batch_size=2, transform=fail, prefetch=prefetch)
    seen = []
    with pytest.raises(KeyError, match="bad image"):
        seen.extend(int(label) for _, labels in loader for label in labels)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    for _ in numbered(100):
        assert threading.active_count() == before + 1
        break
    assert threading.active_count() == before
    with pytest.raises(ZeroDivisionError):
        sum(1 // 0 for _ in numbered(100))
    iterator = iter(numbered(100, prefetch=2))
    next(iterator)
    del iterator
    iter(numbered(100))  # never asked for a batch: no thread was started


def test_two_iterations_at_once():
    loader = numbered(20, batch_size=2, shuffle=True)
    pairs = [(a[1].tolist(), b[1].tolist()) for a, b in zip(loader, loader, strict=True)]
    assert [a for a, _ in pairs] != [b for _, b in pairs]
    assert loader.epoch == 2


def test_no_thread_to_be_had(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert labels_of(numbered(5, batch_size=2)) == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_in_the_middle():
    iterator = iter(numbered(6, batch_size=2))
    next(iterator)
    child = os.fork()
    if child == 0:
        rest = np.concatenate([labels for _, labels in iterator]).tolist()
        fresh = labels_of(numbered(4, batch_size=2))
        os._exit(0 if (rest, fresh) == ([2, 3, 4, 5], [0, 1, 2, 3]) else 1)
    deadline = time.monotonic() + 20
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done == (child, 0)
    assert np.concatenate([labels for _, labels in iterator]).tolist() == [2, 3, 4, 5]


def test_exit_with_a_live_iterator():
    code = "from fastconv.data import *; i = iter(DataLoader(load_digits(), 8)); next(i); print('end')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


IMAGES = np.zeros((3, 1, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": IMAGES}, TypeError, "a Dataset, an ImageFolder or a pair of arrays"),
        ({"dataset": (IMAGES, [0, 1])}, ShapeError, r"labels must have shape \(3,\), got \(2,\)"),
        ({"dataset": (IMAGES, [0.0, 1, 2])}, TypeError, "labels must be integers"),
        ({"dataset": (IMAGES[0, 0], [0, 1])}, ShapeError, "images must be 3-d or 4-d"),
        ({"dataset": (IMAGES.astype(np.int32), [0, 1, 2])}, TypeError, "images must be uint8, float32 or float64"),
        ({"dataset": (IMAGES.astype(">f4"), [0, 1, 2])}, TypeError, "got >f4"),
        ({"batch_size": 0}, ShapeError, "batch_size must be an int >= 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size"),
        ({"batch_size": True}, TypeError, "batch_size"),
        ({"prefetch": -1}, ShapeError, "prefetch must be an int >= 0"),
        ({"seed": -1}, ValueError, "seed must be from 0"),
        ({"seed": 2**64}, ValueError, "seed must be from 0"),
        ({"seed": 0.5}, TypeError, "seed must be an int"),
        ({"transform": 3}, TypeError, "transform must be callable"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(**{"dataset": (IMAGES, np.arange(3)), **arguments})


def test_bad_epoch():
    loader = numbered(3)
    for epoch, error in ((-1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="epoch"):
            loader.set_epoch(epoch)
    assert loader.epoch == 0
