import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.guard import PAGE, guarded, guarded_empty

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("edge", ["start", "end"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (PAGE,), (2, 3, 5, 4)])
def test_guarded_arrays_hold_what_is_written(edge, shape):
    for offset in (0, 4, 60):
        array = guarded_empty(shape, np.float32, edge, offset)
        array[...] = 1
        assert array.shape == shape
        assert array.sum() == array.size
        place = array.ctypes.data % PAGE if edge == "start" else -(array.ctypes.data + array.nbytes) % PAGE
        assert not array.size or place == offset


def test_guarded_keeps_the_order():
    images = np.arange(120, dtype=np.float64).reshape(2, 5, 4, 3).transpose(0, 3, 1, 2)
    copy = guarded(images)
    assert np.array_equal(copy, images)
    assert copy.strides == images.strides


@pytest.mark.parametrize("place", [("end", "len(a)"), ("start", "-1")])
def test_one_element_too_far_ends_the_process(place):
    edge, index = place
    code = (
        "import ctypes; from tests.guard import guarded_empty; "
        f"a = guarded_empty((5,), 'f4', {edge!r}); "
        f"print(ctypes.c_float.from_address(a.ctypes.data + 4 * ({index})).value)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode < 0
