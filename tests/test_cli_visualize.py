"""The command ``visualize``."""

import json

import numpy as np
import pytest
from PIL import Image

from fastconv import models
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


@pytest.mark.parametrize("kind", ["architecture", "filters", "features", "field", "cam"])
def test_weights_of_others(kind, photo, tmp_path):
    model = models.create("squeezenet1_1", 3, rng=0)
    models.save(model, tmp_path / "w", classes=["cat", "dog", "bird"], preprocessing=models.Preprocessing(64, 56))
    image = [photo] if kind in ("features", "field", "cam") else []
    out = tmp_path / "a.png"
    outcome = fastconv("visualize", kind, "squeezenet1_1", *image, "--weights", tmp_path / "w", "--out", out)
    assert outcome.status == 0, outcome.err
    assert min(size_of(out)) > 100


def test_trained_weights_see_the_photograph_as_it_was_prepared(photo, tmp_path):
    from fastconv.cli.networks import with_weights

    look = models.Preprocessing(64, 56, (0.0,) * 3, (1.0,) * 3, 255.0, order="BGR")
    model = models.create("resnet20", 3, variant="paper", rng=0)
    models.save(model, tmp_path / "w", classes=["cat", "dog", "bird"], preprocessing=look)
    found = with_weights("resnet20", None, None, photo, tmp_path / "w", None)
    assert found.classes == ["cat", "dog", "bird"]
    assert found.shape == (3, 56, 56)
    assert tuple(found.shown[0, 0]) == (230, 230, 230)
    np.testing.assert_array_equal(found.image[0], found.shown[..., ::-1].transpose(2, 0, 1))
    assert len(np.unique(found.shown)) > 3
    without = with_weights("resnet20", None, (3, 40, 40), None, tmp_path / "w", None)
    assert without.image == without.shape == (3, 40, 40)


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
        (("cam", "resnet20", "a.png", "--weights", "missing"), 1, "no such file: missing"),
        (("filters", "resnet19", "--weights", "missing"), 1, "no network is named 'resnet19', did you mean resnet"),
        (("filters", "resnet20", "--recipe", "squeezenet1_1.keras"), 2, "--recipe is for the FILE of --weights"),
        (("architecture", "squeezenet1_1", "--input", "3x4x4"), 1, "max_pool2d"),
    ],
)
def test_what_goes_wrong(arguments, status, message, tmp_path):
    outcome = fastconv("visualize", *arguments, "--out", tmp_path / "a.png")
    assert outcome.status == status
    assert message in outcome.err
    assert not (tmp_path / "a.png").exists()
