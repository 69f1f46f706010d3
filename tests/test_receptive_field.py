"""Receptive fields, against what gradients show to be seen."""

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, Tensor
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential


def ones(layer):
    """Weights of one, so that gradients show everything that is seen."""
    for parameter in layer.parameters():
        parameter.assign(np.ones(parameter.shape, np.float32))
    return layer


def conv(*args, **options):
    return ones(Conv2d(*args, bias=False, **options))


class Branching(Module):
    def __init__(self):
        self.wide = conv(1, 1, 5, padding=2, stride=2)
        self.dilated = Sequential(conv(1, 1, 3, padding=1), conv(1, 1, 3, padding=3, dilation=3, stride=2))
        self.joined = conv(2, 1, (3, 1), padding=(1, 0))

    def forward(self, x):
        return self.joined(F.cat((self.wide(x), self.dilated(x)), 1))


class Sliced(Module):
    """As the shortcuts of small residual networks: every second pixel, beside a convolution."""

    def __init__(self):
        self.body = conv(1, 1, 3, stride=2, padding=1)

    def forward(self, x):
        return self.body(x)[..., 1:, :] + x[:, 0, None, 2::2, ::2]


class Skip(Module):
    def __init__(self):
        self.body = conv(1, 1, 3, padding=1)

    def forward(self, x):
        return self.body(x) + x


NETWORKS = {
    "valid": Sequential(conv(1, 1, 3), conv(1, 1, 3)),
    "strided": Sequential(conv(1, 1, 7, stride=2, padding=3), AvgPool2d(3, 2, 1), conv(1, 1, 3, padding=1)),
    "oblong": Sequential(conv(1, 1, (1, 5), stride=(1, 2), padding=(0, 1)), AvgPool2d((2, 1))),
    "dilated": Sequential(conv(1, 1, 3, dilation=2), conv(1, 1, 3, dilation=(4, 1), padding=(4, 1))),
    "branching": Branching(),
    "sliced": Sequential(conv(1, 1, 3), Sliced(), conv(1, 1, 3)),
    "skip": Sequential(AvgPool2d(2), Skip(), Skip()),
}


def seen(model, size, position):
    """First and last rows and columns that the element at `position` sees: where its gradient is not 0."""
    x = Tensor(np.ones((1, 1, *size), np.float32), requires_grad=True)
    out = model(x)
    grad = np.zeros(out.shape, np.float32)
    grad[(0, 0, *position)] = 1
    out.backward(grad)
    rows, columns = np.nonzero(x.grad.numpy()[0, 0])
    return (rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1), out.shape


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_what_gradients_reach(name):
    model, size = NETWORKS[name], (48, 56)
    found = fastconv.receptive_field(model, (1, 1, *size))
    last = list(found.values())[-1]
    *_, shape = seen(model, size, (0, 0))
    for position in ((0, 0), (shape[2] // 2, shape[3] // 3), (shape[2] - 1, shape[3] - 1)):
        *expected, _ = seen(model, size, position)
        inside = [(max(low, 0), min(high, n)) for (low, high), n in zip(last.box(position), size, strict=True)]
        assert inside == expected


def test_two_small_windows_see_as_much_as_a_large_one():
    small = fastconv.receptive_field(Sequential(conv(1, 1, 3), conv(1, 1, 3)), (1, 1, 9, 9), "1")
    large = fastconv.receptive_field(Sequential(conv(1, 1, 5)), (1, 1, 9, 9), "0")
    assert small == large
    assert large.size == (5, 5)
    assert large.start == (2.5, 2.5)


def test_alexnets_fields():
    """The numbers that textbooks give for AlexNet's first layers, 227 pixels, unpadded."""
    model = Sequential(
        Conv2d(3, 8, 11, stride=4), MaxPool2d(3, 2), Conv2d(8, 8, 5, padding=2), MaxPool2d(3, 2),
        Conv2d(8, 8, 3, padding=1), Conv2d(8, 8, 3, padding=1), Conv2d(8, 8, 3, padding=1), MaxPool2d(3, 2),
    )  # fmt: skip
    found = fastconv.receptive_field(model, (3, 227, 227))
    assert [f.size[0] for f in found.values()] == [11, 19, 51, 67, 99, 131, 163, 195]
    assert [f.jump[0] for f in found.values()] == [4, 8, 8, 16, 16, 16, 16, 32]


def test_layers_without_positions_see_the_image_whole():
    model = Sequential(conv(1, 2, 3), Flatten(), ones(Linear(2 * 6 * 7, 3)))
    found = fastconv.receptive_field(model, (1, 1, 8, 9), "2")
    assert found == fastconv.graph.ReceptiveField((8, 9), (None, None), (None, None))
    assert found.box((0, 0)) == ((0, 8), (0, 9))


def test_squeeze_and_excitation_sees_everything():
    def excite(x):
        return x * x.mean((2, 3), keepdim=True)

    class Excite(Module):
        def forward(self, x):
            return excite(x)

    found = fastconv.receptive_field(Sequential(MaxPool2d(2), Excite()), (1, 1, 8, 8), "1")
    assert found.size == (8, 8)
    assert found.jump == (2.0, 2.0)
    assert found.start == (None, None)


def test_axes_are_followed_through_permutations():
    class LastFirst(Module):
        def __init__(self):
            self.mix = Linear(4, 4)

        def forward(self, x):
            n, c, h, w = x.shape
            x = x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            return self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    found = fastconv.receptive_field(Sequential(conv(1, 4, (3, 5)), LastFirst()), (1, 1, 8, 9), "1")
    assert found.size == (3, 5)
    assert found.jump == (1, 1)


def test_blocks_have_paths_as_well():
    model = Sequential(MaxPool2d(2), Skip(), ReLU())
    assert fastconv.receptive_field(model, (1, 1, 8, 8), "1").size == (6, 6)
    with pytest.raises(ValueError, match=r"no layer '3' was called; there are 0, 1\.body, 1, 2"):
        fastconv.receptive_field(model, (1, 1, 8, 8), "3")
    with pytest.raises(ShapeError, match="position must have 2 numbers"):
        fastconv.receptive_field(model, (1, 1, 8, 8), "1").box((1,))


def test_a_network_for_signals():
    class Running(Module):
        def __init__(self):
            self.weight = Parameter(np.ones((1, 1, 1, 3), np.float32))

        def forward(self, x):
            return F.conv2d(x.unsqueeze(2), self.weight).squeeze(2)

    model = Sequential(Running(), Running())
    assert fastconv.receptive_field(model, (1, 1, 20), "1").size == (5,)


def test_output_size():
    assert fastconv.output_size(224, 11, 4, 2) == 55
    assert fastconv.output_size(32, 5) == 28
    assert fastconv.output_size(7, 3, stride=2, padding=1, dilation=2) == 3
    for n, kernel, stride, padding, dilation in [(9, 3, 2, 1, 1), (10, 2, 3, 0, 4), (5, 5, 1, 2, 1)]:
        x = np.zeros((1, 1, n, n), np.float32)
        out = F.conv2d(x, np.zeros((1, 1, kernel, kernel), np.float32), None, stride, padding, dilation)
        assert out.shape[2] == fastconv.output_size(n, kernel, stride, padding, dilation)
    with pytest.raises(ShapeError, match="output_size: kernel 5 with dilation 2 spans 9 pixels"):
        fastconv.output_size(6, 5, dilation=2)
    with pytest.raises(ShapeError, match="stride"):
        fastconv.output_size(6, 5, 0)
    with pytest.raises(TypeError, match="padding"):
        fastconv.output_size(6, 5, 1, 0.5)


class Apply(Module):
    """One operation as a network."""

    def __init__(self, operation, *weights, **options):
        self.operation, self.options = operation, options
        self.weights = [Parameter(np.ones(shape, np.float32)) for shape in weights]

    def forward(self, x):
        return self.operation(x, *self.weights, **self.options)


WINDOWS = {
    "same": Apply(F.conv2d, (1, 1, 4, 3), stride=2, padding="same"),
    "same_lower": Apply(F.conv2d, (1, 1, 4, 2), padding="same_lower"),
    "full": Apply(F.conv2d, (1, 1, 3, 5), padding="full"),
    "pairs": Apply(F.conv2d, (1, 1, 3, 3), padding=((2, 0), (0, 1))),
    "local": Apply(F.locally_connected2d, (14, 14, 1, 1, 3, 3)),
    "weighted": Apply(F.weighted_pool2d, (1, 2, 3), stride=2),
    "lp": Apply(F.lp_pool2d, norm_type=2, kernel_size=(3, 2)),
    "adaptive": Apply(F.adaptive_avg_pool2d, output_size=(4, 8)),
    "pad": Apply(F.pad, pad=(1, 2, 3, 0)),
    "crop": Apply(F.center_crop, output_size=10),
    "slice": Apply(lambda x: x[:, :, 3:, ::2]),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_of_all_kinds(name):
    model, size = WINDOWS[name], (16, 16)
    box = list(fastconv.receptive_field(Sequential(conv(1, 1, 1), model), (1, 1, *size)).values())[-1]
    *_, shape = seen(model, size, (3, 3))
    for position in ((shape[2] // 2, shape[3] // 2), (3, 4)):
        *expected, _ = seen(model, size, position)
        assert [(max(a, 0), min(b, 16)) for a, b in box.box(position)] == expected


class Added(Module):
    """A convolution that adds what went past three others."""

    def __init__(self):
        self.far = Sequential(conv(1, 1, 3, padding=1), conv(1, 1, 3, padding=1), conv(1, 1, 3, padding=1))
        self.near = conv(1, 1, 1)

    def forward(self, x):
        return self.near(x, residual=self.far(x))


UPWARDS = {
    "transposed": Apply(F.conv_transpose2d, (1, 1, 3, 4), stride=2, padding=1),
    "doubled": Apply(F.conv_transpose2d, (1, 1, 2, 2), stride=2),
    "tripled": Sequential(Apply(F.conv_transpose2d, (1, 1, 3, 5), stride=3), AvgPool2d(2)),
    "bilinear": Apply(F.interpolate, scale_factor=2, mode="bilinear"),
    "nearest": Apply(F.interpolate, size=(40, 25), mode="nearest"),
    "uneven": Sequential(Apply(F.adaptive_avg_pool2d, output_size=(9, 10)), Skip()),
    "residual": Added(),
}


@pytest.mark.parametrize("name", UPWARDS)
def test_elements_that_do_not_see_alike(name):
    model = Sequential(conv(1, 1, 3, padding=1), UPWARDS[name], conv(1, 1, 3))
    found = list(fastconv.receptive_field(model, (1, 1, 16, 16)).values())[-1]
    *_, shape = seen(model, (16, 16), (0, 0))
    boxes = []
    for at in range(min(shape[2:])):
        *expected, _ = seen(model, (16, 16), (at, at))
        boxes.append(found.box((at, at)))
        assert [(max(low, 0), min(high, 16)) for low, high in boxes[-1]] == expected
    for axis, size in enumerate(found.size):
        assert size == max(high - low for low, high in (box[axis] for box in boxes))


def test_zeros_between_pixels_see_their_neighbours():
    spread = Apply(lambda x: F.conv2d(F.zero_insert(x, 2), np.ones((1, 1, 3, 3), np.float32)))
    model = Sequential(conv(1, 1, 3), spread, conv(1, 1, 3))
    found = list(fastconv.receptive_field(model, (1, 1, 16, 16)).values())[-1]
    assert found.jump == (0.5, 0.5)
    for row in range(8, 14):
        first, second, _ = seen(model, (16, 16), (row, row))
        for (low, high), (a, b) in zip(found.box((row, row)), (first, second), strict=True):
            assert low <= a < b <= high
            assert (high - low) - (b - a) <= 1
