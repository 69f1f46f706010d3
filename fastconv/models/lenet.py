"""LeNet-5, the network that read cheques: two convolutions, three fully connected layers.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
Proc. IEEE 86(11), 1998.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers import (
    RBF,
    AvgPool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    ScaledTanh,
    Sequential,
    Sigmoid,
    Tanh,
    TrainablePool2d,
)
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["LeNet", "TableConv2d", "lenet5"]

FILTERS, KERNEL, HIDDEN = (6, 16), 5, (120, 84)

# Table I of the paper: the maps of S2 that each map of C3 sees.
TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


class Form(NamedTuple):
    """The choices that make a LeNet-5; each is an argument of :func:`lenet5`."""

    c3: str
    s2: str
    s4: str
    activation: str
    output: str
    padding: int
    input_size: int


VARIANTS = {
    "modern": Form("dense", "max", "max", "relu", "linear", padding=2, input_size=28),
    "classic": Form("dense", "avg", "avg", "tanh", "linear", padding=2, input_size=28),
    "1998": Form("table", "trainable", "trainable", "scaled_tanh", "rbf", padding=0, input_size=32),
}
VARIANTS["paper"] = VARIANTS["1998"]
ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "scaled_tanh": ScaledTanh,
    "sigmoid": Sigmoid,
}
POOLS = ("max", "avg", "trainable")
ALLOWED = {
    "c3": ("dense", "table"),
    "s2": POOLS,
    "s4": POOLS,
    "activation": tuple(ACTIVATIONS),
    "output": ("linear", "rbf"),
}


class TableConv2d(Module):
    """A convolution whose filters see only some of the maps.

    Parameters
    ----------
    in_channels : int
        Maps of the input.
    table : sequence of sequences of int
        For each map of the output the maps of the input that it sees.
    kernel_size : int
        Height and width of a filter.

    Attributes
    ----------
    weight : Parameter
        (connections, kernel_size, kernel_size), in the order of the table.
    bias : Parameter
        (len(table),).
    """

    def __init__(self, in_channels: int, table: tuple[tuple[int, ...], ...], kernel_size: int) -> None:
        pairs = [(row, column) for row, columns in enumerate(table) for column in columns]
        self.in_channels, self.table = in_channels, table
        self.places = np.zeros((len(table) * in_channels, len(pairs)), np.float32)
        for number, (row, column) in enumerate(pairs):
            self.places[row * in_channels + column, number] = 1
        self.weight = Parameter(np.zeros((len(pairs), kernel_size, kernel_size), np.float32))
        self.bias = Parameter(np.zeros(len(table), np.float32))

    def forward(self, input: Any) -> Any:
        """Return maps (N, len(table), H', W')."""
        connections, height, width = self.weight.shape
        places = self.places.astype(self.weight.dtype, copy=False)
        dense = F.matmul(places, F.reshape(self.weight, (connections, height * width)))
        shape = (len(self.table), self.in_channels, height, width)
        return F.conv2d(input, F.reshape(dense, shape), self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {len(self.table)}, connections={self.weight.shape[0]}"


class Likeness(RBF):
    """Minus the squared distances from the classes' bitmaps: scores, whose softmax is the Gaussians' posterior."""

    def forward(self, input: Any) -> Any:
        """Return scores (N, classes), none above 0."""
        return -super().forward(input)


class LeNet(Network):
    """Two parts in a row: `features`, from images to maps, and `classifier`, from maps to a score for each class.

    Parameters
    ----------
    form : Form
        The choices.
    num_classes, in_channels : int
        Length of the output and channels of the images.
    """

    def __init__(self, form: Form, num_classes: int, in_channels: int) -> None:
        activation = ACTIVATIONS[form.activation]
        self.activation = form.activation
        self.image_shape = (in_channels, form.input_size, form.input_size)
        side = (form.input_size + 2 * form.padding - KERNEL + 1) // 2
        side = (side - KERNEL + 1) // 2
        if side < 1:
            raise ShapeError(f"lenet5: images of {form.input_size} x {form.input_size} are too small")
        c3: Module = Conv2d(FILTERS[0], FILTERS[1], KERNEL)
        if form.c3 == "table":
            c3 = TableConv2d(FILTERS[0], TABLE, KERNEL)
        self.features = Sequential(
            Conv2d(in_channels, FILTERS[0], KERNEL, padding=form.padding),
            activation(),
            _pool(form.s2, FILTERS[0], activation),
            c3,
            activation(),
            _pool(form.s4, FILTERS[1], activation),
        )
        self.classifier, length = Sequential(Flatten()), FILTERS[1] * side * side
        for width in HIDDEN:
            self.classifier.append(Linear(length, width)).append(activation())
            length = width
        self.classifier.append(Linear(length, num_classes) if form.output == "linear" else _likeness(num_classes))
        self.heads = ("classifier.5",)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.features(input))

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw new weights that suit the activation; biases of 0.

        Normal with He's deviation for ReLU or Glorot's for tanh and sigmoid; for the scaled tanh uniform within 2.4 by
        the number of inputs, as in the paper.
        """
        for path, parameter in self.named_parameters():
            if parameter.ndim == 1:
                if path.endswith("bias"):
                    init.zeros_(parameter)
            elif self.activation == "relu":
                init.kaiming_normal_(parameter, nonlinearity="relu", rng=rng)
            elif self.activation == "scaled_tanh":
                inputs = 90 if parameter.ndim == 3 else int(np.prod(parameter.shape[1:]))  # C3's see 60 / 16 maps
                init.uniform_(parameter, -2.4 / inputs, 2.4 / inputs, rng=rng)
            else:
                init.xavier_normal_(parameter, rng=rng)


def _pool(kind: str, channels: int, activation: Callable[[], Module]) -> Module:
    if kind == "trainable":
        return TrainablePool2d(channels, 2, activation=activation())
    return MaxPool2d(2) if kind == "max" else AvgPool2d(2)


def _likeness(classes: int) -> Likeness:
    """Return the RBF units: digits' bitmaps for ten classes or fewer, else random ones, always the same."""
    if classes <= 10:
        return Likeness(HIDDEN[1], classes)
    bitmaps = np.random.default_rng(0).choice([-1.0, 1.0], (classes, HIDDEN[1])).astype(np.float32)
    return Likeness(HIDDEN[1], classes, bitmaps)


@register((1, 28, 28), tuple(VARIANTS), {"1998": (1, 32, 32), "paper": (1, 32, 32)})
def lenet5(
    variant: str = "modern",
    num_classes: int = 10,
    *,
    in_channels: int = 1,
    c3: str | None = None,
    s2: str | None = None,
    s4: str | None = None,
    activation: str | None = None,
    output: str | None = None,
    padding: int | None = None,
    input_size: int | None = None,
) -> LeNet:
    """Make LeNet-5: 61,706 parameters with 10 classes, in the form of 1998 60,000.

    Parameters
    ----------
    variant : {"modern", "classic", "1998", "paper"}
        "modern" has ReLU and maximum pooling, "classic" tanh and average pooling, both for images of 28 x 28. "1998" is
        the paper's, for 32 x 32: pools with weights, a second convolution whose maps see only some of the first's, a
        scaled tanh, and units that compare the last hidden layer with bitmaps of the digits; "paper" is another name
        of it. Arguments left out follow from it.
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    c3 : {"dense", "table"}
        Whether every map of the second convolution sees all maps, or those of the paper's table I.
    s2, s4 : {"max", "avg", "trainable"}
        The pools; "trainable" has a coefficient and a bias for each map, and the activation after it.
    activation : {"relu", "tanh", "scaled_tanh", "sigmoid"}
        What follows convolutions and hidden layers.
    output : {"linear", "rbf"}
        The last layer: a linear one, or minus the squared distances from the classes' bitmaps, so that a higher score
        is better in both; the paper's loss is ``F.map_loss(-scores, labels)``.
    padding : int
        Of the first convolution.
    input_size : int
        Height and width of the images, which the length of the first fully connected layer follows from. Left out, it
        is 28 where `padding` is given and not 0: 28 x 28 images padded by 2 are the paper's of 32 x 32.

    Returns
    -------
    LeNet
        Images (N, in_channels, input_size, input_size) in, scores (N, num_classes) out; softmax turns them into
        probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> model = lenet5(rng=0)
    >>> model(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    >>> sum(p.numel() for p in model.parameters())
    61706

    A textbook's: sigmoid on 28 x 28 without padding, so that the fully connected layers begin with 16 x 4 x 4 = 256.

    >>> lenet5("classic", activation="sigmoid", padding=0).classifier[1]
    Linear(in_features=256, out_features=120, bias=True)
    """
    given = {"c3": c3, "s2": s2, "s4": s4, "activation": activation, "output": output}
    for name, value in given.items():
        if value is not None and value not in ALLOWED[name]:
            raise ValueError(f"lenet5: {name} must be one of {', '.join(ALLOWED[name])}, got {value!r}")
    sizes = {"padding": padding, "input_size": input_size}
    for name, size in sizes.items():
        if size is not None:
            checks.integer(size, "lenet5", name, minimum=0)
    if padding and input_size is None:
        sizes["input_size"] = 28
    chosen: dict[str, Any] = {name: value for name, value in {**given, **sizes}.items() if value is not None}
    return LeNet(VARIANTS[variant]._replace(**chosen), num_classes, in_channels)
