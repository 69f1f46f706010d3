"""Threads as Python sees them: the count, determinism, many callers, fork, Ctrl-C, threadpoolctl."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import Tensor, functional
from tests.helpers import randn

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def keep_thread_count() -> Iterator[None]:
    before = fastconv.get_num_threads()
    yield
    fastconv.set_num_threads(before)


def run(script: str, **environment: str) -> str:
    """What a fresh interpreter prints; a hang or an error there fails the test."""
    variables = {**os.environ, "FASTCONV_NUM_THREADS": "", **environment}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]  # 3.12 on warns of fork with threads
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def results(seed: int = 0) -> list[np.ndarray]:
    """Values and gradients of a small network that is large enough for several threads."""
    images = Tensor(randn(3, 16, 37, 31, seed=seed, dtype=np.float32), requires_grad=True)
    filters = Tensor(randn(40, 16, 3, 3, dtype=np.float32), requires_grad=True)
    bias = Tensor(randn(40, dtype=np.float32), requires_grad=True)
    matrix = Tensor(randn(70, 40 * 37, dtype=np.float32), requires_grad=True)
    hidden = functional.conv2d(images, filters, bias, padding=1)
    rows = hidden.sum(dim=3).reshape(3, 40 * 37)
    out = functional.linear(rows, matrix)
    out.backward(Tensor(np.ones(out.shape, np.float32)))
    tensors = [hidden.detach(), out.detach()] + [leaf.grad for leaf in (images, filters, bias, matrix)]
    return [tensor.numpy() for tensor in tensors]


def same_bits(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return [array.tobytes() for array in first] == [array.tobytes() for array in second]


def test_set_and_get():
    for n in (1, 2, np.int64(7), 256):
        fastconv.set_num_threads(n)
        assert fastconv.get_num_threads() == n
        assert type(fastconv.get_num_threads()) is int


@pytest.mark.parametrize(
    "bad", [True, 2.0, "2", None, np.bool_(True), np.float32(2), [2], np.array([1, 2]), float("nan")]
)
def test_a_count_that_is_no_int(bad: Any):
    fastconv.set_num_threads(3)
    with pytest.raises(TypeError, match="set_num_threads: n must be an int from 1 to 256, got"):
        fastconv.set_num_threads(bad)
    assert fastconv.get_num_threads() == 3


@pytest.mark.parametrize("bad", [0, -1, 257, 2**31, 2**32 + 1, 2**64 + 1, -(2**63)])
def test_a_count_out_of_range(bad: int):
    fastconv.set_num_threads(3)
    with pytest.raises(ValueError, match="set_num_threads: n must be an int from 1 to 256, got"):
        fastconv.set_num_threads(bad)
    assert fastconv.get_num_threads() == 3


def test_the_default_count():
    show = "import fastconv; print(fastconv.get_num_threads())"
    found = int(run(show))
    assert 1 <= found <= (os.cpu_count() or 1)
    assert run(show, FASTCONV_NUM_THREADS="5") == "5"
    assert run(show, FASTCONV_NUM_THREADS="many") == str(found)
    if hasattr(os, "sched_setaffinity"):
        one = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        assert run(one + show) == "1"


def test_the_same_bits_for_any_number_of_threads(each_isa: str):
    fastconv.set_num_threads(1)
    expected = results()
    for n in (2, 3, 8):
        fastconv.set_num_threads(n)
        for _ in range(3):
            assert same_bits(results(), expected), n


def test_many_python_threads_at_once():
    fastconv.set_num_threads(2)
    expected = [results(seed) for seed in range(4)]
    wrong: list[int] = []
    start = threading.Barrier(5)

    def work(seed: int) -> None:
        start.wait()
        wrong.extend(seed for _ in range(15) if not same_bits(results(seed), expected[seed]))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    start.wait()
    for n in itertools.count():  # the thread count may change at any time
        fastconv.set_num_threads(1 + n % 5)
        if not any(worker.is_alive() for worker in workers):
            break
        time.sleep(0.001)
    for worker in workers:
        worker.join()
    assert wrong == []


# What the scripts below share: a convolution that uses the pool, and the threads of this process.
SETUP = """
import os, sys, threading, time
import numpy as np
threads = (lambda: len(os.listdir("/proc/self/task"))) if os.path.exists("/proc/self/task") else (lambda: 0)
before_import = threads()
import fastconv
from fastconv import functional
images = np.random.default_rng(0).standard_normal((2, 32, 40, 40), dtype=np.float32)
filters = np.random.default_rng(1).standard_normal((32, 32, 3, 3), dtype=np.float32)
def compute():
    return functional.conv2d(images, filters).numpy().tobytes()
"""


def test_threads_start_with_the_first_large_kernel():
    run(
        SETUP
        + """
fastconv.set_num_threads(3)
functional.linear(filters[0, 0], filters[0, 1])
assert threads() == before_import, "import, or a small kernel, has started a thread"
compute()
assert threads() in (0, before_import + 1, before_import + 2)
"""
    )


FORK = """
import signal
expected = compute()
def fork_and_compute():
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that hangs
        os._exit(0 if compute() == expected and compute() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_fork_after_use():
    run(SETUP + FORK + "for _ in range(5): fork_and_compute()\nassert compute() == expected")


def test_fork_while_another_thread_computes():
    run(
        SETUP
        + FORK
        + """
stop = False
def keep_computing():
    while not stop: compute()
other = threading.Thread(target=keep_computing)
other.start()
for _ in range(20): fork_and_compute()
stop = True
other.join()
"""
    )


def test_multiprocessing_with_fork():
    run(
        SETUP
        + """
import multiprocessing
def child(_):
    return compute()
expected = compute()
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert pool.map_async(child, range(6)).get(timeout=30) == [expected] * 6
"""
    )


# What is made ready, and a kernel that lasts seconds on the slowest instruction set, where pieces of a job are longest.
LONG_KERNELS = {
    "conv2d": ("", "functional.conv2d(images, filters, padding=7, algorithm='direct')"),
    "conv2d_grad_weight": (
        "out = functional.conv2d(images, fastconv.Tensor(filters, requires_grad=True), padding=7)",
        "out.backward(np.ones(out.shape, np.float32))",
    ),
    "linear": ("rows = np.ones((16000, 2000), np.float32)", "functional.linear(rows, rows[:600])"),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kernel", LONG_KERNELS)
def test_ctrl_c_stops_a_long_kernel(kernel: str, threads: int):
    prepare, call = LONG_KERNELS[kernel]
    waited = run(
        SETUP
        + f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
images, filters = np.ones((1, 64, 192, 192), np.float32), np.ones((64, 64, 15, 15), np.float32)
{prepare}
fastconv.use_isa("scalar")
fastconv.set_num_threads({threads})
sent = []
def interrupt():
    time.sleep(0.3)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
killer = threading.Thread(target=interrupt)
killer.start()
try:
    {call}
except KeyboardInterrupt:
    waited = time.monotonic() - sent[0]
else:
    raise SystemExit("not interrupted")
killer.join()
images, filters = np.ones((2, 5, 9, 9), np.float32), np.ones((3, 5, 3, 3), np.float32)
assert (np.frombuffer(compute(), np.float32) == 45).all(), "what was stopped has left traces"
print(waited)
"""
    )
    assert float(waited) < 0.2


def test_a_signal_handler_may_compute_and_raise():
    run(
        SETUP
        + """
import signal
expected = compute()
def handler(number, frame):
    assert compute() == expected  # while the interrupted kernel holds the pool
    raise RuntimeError("from the handler")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    functional.conv2d(
        np.ones((3, 64, 256, 256), np.float32), np.ones((64, 64, 15, 15), np.float32), algorithm="direct"
    )
except RuntimeError as error:
    assert str(error) == "from the handler"
else:
    raise SystemExit("not interrupted")
assert compute() == expected
"""
    )


SHOW_POOLS = """
pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "fastconv"]
assert len(pools) == 1, pools
fastconv.set_num_threads(3)
with threadpoolctl.threadpool_limits(1):
    assert fastconv.get_num_threads() == 1
assert fastconv.get_num_threads() == 3
with threadpoolctl.threadpool_limits({"fastconv": 1000}):
    assert fastconv.get_num_threads() == 256
"""


def test_threadpoolctl_imported_first():
    run("import threadpoolctl, fastconv\n" + SHOW_POOLS)


def test_threadpoolctl_imported_later():
    run(
        "import sys, fastconv, fastconv.threads\nassert 'threadpoolctl' not in sys.modules\nimport threadpoolctl\n"
        "fastconv.threads.register_threadpoolctl()\nfastconv.threads.register_threadpoolctl()\n" + SHOW_POOLS
    )


def test_an_old_threadpoolctl_does_no_harm():
    run("import sys, types; sys.modules['threadpoolctl'] = types.ModuleType('threadpoolctl'); import fastconv")
