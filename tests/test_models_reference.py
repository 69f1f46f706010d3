"""The networks against torchvision's and timm's: keys and shapes, numbers of parameters, outputs.

`data/networks.json` was made with torchvision 0.29.1 and timm 1.0.31 under PyTorch 2.13, with the weights of
`tests/networks.py`: a CRC of all keys and shapes in order, and the scores of one image.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import init, models, no_grad
from tests.networks import filled, fingerprint, image

REFERENCE = json.loads((Path(__file__).parent / "data" / "networks.json").read_text())
NAMES = [name for name in REFERENCE if name in models.names()]
# One of each kind of block, and not all of the large ones: their weights take seconds to draw.
RUN = [
    name
    for name in NAMES
    if REFERENCE[name]["parameters"] < 30e6 and name not in ("resnet34", "densenet161", "densenet169", "densenet201")
]


@pytest.mark.parametrize("name", NAMES)
def test_keys_shapes_and_numbers_of_parameters(name):
    with init.skipped():
        model = models.create(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == REFERENCE[name]["parameters"]
    assert fingerprint(model.state_dict()) == REFERENCE[name]["state_dict"]
    assert models.input_shape(name) == tuple(REFERENCE[name]["input"])


@pytest.mark.parametrize("name", [*RUN, "vgg13_bn", "inception_v4"])
def test_scores(name):
    expected = REFERENCE[name]
    with init.skipped():
        model = models.create(name).eval()
    model.load_state_dict(filled(model.state_dict()))
    with no_grad():
        scores = model(image((1, *expected["input"]))).numpy()[0]
    limit = 1e-4 * expected["std"]
    np.testing.assert_allclose(scores[:8], expected["first8"], rtol=0, atol=limit)
    assert abs(scores.mean() - expected["mean"]) < limit
    assert abs(scores.std() - expected["std"]) < limit
    assert scores.argmax() == expected["argmax"]
