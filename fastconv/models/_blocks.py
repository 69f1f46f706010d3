"""What several families are built of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Branches, Conv2d, Module, ReLU, Sequential, Sigmoid
from fastconv.layers._fold import normalised, normed
from fastconv.layers._steps import side_by_side

__all__ = [
    "ConvNorm",
    "Mixed",
    "Size",
    "SqueezeExcitation",
    "branches",
    "chain",
    "conv",
    "conv_norm_act",
    "make_divisible",
    "normalised",
    "normed",
]

Size = int | tuple[int, int]


def conv(
    in_channels: int, out_channels: int, kernel_size: Size, stride: int = 1, padding: Size | None = None, **options: Any
) -> Conv2d:
    """Return a convolution; stride 1 keeps the size and larger strides do not pad, unless `padding` says otherwise."""
    if padding is None:
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        padding = (height // 2, width // 2) if stride == 1 else 0
    return Conv2d(in_channels, out_channels, kernel_size, stride, padding, **options)


class ConvNorm(Module):
    """Convolution, batch norm of eps 0.001, ReLU: what the Inceptions are made of. Arguments as for :func:`conv`."""

    _in_a_row = ("conv", "bn", "relu")

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: int = 1, padding: Size | None = None
    ) -> None:
        self.conv = conv(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = BatchNorm2d(out_channels, eps=1e-3)
        self.relu = ReLU()

    def forward(self, input: Any) -> Any:
        """Return maps of `out_channels` channels."""
        return normed(self.conv, self.bn, input, self.relu)


def branches(**named: Module) -> Branches:
    """Return modules side by side by name, their outputs joined along the channels."""
    return Branches(named)


def chain(channels: int, *steps: Any) -> Module:
    """Return modules in a row; of numbers ``(out_channels, kernel_size[, stride[, padding]])`` it makes ConvNorms."""
    layers: list[Module] = []
    for step in steps:
        layers.append(step if isinstance(step, Module) else ConvNorm(channels, *step))
        channels = channels if isinstance(step, Module) else step[0]
    return layers[0] if len(layers) == 1 else Sequential(*layers)


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], Module] | None = ReLU,
    norm: Callable[[int], Module] = BatchNorm2d,
) -> Sequential:
    """Return convolution, batch norm and activation, padded by half the kernel."""
    layers: list[Module] = [
        Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        norm(out_channels),
    ]
    return Sequential(*layers, *([activation()] if activation is not None else []))


class SqueezeExcitation(Module):
    """Weigh channels by what their means say.

    References
    ----------
    Hu, Shen and Sun, "Squeeze-and-excitation networks", CVPR 2018.
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        activation: Callable[[], Module] = ReLU,
        scale: Callable[[], Module] = Sigmoid,
    ) -> None:
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(channels, squeezed, 1)
        self.fc2 = Conv2d(squeezed, channels, 1)
        self.activation = activation()
        self.scale_activation = scale()

    def forward(self, input: Any) -> Any:
        """Return the maps, each channel multiplied by its weight."""
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input))))) * input


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Return the multiple of `divisor` nearest to `channels`, at most a tenth below."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class Mixed(Module):
    """Branches whose convolutions have names in a row, ``branch3x3_1``, ``branch3x3_2``, as in Inception v3.

    Parameters
    ----------
    channels : int
        Channels of the input.
    first : int
        Number of the first convolution of a branch.
    **branches : list
        Steps: ``(out_channels, kernel_size[, stride])``; a module, such as a pool; or, as the last, a list of two steps
        side by side, named ``_2a`` and ``_2b``. A branch of a single convolution has no number.
    """

    def __init__(self, channels: int, *, first: int = 1, **branches: list[Any]) -> None:
        self.paths: list[list[tuple[str, ...]]] = []
        for branch, steps in branches.items():
            width, number, path = channels, first, []
            numbered = sum(not isinstance(step, Module) for step in steps) > 1
            for step in steps:
                if isinstance(step, Module):
                    fork = {branch if len(steps) == 1 else f"{branch}_op": step}
                else:
                    name = f"{branch}_{number}" if numbered else branch
                    rows = {f"{name}a": step[0], f"{name}b": step[1]} if isinstance(step, list) else {name: step}
                    fork = {key: ConvNorm(width, *row) for key, row in rows.items()}
                    width, number = sum(row[0] for row in rows.values()), number + 1
                for key, layer in fork.items():
                    setattr(self, key, layer)
                path.append(tuple(fork))
            self.paths.append(path)

    def forward(self, input: Any) -> Any:
        """Return the outputs of the branches, one after the other."""
        rows, inputs = [], []
        for path in self.paths:
            x = input
            for (name,) in path[:-1]:
                x = getattr(self, name)(x)
            rows += [[getattr(self, name)] for name in path[-1]]
            inputs += [x] * len(path[-1])
        return side_by_side(rows, inputs)
