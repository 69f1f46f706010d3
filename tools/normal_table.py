"""Writes src_c/kernels/normal_table.h: the normal distribution beyond a distance, as polynomials of short stretches.

Usage: python tools/normal_table.py && clang-format -i src_c/kernels/normal_table.h

A polynomial goes through the probability, which erfc gives in double precision, at the Chebyshev nodes of its stretch.
"""

import math
from pathlib import Path

import numpy as np

STEP, STRETCHES, DEGREE = 3 / 16, 32, 6
HEADER = Path(__file__).parents[1] / "src_c" / "kernels" / "normal_table.h"
TEXT = """/* Written by tools/normal_table.py: in row p and column k the coefficient of (a - {step:g} k)^p in the
 * probability, within {error:.1f} * 2^-24 of it, that a normal number is beyond a, |a - {step:g} k| <= {half:g}. */
#define FC_NORMAL_STEP {step:g}f
#define FC_NORMAL_END {end:g}f /* before the end of the last stretch */

static const float fc_normal_table[{powers}][{stretches}] = {{
{rows}
}};
"""


def beyond(a: float) -> float:
    """Return the probability that a normal number is greater than a."""
    return math.erfc(a / math.sqrt(2)) / 2


def stretch(number: int) -> np.ndarray:
    """Return the coefficients of one stretch, (DEGREE + 1,), of rising powers."""
    nodes = np.cos(np.pi * (2 * np.arange(DEGREE + 1) + 1) / (2 * DEGREE + 2))
    values = [beyond(STEP * (number + node / 2)) for node in nodes]
    return np.linalg.solve(np.vander(nodes, increasing=True), values) / (STEP / 2) ** np.arange(DEGREE + 1)


def error(table: np.ndarray) -> float:
    """Return the largest relative error in units of 2^-24, of numbers between 0 and the end of the table."""
    a = np.linspace(0, STEP * (STRETCHES - 0.6), 100_000)
    at = np.rint(a / STEP).astype(int)
    found = np.zeros_like(a)
    for row in table[::-1].astype(np.float64):
        found = found * (a - at * STEP) + row[at]
    return float(np.abs(found / [beyond(each) for each in a] - 1).max() * 2**24)


def number(value: np.float32) -> str:
    """Return a number in C, to the last bit."""
    digits, power = float(value).hex().split("p")
    return f"{digits[:-7]}p{int(power)}f"  # the 13 digits of a double end in 7 zeros


def main() -> None:
    """Write the header."""
    table = np.stack([stretch(each) for each in range(STRETCHES)], axis=1).astype(np.float32)
    rows = []
    for row in table:
        lines = [", ".join(number(value) for value in row[i : i + 6]) for i in range(0, STRETCHES, 6)]
        rows.append("    {" + ",\n     ".join(lines) + "},")
    HEADER.write_text(
        TEXT.format(
            step=STEP,
            half=STEP / 2,
            error=error(table),
            end=STEP * (STRETCHES - 0.6),
            powers=DEGREE + 1,
            stretches=STRETCHES,
            rows="\n".join(rows),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
