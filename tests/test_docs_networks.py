"""The pages of networks say what the networks are."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastconv import models
from tools.network_tables import PAGES, PICTURE, TABLE, filled, row

ROOT = Path(__file__).parents[1]
TEXTS = {page.stem: page.read_text(encoding="utf-8") for page in PAGES.glob("*.md")}


def entries():
    """What tables name, with their lines."""
    for text in TEXTS.values():
        for found in TABLE.finditer(text):
            lines = found[0].splitlines(keepends=True)[3:]
            yield from zip(found["names"].split(), lines, strict=True)


ROWS = {entry: line for entry, line in entries() if re.split("[:@]", entry)[0] in models.names()}


SMALL = [entry for entry, line in ROWS.items() if int(line.split("|")[4].replace(",", "")) < 15_000_000]  # quick


@pytest.mark.parametrize("entry", SMALL)
def test_tables_are_what_summaries_say(entry):
    assert ROWS[entry] == row(entry)


def test_every_network_has_its_line():
    missing = set(models.names()) - {re.split("[:@]", entry)[0] for entry in ROWS}
    assert {name.removesuffix("_bn") for name in missing} <= set(models.names()) - missing


def test_tables_are_written_into_pages():
    text = "before\n<!-- networks: lenet5 -->\n| old |\n| older |\n\nafter\n"
    again = filled(text)
    assert again == filled(again)
    assert "| `lenet5` | modern | 1 x 28 x 28 | 61,706 |" in again
    assert "old" not in again
    assert again.endswith("|\n\nafter\n")


def test_every_page_has_a_drawing():
    for name, text in TEXTS.items():
        drawn = [found["entry"].partition(":")[0] for found in PICTURE.finditer(text)]
        assert set(drawn) <= set(models.names()), name
        assert bool(drawn) == (name != "README"), name


def test_links_and_commands_exist():
    for name, text in TEXTS.items():
        for link in re.findall(r"\]\(([^)h][^)]*)\)", text):
            assert (PAGES / link).exists(), (name, link)
        for command in re.findall(r"^    fastconv (?:summary|visualize architecture) (\S+)", text, re.MULTILINE):
            assert re.fullmatch(r"\w+", command), (name, command)


def test_residual_against_plain_runs(tmp_path):
    from fastconv.data import load_digits
    from tests.test_cli_train import idx

    digits = load_digits("test")[:8]
    for split in ("train", "t10k"):
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(idx(digits.images))
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(idx(digits.labels))
    script = ROOT / "examples" / "residual_against_plain.py"
    command = [sys.executable, script, "--root", tmp_path, "--depth", "20", "--epochs", "1", "--out", tmp_path / "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert "training loss at the end: residual " in done.stdout
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3
