"""LeNet-5 with nothing hidden: forward, backward and a step of SGD (LeCun et al., Proc. IEEE 86, 1998)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv.reference.activation import relu, relu_grad
from fastconv.reference.conv import col2im, im2col
from fastconv.reference.linear import linear, linear_grad
from fastconv.reference.loss import cross_entropy, cross_entropy_grad
from fastconv.reference.optim import sgd_update

__all__ = ["LeNet5"]


def _conv(x: np.ndarray, w: np.ndarray, b: np.ndarray, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Convolve images (N, H, W, C); also returns the columns, which the gradient needs again."""
    columns = im2col(x.transpose(0, 3, 1, 2), w.shape[2:], padding=padding)
    size = x.shape[1] + 2 * padding - w.shape[2] + 1
    return linear(columns, _matrix(w).T, b).reshape(len(x), size, size, len(w)), columns


def _conv_grad(grad: np.ndarray, columns: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    """Gradients of the weights and the bias."""
    rows = grad.reshape(-1, len(w))
    product = columns.T @ rows
    return [product.reshape(*w.shape[2:], w.shape[1], len(w)).transpose(3, 2, 0, 1), rows.sum(0)]


def _matrix(w: np.ndarray) -> np.ndarray:
    """Weights as im2col's rows are multiplied with them: (kh * kw * C_in, C_out)."""
    return w.transpose(2, 3, 1, 0).reshape(-1, len(w))


def _pool(x: np.ndarray) -> np.ndarray:
    """Largest of each 2x2 pixels."""
    return np.maximum(np.maximum(x[:, ::2, ::2], x[:, ::2, 1::2]), np.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]))


def _pool_grad(grad: np.ndarray, x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Pixels that are the largest get the gradient. Equal ones are zeros after ReLU, which passes none on."""
    grad_x = np.zeros_like(x)
    for y in (0, 1):
        for z in (0, 1):
            grad_x[:, y::2, z::2] = grad * (x[:, y::2, z::2] == out)
    return grad_x


class LeNet5:
    """Two convolutions with ReLU and pooling, then three fully connected layers.

    Parameters
    ----------
    parameters : sequence of array
        Weight and bias of each layer in order, as ``fastconv.models.lenet5()`` lists them; copied.
    """

    def __init__(self, parameters: Sequence[np.ndarray]) -> None:
        self.parameters = [np.array(p) for p in parameters]
        self.velocities = [np.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Scores (N, 10) of images (N, 1, 28, 28), keeping what the gradient needs."""
        w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = self.parameters
        a1, self.columns1 = _conv(x.transpose(0, 2, 3, 1), w1, b1, padding=2)
        self.h1 = relu(a1)
        self.p1 = _pool(self.h1)
        a2, self.columns2 = _conv(self.p1, w2, b2, padding=0)
        self.h2 = relu(a2)
        self.p2 = _pool(self.h2)
        self.flat = self.p2.transpose(0, 3, 1, 2).reshape(len(x), -1)
        self.h3 = relu(linear(self.flat, w3, b3))
        self.h4 = relu(linear(self.h3, w4, b4))
        return linear(self.h4, w5, b5)

    def backward(self, grad: np.ndarray) -> list[np.ndarray]:
        """Gradients of all parameters from the scores' gradient: forward's lines in reverse."""
        _, _, w2, _, w3, b3, w4, b4, w5, b5 = self.parameters
        g4, *grads5 = linear_grad(grad, self.h4, w5, b5)
        g3, *grads4 = linear_grad(relu_grad(g4, self.h4), self.h3, w4, b4)
        g, *grads3 = linear_grad(relu_grad(g3, self.h3), self.flat, w3, b3)
        n, h, w, c = self.p2.shape
        g = relu_grad(_pool_grad(g.reshape(n, c, h, w).transpose(0, 2, 3, 1), self.h2, self.p2), self.h2)
        grads2 = _conv_grad(g, self.columns2, w2)
        n, h, w, c = self.p1.shape
        g = col2im(g.reshape(-1, len(w2)) @ _matrix(w2).T, (n, c, h, w), w2.shape[2:])
        g = relu_grad(_pool_grad(g.transpose(0, 2, 3, 1), self.h1, self.p1), self.h1)
        return [*_conv_grad(g, self.columns1, self.parameters[0]), *grads2, *grads3, *grads4, *grads5]

    def step(self, x: np.ndarray, labels: np.ndarray, lr: float, momentum: float = 0.0) -> np.ndarray:
        """Take one step of SGD on a batch and return its loss."""
        scores = self.forward(x)
        grads = self.backward(cross_entropy_grad(np.ones((), x.dtype), scores, labels).astype(x.dtype))
        for parameter, grad, velocity in zip(self.parameters, grads, self.velocities, strict=True):
            sgd_update(parameter, grad, velocity, lr, momentum, 0.0, 0.0, False, self.steps == 0)
        self.steps += 1
        return cross_entropy(scores, labels)
