"""The command ``visualize``."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.cli_helpers import fastconv, trained  # noqa: F401


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A file with a dark bar on light paper, in colour."""
    pixels = np.full((90, 120, 3), 230, np.uint8)
    pixels[20:70, 55:65] = (10, 20, 60)
    path = tmp_path_factory.mktemp("photos") / "bar.png"
    Image.fromarray(pixels).save(path)
    return path


def size_of(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


@pytest.mark.parametrize(
    "arguments",
    [
        ("architecture", "resnet20"),
        ("architecture", "inception_v3", "--depth", 1),
        ("filters", "resnet20", "--limit", 4),
        ("field", "resnet20", "--layer", "layer2"),
    ],
)
def test_networks_by_name(arguments, tmp_path):
    outcome = fastconv("visualize", *arguments, "--out", tmp_path / "a.png")
    assert outcome.status == 0, outcome.err
    assert outcome.out.strip() == str(tmp_path / "a.png")
    assert min(size_of(tmp_path / "a.png")) > 100


@pytest.mark.parametrize("kind", ["features", "field", "cam"])
@pytest.mark.parametrize("network", ["resnet20", "run"])
def test_images(kind, network, photo, trained, tmp_path):  # noqa: F811
    network = trained if network == "run" else network
    outcome = fastconv("visualize", kind, network, photo, "--out", tmp_path / "a.png", "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out) == {"kind": kind, "network": str(network), "file": str(tmp_path / "a.png")}
    assert min(size_of(tmp_path / "a.png")) > 100


def test_the_file_is_named_after_what_it_shows(trained, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    assert fastconv("visualize", "filters", trained).out.strip() == f"filters-{trained.name}.png"
    assert size_of(tmp_path / f"filters-{trained.name}.png")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("filters", "resnet19"), 1, "no network is named 'resnet19', did you mean resnet"),
        (("features", "resnet20"), 2, "visualize features needs an IMAGE"),
        (("colours", "resnet20"), 2, "Invalid value for '{architecture|"),
        (("filters", "resnet20", "--layer", "fc"), 1, "'fc' is no Conv2d of this network"),
        (("field", "resnet20", "--layer", "nose"), 1, "no layer 'nose' was called"),
        (("cam", "resnet20", "missing.png"), 1, "missing.png"),
        (("architecture", "squeezenet1_1", "--input", "3x4x4"), 1, "max_pool2d"),
    ],
)
def test_what_goes_wrong(arguments, status, message, tmp_path):
    outcome = fastconv("visualize", *arguments, "--out", tmp_path / "a.png")
    assert outcome.status == status
    assert message in outcome.err
    assert not (tmp_path / "a.png").exists()
