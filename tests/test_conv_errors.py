"""What conv2d refuses, and how it says so."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import functional as F
from fastconv.errors import ShapeError

ERRORS = [
    ({"input": (3, 5)}, ShapeError, "input must be"),
    ({"input": (1, 4, 5, 5)}, ShapeError, "takes 3 input channels .* has 4"),
    ({"input": (1, 0, 5, 5)}, ShapeError, "at least 1"),
    ({"input": (1, 3, 0, 5)}, ShapeError, "at least 1"),
    ({"weight": (4, 3, 3)}, ShapeError, "weight must be"),
    ({"weight": (0, 3, 3, 3)}, ShapeError, "weight must be"),
    ({"weight": (4, 3, 7, 3)}, ShapeError, "spans 7x3 pixels"),
    ({"bias": (5,)}, ShapeError, "bias must have shape"),
    ({"bias": (4, 1)}, ShapeError, "bias must have shape"),
    ({"stride": 0}, ShapeError, "stride must be"),
    ({"stride": -1}, ShapeError, "stride must be"),
    ({"stride": (1, 2, 3)}, ShapeError, "stride must be"),
    ({"stride": 1.0}, TypeError, "stride must be"),
    ({"stride": True}, TypeError, "stride must be"),
    ({"stride": (1, 1.0)}, TypeError, "stride must be"),
    ({"stride": float("nan")}, TypeError, "stride must be"),
    ({"stride": "1"}, TypeError, "stride must be"),
    ({"stride": 2**31}, ShapeError, "stride must be at most"),
    ({"padding": -1}, ShapeError, "padding must be"),
    ({"padding": 2**62}, ShapeError, "padding must be at most"),
    ({"padding": 2**31 - 1}, ShapeError, "arrays of more than"),
    ({"dilation": 0}, ShapeError, "dilation must be"),
    ({"dilation": 2**31 - 1}, ShapeError, "spans"),
    ({"dilation": 2**63}, ShapeError, "dilation must be at most"),
    ({"groups": 0}, ShapeError, "groups must be"),
    ({"groups": 3}, ShapeError, "groups must divide"),
    ({"groups": 2.0}, TypeError, "groups must be"),
    ({"algorithm": "fastest"}, ValueError, "algorithm must be one of"),
]


@pytest.mark.parametrize(("change", "error", "message"), ERRORS)
def test_errors(change, error, message):
    shapes = {"input": (1, 3, 5, 5), "weight": (4, 3, 3, 3), "bias": (4,)}
    arrays = {name: np.ones(change.get(name, shape), np.float32) for name, shape in shapes.items()}
    options = {name: value for name, value in change.items() if name not in shapes}
    with pytest.raises(error, match="conv2d: .*" + message):
        F.conv2d(**arrays, **options)


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, np.int64, object])
def test_dtypes_that_are_refused(dtype):
    with pytest.raises(TypeError, match="conv2d: input"):
        F.conv2d(np.ones((1, 1, 3, 3), dtype), np.ones((1, 1, 3, 3), np.float32))


def test_mixed_dtypes_are_refused():
    x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3), np.float32)
    with pytest.raises(TypeError, match="input is float64 but weight is float32"):
        F.conv2d(x, w)
    with pytest.raises(TypeError, match="bias is float64 but weight is float32"):
        F.conv2d(x.astype(np.float32), w, np.ones(1))
