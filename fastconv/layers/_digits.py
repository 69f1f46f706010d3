"""Pictures of the digits, as LeNet-5's output layer compares them."""

from __future__ import annotations

import numpy as np

__all__ = ["digit_bitmaps"]

# Twelve rows of seven pixels each, side by side.
_DIGITS = """
.#####. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
##...## ..###.. ##...## ##...## ...###. ##..... .##.... .....## ##...## ##...##
##...## .####.. .....## .....## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... ....##. ##...## ##...##
##..### ...##.. ....##. .....## ##..##. ######. ##..... ....##. .##.##. ##...##
##.#.## ...##.. ....##. ..####. ##..##. .....## ######. ...##.. ..###.. .######
###..## ...##.. ...##.. .....## ####### .....## ##...## ...##.. .##.##. .....##
##...## ...##.. ..##... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. ..##... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ....##. ##...## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
.#####. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..
"""


def digit_bitmaps() -> np.ndarray:
    """Return pictures of the ten digits, 7 pixels wide and 12 high: (10, 84), ink is 1 and paper -1.

    Examples
    --------
    >>> for row in digit_bitmaps()[1].reshape(12, 7)[:4]:
    ...     print("".join("#" if pixel > 0 else "-" for pixel in row))
    ---##--
    --###--
    -####--
    ---##--
    """
    rows = [line.split() for line in _DIGITS.split("\n") if line]
    digits = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1.0 if pixel == "#" else -1.0 for pixel in digit] for digit in digits], np.float32)
