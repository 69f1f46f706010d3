"""Where workers run: anywhere the thread that waits for them may, but not on its processor."""

from __future__ import annotations

import os

import pytest

from tests.test_threads import run

several = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1
pytestmark = pytest.mark.skipif(not several, reason="there is no choice of processors")

BEGIN = """
import os, numpy as np, fastconv
from fastconv import functional as F
tasks = lambda: {int(task) for task in os.listdir("/proc/self/task")}
x, w = np.ones((1, 64, 40, 40), np.float32), np.ones((64, 64, 3, 3), np.float32)
def work():
    for _ in range(50):
        assert abs(F.conv2d(x, w).numpy()[0, 0, 0, 0] - 576) < 0.01
before, allowed = tasks(), os.sched_getaffinity(0)
fastconv.set_num_threads(2)
work()
(worker,) = tasks() - before
"""


def test_worker_is_kept_from_the_callers_processor():
    script = """
found = os.sched_getaffinity(worker)
print(found < allowed, len(allowed) - len(found), os.sched_getaffinity(0) == allowed)
"""
    assert run(BEGIN + script) == "True 1 True"


def test_caller_that_moves_sends_the_worker_away():
    script = """
for processor in 3 * sorted(allowed):
    os.sched_setaffinity(0, {processor})  # moves at once
    os.sched_setaffinity(0, allowed)
    work()
found = os.sched_getaffinity(worker)
print(found < allowed, len(allowed) - len(found))
"""
    assert run(BEGIN + script) == "True 1"


def test_caller_with_one_processor_leaves_the_worker_where_it_is():
    script = """
found = os.sched_getaffinity(worker)
os.sched_setaffinity(0, {min(found)})
work()
print(os.sched_getaffinity(worker) == found)
"""
    assert run(BEGIN + script) == "True"


def test_another_thread_may_be_the_caller():
    script = """
import threading
callers = [threading.Thread(target=work) for _ in range(3)]
for caller in callers: caller.start()
for caller in callers: caller.join()
found = os.sched_getaffinity(worker)
print(found < allowed, len(allowed) - len(found))
"""
    assert run(BEGIN + script) == "True 1"


def test_child_after_a_fork_places_its_own():
    script = """
child = os.fork()
if child == 0:
    work()
    (mine,) = tasks() - {os.getpid()}
    os._exit(0 if os.sched_getaffinity(mine) < allowed else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(BEGIN + script) == "0"
