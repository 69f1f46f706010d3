"""LeNet-5 of the twins: its gradients by central differences, its step by learning."""

from __future__ import annotations

import numpy as np

from fastconv.reference import cross_entropy, cross_entropy_grad
from fastconv.reference.lenet import LeNet5
from tests.helpers import randn

SHAPES = ((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,))


def _parameters() -> list[np.ndarray]:
    return [randn(*shape) / np.sqrt(max(np.prod(shape[1:]), 1)) for shape in SHAPES]


def test_gradients_by_central_differences() -> None:
    x, labels = randn(3, 1, 28, 28), np.array([0, 9, 4])
    net = LeNet5(_parameters())
    grads = net.backward(cross_entropy_grad(1.0, net.forward(x), labels))
    assert [grad.shape for grad in grads] == list(SHAPES)
    for number, grad in enumerate(grads):
        largest = np.unravel_index(np.abs(grad).argmax(), grad.shape)
        for place in (largest, (0,) * grad.ndim):
            losses = []
            for step in (1e-6, -1e-6):
                moved = LeNet5(_parameters())
                moved.parameters[number][place] += step
                losses.append(cross_entropy(moved.forward(x), labels))
            np.testing.assert_allclose(grad[place], (losses[0] - losses[1]) / 2e-6, rtol=1e-3, atol=1e-8)


def test_steps_learn_a_batch_and_keep_float32() -> None:
    x, labels = randn(16, 1, 28, 28).astype(np.float32), np.arange(16) % 10
    net = LeNet5([p.astype(np.float32) for p in _parameters()])
    losses = [net.step(x, labels, lr=0.02, momentum=0.9) for _ in range(30)]
    assert losses[-1] < 0.1 * losses[0]
    assert all(p.dtype == np.float32 for p in net.parameters)
