"""`fastconv predict`: image files in, classes with probabilities out."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from fastconv import models
from fastconv.data import load_digits
from tests.cli_helpers import fastconv as run
from tests.cli_helpers import trained  # noqa: F401

DIGITS = load_digits("test")[:30]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Thirty digits as dark drawings on a light, larger sheet."""
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for number, digit in enumerate(DIGITS.images):
        drawing = Image.new("RGB", (300, 400), (250, 245, 230))
        ink = Image.fromarray(digit).resize((250, 250), Image.Resampling.BICUBIC)
        drawing.paste((20, 30, 90), (30, 120), ink)
        paths.append(folder / f"{number}.png")
        drawing.save(paths[-1])
    return paths


def test_drawings_are_recognised(trained, images):  # noqa: F811
    outcome = run("predict", trained, *images, "--json")
    assert outcome.status == 0, outcome.err
    predictions = json.loads(outcome.out)["predictions"]
    assert [prediction["image"] for prediction in predictions] == list(map(str, images))
    right = [p["class"] == str(label) for p, label in zip(predictions, DIGITS.labels, strict=True)]
    assert sum(right) >= 26
    for prediction in predictions:
        shares = prediction["probabilities"]
        assert list(shares) == list("0123456789")
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert prediction["probability"] == max(shares.values()) == shares[prediction["class"]]
        assert "inverted it, because its background is light" in prediction["steps"]


def test_text_has_the_best_classes_and_stderr_what_was_done(trained, images):  # noqa: F811
    outcome = run("predict", trained, images[0], "--top", 3)
    assert outcome.status == 0
    name, *rows = outcome.out.splitlines()
    assert name.strip() == str(images[0])
    assert len(rows) == 3
    shares = [float(row.split()[1]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert outcome.err.startswith(f"{images[0]}: read 300 x 400 PNG, mode RGB; made it grey; inverted it")
    assert outcome.err.count("\n") == 1


def test_digits_of_the_data_set_give_what_evaluate_gives(trained, tmp_path):  # noqa: F811
    paths = [tmp_path / f"{number}.png" for number in range(30)]
    for path, digit in zip(paths, DIGITS.images, strict=True):
        Image.fromarray(digit).save(path)
    predictions = json.loads(run("predict", trained, *paths, "--json").out)["predictions"]
    right = sum(p["class"] == str(label) for p, label in zip(predictions, DIGITS.labels, strict=True))
    assert right == json.loads(run("evaluate", trained, "--limit", 30, "--json").out)["test"]["correct"]


def test_bad_images_do_not_stop_the_good_ones(trained, images, tmp_path):  # noqa: F811
    (tmp_path / "text.png").write_text("no image")
    bad = [tmp_path / "text.png", tmp_path / "missing.png", tmp_path]
    outcome = run("predict", trained, bad[0], images[0], *bad[1:])
    assert outcome.status == 1
    assert str(images[0]) in outcome.out
    errors = [line for line in outcome.err.splitlines() if line.startswith("fastconv: error: ")]
    assert len(errors) == 3
    assert all(str(path) in error for path, error in zip(bad, errors, strict=True))
    predictions = json.loads(run("predict", trained, bad[0], images[0], "--json").out)["predictions"]
    assert "not an image" in predictions[0]["error"]
    assert "class" in predictions[1]


def test_names_are_printed_as_they_are(trained, tmp_path):  # noqa: F811
    path = tmp_path / "[red]x[red].png"
    Image.fromarray(DIGITS.images[0]).save(path)
    outcome = run("predict", trained, path)
    assert outcome.status == 0
    assert "[red]x[red].png" in outcome.out.replace("\n", "")


def test_weights_of_others(tmp_path):
    photo = tmp_path / "photo.jpg"
    Image.effect_noise((300, 200), 90).convert("RGB").save(photo)
    model = models.create("squeezenet1_1", rng=0)
    weights = tmp_path / "w.safetensors"
    models.save(model, weights)
    outcome = run("predict", "--weights", weights, photo)
    assert outcome.status == 0, outcome.err
    rows = outcome.out.splitlines()[1:]
    expected = models.load(weights).predict(np.asarray(Image.open(photo)))
    assert [row.split("  ")[0].strip() for row in rows] == [name for name, _ in expected]
    assert outcome.err == f"{photo}: read 300 x 200 JPEG, mode RGB; resized and cropped to 224 x 224, normalised\n"
    found = json.loads(run("predict", "--weights", weights, photo, "--json", "--top", 2).out)
    assert found["weights"] == str(weights)
    assert found["predictions"][0]["probabilities"] == pytest.approx(dict(expected[:2]), abs=1e-6)
    (tmp_path / "w.pth").write_bytes(pickle.dumps({k: v.numpy() for k, v in model.state_dict().items()}, 2))
    same = run("predict", "--model", "squeezenet1_1", "--weights", tmp_path / "w.pth", photo)
    assert same.out == outcome.out


def test_weights_that_cannot_be_used(tmp_path):
    (tmp_path / "w").write_bytes(pickle.dumps(Image.open, 2))
    outcome = run("predict", "--model", "resnet50", "--weights", tmp_path / "w", tmp_path / "photo.jpg")
    assert outcome.status == 1
    assert "it names 'PIL.Image.open', and only arrays" in outcome.err
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")
    (tmp_path / "w").write_bytes(pickle.dumps({f"odd.{i}": np.zeros(1) for i in range(99)}, 2))
    outcome = run("predict", "--model", "resnet50", "--weights", tmp_path / "w", tmp_path / "photo.jpg")
    assert outcome.status == 1
    assert "does not fit ResNet: missing: conv1.weight, " in outcome.err
    assert outcome.err.endswith(" ... (--debug shows all)\n")
    assert len(outcome.err) < 700
    outcome = run("predict", tmp_path / "photo.jpg")
    assert outcome.status == 2
    assert "give a RUN and an IMAGE, or --weights and an IMAGE." in outcome.err
