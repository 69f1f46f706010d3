"""Large images that go through light layers one after the other, and shortcuts that are added on the way."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Tensor, layers, no_grad
from fastconv.layers import _images, _steps
from tests import helpers


def randn(*shape: int, seed: int = 0) -> np.ndarray:
    return helpers.randn(*shape, seed=seed, dtype=np.float32)


SIZE = 96  # of maps: two and more of them are large


def stem(norm: bool = True) -> layers.Sequential:
    """Convolution, norm, activation, pool, and a second convolution with few weights."""
    net = layers.Sequential(
        layers.Conv2d(3, 6, 3, padding=1),
        *([layers.BatchNorm2d(6), layers.SiLU()] if norm else []),
        layers.MaxPool2d(2),
        layers.Conv2d(6, 4, 1),
        layers.ReLU(),
        layers.Conv2d(4, 5, 3, stride=2),
    )
    return net.eval()


def whole(net, x, monkeypatch):
    """What becomes of all images at once."""
    with monkeypatch.context() as patch, no_grad():
        patch.setattr(_images, "_LARGE", 10**9)
        return net(x).numpy()


def counted(monkeypatch, culprit: layers.Module | None = None) -> list[int]:
    """Numbers of images that steps are given, or those that hold one layer, filled while a net runs."""
    seen: list[int] = []
    run = _steps._run_step

    def noted(step, input, residual=None):
        if culprit is None or culprit in step:
            seen.append(input.shape[0])
        return run(step, input, residual)

    monkeypatch.setattr(_steps, "_run_step", noted)
    return seen


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("batch", [2, 3, 7])
def test_one_by_one_is_the_same(norm, batch, monkeypatch):
    net, x = stem(norm), Tensor(randn(batch, 3, SIZE, SIZE))
    expected = whole(net, x, monkeypatch)
    seen = counted(monkeypatch)
    with no_grad():
        found = net(x).numpy()
    assert seen[0] == 1
    assert seen[-1] == batch  # small maps go together, and the last layer always
    np.testing.assert_array_equal(found, expected)


def test_arrays_and_gaps_between_channels(monkeypatch):
    net, x = stem(), randn(3, 5, SIZE, SIZE)[:, 1:4]
    expected = whole(net, x, monkeypatch)
    with no_grad():
        np.testing.assert_array_equal(net(x).numpy(), expected)


@pytest.mark.parametrize("what", ["gradients", "training", "hook", "own", "heavy", "in place", "own statistics"])
def test_all_together_where_it_matters(what, monkeypatch):
    net, x, culprit = stem(), Tensor(randn(3, 3, SIZE, SIZE)), 1
    if what == "training":
        net[1].train()
    elif what == "hook":
        net[3].register_forward_hook(lambda module, args, out: None)
        culprit = 3
    elif what == "own":

        class Centred(layers.Module):
            def forward(self, x):
                return x - x.mean(0, keepdim=True)

        net, culprit = layers.Sequential(Centred().eval(), *net), 0
    elif what == "heavy":
        monkeypatch.setattr(_images, "_LIGHT", 100)
    elif what == "in place":
        net, culprit = layers.Sequential(layers.ReLU(inplace=True).eval(), *net), 0
    elif what == "own statistics":
        net[1] = layers.BatchNorm2d(6, track_running_stats=False).eval()
    seen = counted(monkeypatch, net[culprit])
    if what == "gradients":
        net(x)
    else:
        with no_grad():
            net(x)
    assert seen == [3]


def test_small_maps_and_single_images_go_together(monkeypatch):
    net = stem()
    seen = counted(monkeypatch)
    with no_grad():
        net(Tensor(randn(1, 3, 128, 128)))
        net(Tensor(randn(4, 3, 20, 20)))
    assert set(seen) == {1, 4}
    assert seen.count(4) == len(seen) // 2


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("last", ["norm", "conv", "pool", "relu"])
def test_shortcut_is_added_to_what_comes_out(last, grad):
    net = layers.Sequential(layers.Conv2d(4, 8, 1), layers.ReLU(), layers.Conv2d(8, 4, 3, padding=1))
    if last == "norm":
        net.append(layers.BatchNorm2d(4))
    elif last != "conv":
        net.append(layers.MaxPool2d(1) if last == "pool" else layers.ReLU())
    net.eval()
    x, shortcut = Tensor(randn(2, 4, 7, 6), requires_grad=grad), Tensor(randn(2, 4, 7, 6, seed=1))
    expected = net(x) + shortcut
    if grad:
        found = _steps.with_shortcut(net, x, shortcut)
        (expected * expected).sum().backward()
        wanted, x.grad = x.grad.numpy().copy(), None
        (found * found).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-4, atol=1e-4)
    else:
        with no_grad():
            found = _steps.with_shortcut(net, x, shortcut)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_shortcut_leaves_hooks_their_results():
    net = layers.Sequential(layers.Conv2d(4, 8, 1), layers.Conv2d(8, 4, 1)).eval()
    x, seen = Tensor(randn(2, 4, 5, 5)), []
    for hooked in (net, net[1]):
        handle = hooked.register_forward_hook(lambda module, args, out: seen.append(out.numpy().copy()))
        with no_grad():
            alone = net(x).numpy()
            found = _steps.with_shortcut(net, x, x).numpy()
        handle.remove()
        np.testing.assert_array_equal(seen[-1], alone)
        np.testing.assert_allclose(found, alone + x.numpy(), rtol=1e-5, atol=1e-6)
