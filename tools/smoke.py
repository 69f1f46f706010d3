"""Uses an installed fastconv far from its checkout. Usage: python smoke.py, in a directory that is not the checkout."""

import sysconfig
from pathlib import Path

import numpy as np

import fastconv
from fastconv import functional as F
from fastconv import reference
from fastconv.data import load_digits


def check_kernels() -> None:
    """Convolve digits that ship with the package, on every instruction set: integers, so equal to the last bit."""
    assert Path(fastconv.__file__).is_relative_to(sysconfig.get_path("purelib")), fastconv.__file__
    x = load_digits("test").images[:5, None].astype(np.float32)
    weight = np.arange(-27, 27, dtype=np.float32).reshape(6, 1, 3, 3)
    expected = reference.conv2d(x, weight, padding=1)
    for isa in fastconv.available_isas():
        fastconv.use_isa(isa)
        assert np.array_equal(F.conv2d(x, weight, padding=1).numpy(), expected), isa
    print(f"fastconv {fastconv.__version__} works with {', '.join(fastconv.available_isas())}")


if __name__ == "__main__":
    check_kernels()
