"""U-Net: down to see what, up to see where, and bridges between.

O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers import Conv2d, ConvTranspose2d, MaxPool2d, ReLU, Sequential
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["UNet", "unet"]

DEPTH = 4


def _double(channels: int, width: int, padding: int) -> Sequential:
    return Sequential(
        Conv2d(channels, width, 3, padding=padding), ReLU(), Conv2d(width, width, 3, padding=padding), ReLU()
    )


class UNet(Network):
    """`down1` to `down5`, each but the first after a pool; `up1` to `up4` after `upconv1` to `upconv4`; `outc`."""

    heads = ("outc",)

    def __init__(self, num_classes: int, in_channels: int, width: int, padding: int) -> None:
        self.pool = MaxPool2d(2, 2)
        channels = in_channels
        for level in range(DEPTH + 1):
            setattr(self, f"down{level + 1}", _double(channels, width * 2**level, padding))
            channels = width * 2**level
        for level in range(DEPTH):
            setattr(self, f"upconv{level + 1}", ConvTranspose2d(channels, channels // 2, 2, 2))
            setattr(self, f"up{level + 1}", _double(channels, channels // 2, padding))
            channels //= 2
        self.outc = Conv2d(channels, num_classes, 1)

    def features(self, input: Any) -> Any:
        """Return the last maps, (N, width, H', W')."""
        x, bridges = input, []
        for level in range(DEPTH + 1):
            x = getattr(self, f"down{level + 1}")(x if level == 0 else self.pool(x))
            bridges.append(x)
        bridges.pop()
        for level in range(DEPTH):
            x = getattr(self, f"upconv{level + 1}")(x)
            x = getattr(self, f"up{level + 1}")(F.cat([_centre(bridges.pop(), x.shape[2:]), x], 1))
        return x

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes, H', W') for images (N, C, H, W)."""
        return self.outc(self.features(input))


def _centre(maps: Any, size: tuple[int, int]) -> Any:
    """Cut maps of this size out of the middle."""
    top, left = (maps.shape[2] - size[0]) // 2, (maps.shape[3] - size[1]) // 2
    if top == left == 0 and maps.shape[2:] == size:
        return maps
    return maps[:, :, top : top + size[0], left : left + size[1]]


@register((1, 572, 572), variants=("paper", "padded"))
def unet(num_classes: int = 2, *, variant: str = "paper", in_channels: int = 1, width: int = 64) -> UNet:
    """U-Net: 31,030,658 parameters.

    Parameters
    ----------
    num_classes : int
        Classes of a pixel.
    variant : {"paper", "padded"}
        Whether convolutions pad. In the paper they do not: 572 x 572 in, 388 x 388 out, each of which has seen all that
        it needs. "padded" returns scores for every pixel; height and width must be multiples of 16.
    in_channels : int
        Channels of the images.
    width : int
        Channels of the first maps; they double at every pool.

    Returns
    -------
    UNet
        Images (N, in_channels, H, W) in, scores (N, num_classes, H', W') out.
    """
    return UNet(num_classes, in_channels, width, padding=1 if variant == "padded" else 0)
