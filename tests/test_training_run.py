"""What a training leaves on disk: checkpoints, histories, run folders."""

import json

import numpy as np
import pytest

from fastconv.errors import DataError, ShapeError
from fastconv.models import lenet5
from fastconv.serialization import load_file, read_metadata, save_file
from fastconv.training import Checkpoint, EpochRecord, History, Run

DIGITS = list("0123456789")


def checkpoint(seed=0, **options):
    return Checkpoint(
        lenet5(rng=seed),
        **{
            "name": "lenet5",
            "variant": "modern",
            "classes": DIGITS,
            "mean": 0.13,
            "std": 0.31,
            "data": "digits",
            **options,
        },
    )


def record(epoch):
    return EpochRecord(epoch, 0.5, 0.8, 0.4, 0.9, 0.01, 2e4, 0.4)


def test_a_checkpoint_round_trips(tmp_path):
    path = tmp_path / "m.safetensors"
    source = checkpoint(epoch=3)
    source.save(path)
    found = Checkpoint.load(path)
    assert (found.name, found.variant, found.classes, found.mean, found.std, found.data, found.epoch) == (
        "lenet5",
        "modern",
        DIGITS,
        0.13,
        0.31,
        "digits",
        3,
    )
    images = np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(found.probabilities(images), source.probabilities(images))
    np.testing.assert_allclose(found.probabilities(images).sum(1), 1, rtol=1e-5)
    assert not found.model.training


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", '"os.system"'),
        ("model", "[]"),
        ("variant", "3"),
        ("variant", '"other"'),
        ("classes", "[]"),
        ("classes", '"0123456789"'),
        ("classes", '["a", "a", "c", "d", "e", "f", "g", "h", "i", "j"]'),
        ("classes", '["\\u001b[2J", "1", "2", "3", "4", "5", "6", "7", "8", "9"]'),
        ("mean", "NaN"),
        ("mean", "true"),
        ("std", "0"),
        ("std", "Infinity"),
        ("std", "1" * 5000),
        ("epoch", "-1"),
        ("epoch", "1.5"),
        ("data", "null"),
        ("data", "not json"),
        ("data", "[" * 100_000),
        ("data", None),
    ],
)
def test_false_metadata_is_refused(tmp_path, key, value):
    path = tmp_path / "m"
    checkpoint().save(path)
    metadata = {**read_metadata(path), key: value}
    if value is None:
        del metadata[key]
    save_file(load_file(path), path, metadata)
    with pytest.raises(DataError, match=r"Checkpoint\.load: .*m"):
        Checkpoint.load(path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "m"
    checkpoint().save(path)
    metadata = read_metadata(path)
    save_file(load_file(path), path, {**metadata, "classes": '["a", "b"]'})
    with pytest.raises(ShapeError, match=r"classifier\.5\.weight"):
        Checkpoint.load(path)
    save_file({"x": np.zeros(1)}, path, metadata)
    with pytest.raises(DataError, match="another network"):
        Checkpoint.load(path)


def test_history_round_trips(tmp_path):
    history = History([record(1), EpochRecord(2, 0.25, 1.0, np.nan, np.nan, 1e-7, 3e4, 0.3)])
    history.save(tmp_path / "h.csv")
    found = History.load(tmp_path / "h.csv")
    assert found[0] == history[0]
    assert np.isnan(found[1].test_loss)
    assert found[1].learning_rate == 1e-7
    assert (tmp_path / "h.csv").read_text().splitlines()[1] == "1,0.5,0.8,0.4,0.9,0.01,20000,0.4"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "epoch,train_loss\n1\n", "epoch\nx\n", "\x00", "\udcff"])
def test_what_is_no_history_is_refused(tmp_path, text):
    (tmp_path / "h.csv").write_bytes(text.encode(errors="surrogateescape"))
    if text == "\x00":
        assert len(History.load(tmp_path / "h.csv")) == 0
        return
    with pytest.raises(DataError, match="not a training history"):
        History.load(tmp_path / "h.csv")


def test_default_folders_never_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [Run.create(name="lenet5").folder for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() and folder.parent.name == "runs" for folder in folders)
    assert folders[0].name.startswith("lenet5-20")


def test_a_folder_with_something_in_it_needs_force(tmp_path):
    folder = tmp_path / "a" / "b"
    assert Run.create(folder).folder == folder
    assert Run.create(folder).folder == folder  # still empty
    (folder / "note").write_text("mine")
    with pytest.raises(FileExistsError, match=r"not empty.*--force"):
        Run.create(folder)
    Run.create(folder, force=True)
    assert (folder / "note").read_text() == "mine"
    with pytest.raises(FileExistsError, match="not a folder"):
        Run.create(folder / "note", force=True)


def test_saving_replaces_an_old_run_only_when_an_epoch_is_done(tmp_path):
    run = Run.create(tmp_path / "r")
    run.learning_curve.write_bytes(b"old")
    Run.create(tmp_path / "r", force=True)
    assert run.learning_curve.exists()
    run.save(checkpoint(epoch=1), History([record(1)]), {"seed": 1})
    assert not run.learning_curve.exists()
    assert run.read_config() == {"seed": 1}
    run.misclassified.write_bytes(b"new")
    run.save(checkpoint(epoch=2), History([record(1), record(2)]), {"seed": 1})
    assert run.misclassified.exists()
    assert len(History.load(run.history)) == Checkpoint.load(run.weights).epoch == 2
    assert {path.name for path in run.folder.iterdir()} == {
        "model.safetensors",
        "history.csv",
        "config.json",
        "misclassified.png",
    }


def test_open_finds_a_run_by_folder_or_weights(tmp_path):
    run = Run.create(tmp_path / "r")
    with pytest.raises(FileNotFoundError, match=r"holds no run: model\.safetensors is missing"):
        Run.open(run.folder)
    checkpoint().save(run.weights)
    assert Run.open(run.folder) == Run.open(run.weights) == run
    for path in (tmp_path / "nothing", __file__):
        with pytest.raises(FileNotFoundError, match="no such run"):
            Run.open(path)


def test_config_must_be_an_object(tmp_path):
    run = Run.create(tmp_path)
    assert run.read_config() == {}
    for text, message in (("{", "not JSON"), ("[]", "must hold a JSON object, got list"), ("\x00", "not JSON")):
        run.config.write_text(text)
        with pytest.raises(DataError, match=message):
            run.read_config()
    run.config.write_text(json.dumps({"a": 1}))
    assert run.read_config() == {"a": 1}


def test_only_an_empty_folder_is_discarded(tmp_path):
    run = Run.create(tmp_path / "r")
    run.config.write_text("{}")
    run.discard_if_empty()
    assert run.folder.exists()
    run.config.unlink()
    run.discard_if_empty()
    assert not run.folder.exists()
