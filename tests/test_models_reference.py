"""The networks against torchvision's and timm's: keys and shapes, numbers of parameters, outputs.

`data/networks.json` was made with torchvision 0.29.1 and timm 1.0.31 under PyTorch 2.13, with the weights of
`tests/networks.py`: a CRC of all keys and shapes in order, and the scores of one image.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import init, models, no_grad
from fastconv.layers import BatchNorm2d
from tests.networks import filled, fingerprint, image

REFERENCE = json.loads((Path(__file__).parent / "data" / "networks.json").read_text())
NAMES = [name for name in REFERENCE if name in models.names()]
# One of each kind of block, and not all of the large ones: their weights take seconds to draw.
RUN = [
    name
    for name in NAMES
    if REFERENCE[name]["parameters"] < 30e6 and name not in ("resnet34", "densenet161", "densenet169", "densenet201")
]


def test_all_of_them_are_here():
    assert set(NAMES) == set(REFERENCE)


@pytest.mark.parametrize("name", NAMES)
def test_keys_shapes_and_numbers_of_parameters(name):
    with init.skipped():
        model = models.create(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == REFERENCE[name]["parameters"]
    assert fingerprint(model.state_dict()) == REFERENCE[name]["state_dict"]
    assert models.input_shape(name) == tuple(REFERENCE[name]["input"])


@pytest.mark.parametrize("name", [*RUN, "alexnet", "vgg13_bn", "inception_v4"])
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


@pytest.mark.parametrize("name", models.names())
def test_batch_norms_are_the_published_ones(name):
    with init.skipped():
        found = {(m.eps, m.momentum) for m in models.create(name).modules() if isinstance(m, BatchNorm2d)}
    if name.startswith("mobilenet_v3"):
        assert found == {(1e-3, 0.01)}
    else:
        assert found <= {(1e-3 if name.startswith(("googlenet", "inception")) else 1e-5, 0.1)}


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("alexnet", {"variant": "paper"}, 60_965_224),
        ("alexnet", {"variant": "textbook"}, 46_764_746),
        ("zfnet", {}, 62_357_608),
        ("vgg16_c", {}, 133_638_952),
        ("googlenet", {"aux_logits": False}, 6_624_904),
        ("googlenet", {"variant": "paper"}, 13_378_280),
        ("googlenet", {"variant": "paper", "aux_logits": False}, 6_998_552),
        ("inception_v2", {}, 11_194_984),
        ("inception_v3", {"aux_logits": False}, 23_834_568),
        ("inception_resnet_v1", {}, 22_756_328),
        ("resnet50", {"variant": "paper"}, 25_557_032),
        ("resnet20", {}, 269_722),
        ("resnet32", {}, 464_154),
        ("resnet44", {}, 658_586),
        ("resnet56", {}, 853_018),
        ("resnet110", {}, 1_727_962),
        ("plain20", {}, 269_722),
        ("plain18", {}, 11_515_688),
        ("densenet264", {}, 33_337_704),
        ("densenet_bc_100_12", {}, 769_162),
        ("densenet_bc_16_24", {}, 172_906),
    ],
)
def test_papers_numbers_of_parameters(name, options, parameters):
    with init.skipped():
        model = models.create(name, **options)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
