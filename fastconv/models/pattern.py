"""Networks from one line, in the grammar of textbooks: INPUT, [[CONV, RELU] N, POOL] M, [FC, RELU] K, FC."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fastconv import checks, init
from fastconv.errors import ShapeError
from fastconv.layers import BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential
from fastconv.models._network import Classifier

__all__ = ["PatternNet", "from_pattern"]

WORDS = ("conv", "norm", "relu", "pool", "dropout", "fc")
LONGEST = 2000  # layers


class PatternNet(Classifier):
    """`features`, the layers before the first fully connected one, and `classifier`."""

    def __init__(self, features: Sequential, classifier: Sequential) -> None:
        super().__init__(features, classifier)
        last = next(number for number, layer in reversed(list(enumerate(classifier))) if isinstance(layer, Linear))
        self.heads = (f"classifier.{last}",)


def from_pattern(
    pattern: str,
    num_classes: int = 10,
    *,
    input_shape: tuple[int, int, int] = (3, 32, 32),
    filters: int | Sequence[int] = 32,
    hidden: int | Sequence[int] = 512,
    kernel_size: int = 3,
    rng: np.random.Generator | int | None = None,
) -> PatternNet:
    """Make a network of a pattern.

    Parameters
    ----------
    pattern : str
        Words ``conv``, ``norm``, ``relu``, ``pool``, ``dropout`` and ``fc``, joined by ``-`` or ``->``; ``[...]*3``
        repeats. The last word must be ``fc``: it makes the scores. Convolutions keep the size, pools of 2 x 2 halve it.
    num_classes : int
        Length of the output.
    input_shape : tuple of int
        Channels, height and width of the images.
    filters : int or sequence of int
        Channels of the convolutions, one for each; or of the first, doubled after every pool.
    hidden : int or sequence of int
        Lengths of the fully connected layers but the last, one for each or the same for all.
    kernel_size : int
        An odd number.
    rng : numpy.random.Generator, int or None
        Where the initial weights come from.

    Returns
    -------
    PatternNet
        Images (N, \\*input_shape) in, scores (N, num_classes) out.

    Raises
    ------
    ValueError
        For a pattern that does not follow the grammar.
    ShapeError
        If pools leave nothing of the images.

    Examples
    --------
    >>> model = from_pattern("[[conv-relu]*2-pool]*3-[fc-relu]*2-fc", rng=0)
    >>> sum(parameter.numel() for parameter in model.parameters())
    1603882
    >>> model(np.zeros((2, 3, 32, 32), np.float32)).shape
    (2, 10)
    """
    words = _words(pattern)
    if words[-1:] != ["fc"]:
        raise ValueError(f"from_pattern: the pattern must end with fc, got {pattern!r}")
    if kernel_size % 2 == 0:
        raise ValueError(f"from_pattern: kernel_size must be odd, got {kernel_size}")
    shape = tuple(checks.integer(n, "from_pattern", "input_shape") for n in input_shape)
    widths = _widths(words, "conv", filters, "filters", doubling=True)
    lengths = [*_widths(words, "fc", hidden, "hidden", doubling=False)[:-1], num_classes]
    first = words.index("fc")
    if {"conv", "pool", "norm"} & set(words[first:]):
        raise ValueError(f"from_pattern: nothing but fc, relu and dropout may follow fc, got {pattern!r}")
    with init.skipped():
        features, (channels, height, width) = _features(words[:first], shape, widths, kernel_size)
        length = channels * height * width
        classifier = Sequential()
        for word in words[first:]:
            if word == "fc":
                classifier.append(Linear(length, lengths[0]))
                length = lengths.pop(0)
            else:
                classifier.append(ReLU() if word == "relu" else Dropout(0.5))
    model = PatternNet(features, classifier)
    model.image_shape = shape
    model.initialise(checks.generator(rng, "from_pattern"))
    return model


def _features(
    words: list[str], shape: tuple[int, ...], widths: list[int], kernel_size: int
) -> tuple[Sequential, tuple[int, int, int]]:
    """Return the layers before the first fully connected one, and the shape of what they leave."""
    (channels, height, width), layers, left = shape, Sequential(), list(widths)
    for word in words:
        if word == "conv":
            layers.append(Conv2d(channels, left[0], kernel_size, padding=kernel_size // 2))
            channels = left.pop(0)
        elif word == "pool":
            layers.append(MaxPool2d(2, 2))
            height, width = height // 2, width // 2
            if not height or not width:
                raise ShapeError(f"from_pattern: images of {shape[1]} x {shape[2]} are too small for so many pools")
        else:
            layers.append(BatchNorm2d(channels) if word == "norm" else ReLU() if word == "relu" else Dropout(0.5))
    return layers, (channels, height, width)


def _widths(words: list[str], word: str, given: int | Sequence[int], name: str, doubling: bool) -> list[int]:
    """Return the width of each convolution or fully connected layer; the last of the latter is ignored."""
    count = words.count(word)
    if isinstance(given, (list, tuple)):
        wanted = count if doubling else count - 1
        if len(given) != wanted:
            raise ValueError(f"from_pattern: {name} must have {wanted} numbers, one for each {word}, got {len(given)}")
        return [*(checks.integer(n, "from_pattern", name) for n in given), 1]
    width = checks.integer(given, "from_pattern", name)
    if not doubling:
        return [width] * count
    pools = [words[:place].count("pool") for place, found in enumerate(words) if found == word]
    return [checks.integer(width * 2**n, "from_pattern", name) for n in pools]


def _words(pattern: str) -> list[str]:
    """Return the words of a pattern, repeats written out."""
    if not isinstance(pattern, str):
        raise TypeError(f"from_pattern: pattern must be a string, got {type(pattern).__name__}")
    tokens = re.findall(r"->|[a-z]+|\d+|\S", pattern.lower())
    stack: list[list[str]] = [[]]
    joined = False  # whether a word or bracket must come next

    def fail(place: int) -> ValueError:
        near = " ".join(tokens[max(0, place - 2) : place + 2])
        return ValueError(f"from_pattern: the pattern {pattern[:80]!r} cannot be read near {near!r}")

    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token in ("-", "->", ","):
            if joined or not place:
                raise fail(place)
            joined = True
        elif token == "[":
            stack.append([])
            joined = True
        elif token == "]" and len(stack) > 1 and not joined:
            times = 1
            if tokens[place + 1 : place + 2] == ["*"]:
                if not "".join(tokens[place + 2 : place + 3]).isdigit():
                    raise fail(place)
                times = int(tokens[place + 2][:6])
                place += 2
            group = stack.pop()
            if len(group) * times + len(stack[-1]) > LONGEST:
                raise ValueError(f"from_pattern: a pattern may have {LONGEST} layers")
            stack[-1] += group * times
        elif token == "input" and not place:
            pass
        elif token in WORDS and (joined or not place):
            stack[-1].append(token)
            joined = False
        else:
            raise fail(place)
        place += 1
    if len(stack) != 1 or joined:
        raise fail(len(tokens))
    return stack[0]
