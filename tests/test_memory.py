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
for _ in range(3000):
    array(1)
big = array(100)
del big
assert resident() - before < 200, resident() - before
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_is_kept_until_nobody_asks_for_its_size():
    environment = {**os.environ, "FASTCONV_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", KEEPS_AND_FORGETS], check=True, env=environment, timeout=60)
