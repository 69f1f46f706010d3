"""Computing again what was not kept."""

import subprocess
import sys

import numpy as np
import pytest

from fastconv import Parameter, Tensor, gradcheck, models, no_grad
from fastconv import functional as F
from tests.helpers import randn


def test_value_and_gradients_are_the_functions():
    gradcheck(lambda x, y: F.checkpoint(lambda a, b: F.tanh(a * b) + a, x, y), [randn(3, 4), randn(3, 4, seed=1)])


def test_parameters_get_their_gradients_once_more_and_no_others():
    weight, other = Parameter(randn(2, 3)), Parameter(randn(2))
    x = randn(4, 3)
    expected = F.linear(x, weight, other)
    expected.sum().backward()
    once = weight.grad.numpy().copy()
    found = F.checkpoint(lambda x: F.linear(x, weight, other), x, parameters=[weight])
    np.testing.assert_array_equal(found.detach(), expected.detach())
    found.sum().backward()
    np.testing.assert_array_equal(weight.grad, 2 * once)
    np.testing.assert_array_equal(other.grad, [8, 8])  # nobody named it, so that it is added at once
    with no_grad():
        assert not F.checkpoint(F.relu, Tensor(x, requires_grad=True)).requires_grad


def test_an_error_on_the_way_back_leaves_gradients_and_buffers():
    weight, count = Parameter(randn(3)), Tensor(np.zeros(1))
    weight.grad = Tensor(np.ones(3))

    def fails_the_second_time(x):
        count.data[...] += 1
        if count.data[0] == 2:
            raise MemoryError
        return x * weight

    out = F.checkpoint(
        fails_the_second_time, Tensor(randn(3), requires_grad=True), parameters=[weight], buffers=[count]
    )
    with pytest.raises(MemoryError):
        out.sum().backward()
    assert weight.grad.tolist() == [1, 1, 1]
    assert count.data[0] == 1


def test_a_lean_densenet_learns_the_same():
    x = randn(4, 3, 32, 32, dtype=np.float32)
    results = []
    for lean in (False, True):
        model = models.create("densenet_bc_100_12", memory_efficient=lean, rng=0)
        F.cross_entropy(model(x), np.arange(4)).backward()
        state = {key: value.numpy() for key, value in model.state_dict().items()}
        results.append((state, {name: p.grad.numpy() for name, p in model.named_parameters()}))
    for kept, again in zip(*results, strict=True):
        assert kept.keys() == again.keys()
        for name in kept:
            np.testing.assert_allclose(again[name], kept[name], rtol=1e-3, atol=1e-5, err_msg=name)


# The peak that getrusage knows may be that of the process which started this one.
STEP = """
import resource
from pathlib import Path
import numpy as np
from fastconv import functional as F, models, set_num_threads
set_num_threads(1)
def peak():
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
model = models.create("densenet_bc_100_12", memory_efficient={lean}, rng=0)
x = np.ones((16, 3, 32, 32), np.float32)
before = peak()
F.cross_entropy(model(x), np.arange(16) % 10).backward()
print(peak() - before)
"""


def test_a_lean_densenet_needs_less_memory():
    plain, lean = (
        int(subprocess.run([sys.executable, "-c", STEP.format(lean=lean)], capture_output=True, check=True).stdout)
        for lean in (False, True)
    )
    assert lean < 0.9 * plain, (lean, plain)
