"""Uses an installed fastconv[cli] far from its checkout.

Usage: python smoke.py   (in a directory that is not the checkout; leaves a folder `run` there)
"""

import json
import subprocess
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


def check_commands() -> None:
    """Train LeNet-5 for an epoch, and look at the digits it left behind."""
    command = str(Path(sysconfig.get_path("scripts")) / "fastconv")
    subprocess.run([command, "train", "lenet5", "--epochs", "1", "--out", "run", "--force"], check=True)
    said = subprocess.run([command, "evaluate", "run", "--json"], check=True, stdout=subprocess.PIPE).stdout
    accuracy = json.loads(said)["test"]["accuracy"]
    assert accuracy > 0.5, accuracy
    subprocess.run([command, "info"], check=True)


if __name__ == "__main__":
    check_kernels()
    check_commands()
