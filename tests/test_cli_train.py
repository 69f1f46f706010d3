"""`fastconv train`: what it leaves, where its text goes, how it ends."""

import gzip
import json
import os
import select
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fastconv.cli import train
from fastconv.data import load_digits
from fastconv.init import skipped
from fastconv.models import create
from fastconv.serialization import load_file, read_metadata
from fastconv.training import History
from tests.cli_helpers import ROOT
from tests.cli_helpers import fastconv as run

FILES = {"model.safetensors", "history.csv", "config.json", "learning_curve.png", "misclassified.png"}
# A shell may start its background jobs, and so the tests, with SIGINT ignored, which a child inherits.
CODE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from fastconv.cli import main; main()"


def start(*arguments, stderr=subprocess.PIPE):
    command = [sys.executable, "-c", CODE, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True)


def test_train_leaves_a_run_folder(tmp_path):
    folder = tmp_path / "run"
    outcome = run("train", "lenet5", "--limit", 300, "--epochs", 3, "--batch-size", 20, "--out", folder)
    assert outcome.status == 0, outcome.err
    assert {path.name for path in folder.iterdir()} == FILES
    for name in ("learning_curve.png", "misclassified.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    history = History.load(folder / "history.csv")
    assert [record.epoch for record in history] == [1, 2, 3]
    assert f"Test accuracy {100 * history[-1].test_accuracy:.2f} % " in outcome.out
    assert f"Run folder: {folder}" in outcome.out
    assert "Confusion matrix" in outcome.out
    lines = outcome.err.splitlines()
    assert lines[0] == f"training lenet5, 61,706 parameters, on 300 images of digits; run: {folder}"
    assert [line.split()[:2] for line in lines[1:4]] == [["epoch", f"{epoch}/3"] for epoch in (1, 2, 3)]
    assert "img/s" in lines[1]
    metadata = read_metadata(folder / "model.safetensors")
    assert {key: json.loads(metadata[key]) for key in ("model", "variant", "data", "epoch")} == {
        "model": "lenet5",
        "variant": "modern",
        "data": "digits",
        "epoch": 3,
    }
    settings = json.loads((folder / "config.json").read_text())["settings"]
    assert settings["batch_size"] == 20
    assert settings["seed"] == 0


def test_json_is_all_there_is_on_stdout(tmp_path):
    outcome = run(
        "train", "lenet5", "--limit", 64, "--epochs", 1, "--out", tmp_path / "r", "--json", "--variant", "classic"
    )
    found = json.loads(outcome.out)
    assert found["test"]["images"] == 64
    assert found["epochs"] == 1
    assert np.sum(found["confusion_matrix"]) == 64
    assert found["files"]["weights"] == str(tmp_path / "r" / "model.safetensors")


def test_a_seed_gives_the_same_weights(tmp_path):
    def weights(name, *options):
        assert run("train", "lenet5", "--limit", 100, "--epochs", 2, "--out", tmp_path / name, *options).status == 0
        return load_file(tmp_path / name / "model.safetensors")["classifier.5.weight"]

    first = weights("a", "--seed", 1)
    np.testing.assert_array_equal(first, weights("b", "--seed", 1, "--threads", 1))
    assert (first != weights("c", "--seed", 2)).any()
    assert (first != weights("d", "--seed", 1, "--no-augment")).any()


def test_an_existing_run_is_kept(tmp_path):
    options = ("train", "lenet5", "--limit", 64, "--epochs", 1, "--out", tmp_path)
    assert run(*options).status == 0
    before = (tmp_path / "model.safetensors").read_bytes()
    outcome = run(*options, "--seed", 5)
    assert outcome.status == 1
    assert "exists and is not empty" in outcome.err
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert run(*options, "--seed", 5, "--force").status == 0
    assert (tmp_path / "model.safetensors").read_bytes() != before


def test_a_wild_learning_rate_ends_with_the_step_named(tmp_path):
    outcome = run("train", "lenet5", "--limit", 640, "--lr", 1e6, "--out", tmp_path)
    assert outcome.status == 1
    error = outcome.err.splitlines()[-1]
    assert error.startswith("fastconv: error: fit: the loss is ")
    assert "(epoch 1, batch " in error
    assert "no epoch was finished" in error
    assert {path.name for path in tmp_path.iterdir()} == {"last_good_step.safetensors"}
    assert all(np.isfinite(array).all() for array in load_file(tmp_path / "last_good_step.safetensors").values())


def test_ctrl_c_leaves_the_last_finished_epoch(tmp_path):
    folder = tmp_path / "run"
    process = start("train", "lenet5", "--limit", 320, "--epochs", 10_000, "--out", folder)
    for line in process.stderr:
        if line.startswith("epoch     3/"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    epoch = json.loads(read_metadata(folder / "model.safetensors")["epoch"])
    assert epoch >= 3
    last = err.splitlines()[-1]
    weights = folder / "model.safetensors"
    assert last == f"fastconv: interrupted; the weights of epoch {epoch}, the last finished, are in {weights}"
    assert "Traceback" not in err
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "history.csv", "config.json"}
    assert run("evaluate", folder, "--limit", 10).status == 0


def test_ctrl_c_in_the_first_epoch_leaves_nothing(tmp_path):
    process = start("train", "lenet5", "--batch-size", 1, "--out", tmp_path / "run")
    assert process.stderr.readline().startswith("training lenet5")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "fastconv: interrupted; no epoch was finished"
    assert not (tmp_path / "run").exists()


def test_on_a_terminal_progress_is_live_and_stdout_stays_clean(tmp_path):
    ours, theirs = os.openpty()
    process = start(
        "train", "lenet5", "--limit", 2000, "--epochs", 3, "--out", tmp_path / "run", "--json", stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    found = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 0
    assert found["epochs"] == 3
    text = seen.decode()
    for word in ("epoch 1/3", "loss ", "acc ", "img/s", " left", "test accuracy"):
        assert word in text
    assert "\x1b[" in text


def idx(array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_other_data_sets(tmp_path, name):
    digits = load_digits("test")
    for split in ("train", "t10k"):
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(idx(digits.images[:200]))
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(idx(digits.labels[:200]))
    folder = tmp_path / "run"
    outcome = run("train", "lenet5", "--data", name, "--root", tmp_path, "--epochs", 1, "--out", folder)
    assert outcome.status == 0, outcome.err
    assert ("9 Ankle boot" in outcome.out) == (name == "fashion-mnist")
    assert max(map(len, outcome.out.splitlines()[:15])) <= 80
    outcome = run("evaluate", folder)  # finds the files where they were
    assert outcome.status == 0, outcome.err
    assert f"200 test images of {name}" in outcome.err
    outcome = run("evaluate", folder, "--data", "digits", "--json")
    assert outcome.status == (1 if name == "fashion-mnist" else 0)


def test_defaults_are_those_of_the_documentation():
    assert train.RECIPES["lenet5"] == (20, 64, 0.05, 2e-3, 0.05, True)
    assert train.Recipe() == (3, 64, 0.1, 5e-4, 0.0, False)
    texts = {option.name: option.help for option in train.command.__click_params__ if option.name != "model"}
    assert "20 for lenet5, else 3" in texts["epochs"]
    assert "0.05 for lenet5, else 0.1" in texts["lr"]


def test_other_networks_are_trained_by_their_recipe(tmp_path):
    outcome = run("train", "resnet20", "--limit", 32, "--epochs", 1, "--out", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    assert "training resnet20, 269,434 parameters, on 32 images of digits" in outcome.err
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert {name: settings[name] for name in train.Recipe._fields} == {**train.Recipe()._asdict(), "epochs": 1}
    again = run("evaluate", tmp_path / "run", "--limit", 32, "--json")
    assert again.status == 0, again.err
    last = History.load(tmp_path / "run" / "history.csv")[-1]
    assert json.loads(again.out)["test"]["accuracy"] == pytest.approx(last.test_accuracy)


def test_images_are_enlarged_for_networks_that_want_them_larger(tmp_path):
    folder = tmp_path / "run"
    outcome = run("train", "lenet5", "--variant", "1998", "--limit", 100, "--epochs", 1, "--out", folder)
    assert outcome.status == 0, outcome.err
    assert "60,000 parameters, on 100 images of digits made 32 x 32; run:" in outcome.err
    assert json.loads(read_metadata(folder / "model.safetensors")["size"]) == 32
    outcome = run("evaluate", folder, "--limit", 100, "--json")
    assert outcome.status == 0, outcome.err
    last = History.load(folder / "history.csv")[-1]
    assert json.loads(outcome.out)["test"]["accuracy"] == pytest.approx(last.test_accuracy)
    Image.fromarray(load_digits("test").images[0]).save(tmp_path / "digit.png")
    assert run("predict", folder, tmp_path / "digit.png").status == 0
    outcome = run("visualize", "cam", folder, tmp_path / "digit.png", "--out", tmp_path / "cam.png")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    ("name", "variant", "side"),
    [("resnet20", None, None), ("vgg11", None, 32), ("alexnet", None, 64), ("alexnet", "paper", 227)],
)
def test_the_smallest_images_that_a_network_learns_from(name, variant, side):
    with skipped():
        assert train._side(create(name, 10, variant=variant, in_channels=1)) == side


def test_networks_that_label_pixels_are_no_choice():
    outcome = run("train", "unet")
    assert outcome.status == 2
    assert outcome.err.startswith("Usage: fastconv train [OPTIONS] MODEL\n")
