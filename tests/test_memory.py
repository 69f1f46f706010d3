"""The memory of arrays, which is kept for the next ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KEEPS_AND_FORGETS = """
import os

import numpy as np
from fastconv import _kernels

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

def array(megabytes):
    made = _kernels.empty((megabytes << 18,), np.dtype(np.float32))
    made[:] = 1
    return made

before = resident()
held = [array(10) for _ in range(25)]
addresses = {each.ctypes.data for each in held}
del held
assert resident() - before > 200
assert array(10).ctypes.data in addresses
for _ in range(5000):  # what lately was in use is little
    array(1)
assert resident() - before < 90, resident() - before
"""

# Arrays of many sizes come and go; at no time are there more than 200 MB of them.
PEAK = """
import os

import numpy as np
from fastconv import _kernels

def peak():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) >> 10

before, rng, held = peak(), np.random.default_rng(0), []
for _ in range(600):
    held.append(_kernels.empty((int(rng.integers(1 << 12, 8 << 18)),), np.dtype(np.float32)))
    held[-1][:] = len(held)
    assert held[-1].ctypes.data % 64 == 0
    while sum(each.nbytes for each in held) > 192 << 20:
        del held[int(rng.integers(len(held)))]
assert peak() - before < 1.65 * 200, peak() - before
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("program", [KEEPS_AND_FORGETS, PEAK])
def test_memory_is_kept_but_not_much_more_than_was_lately_used(program):
    environment = {**os.environ, "FASTCONV_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)
