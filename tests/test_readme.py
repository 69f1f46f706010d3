"""The README says what is true: its code runs, its commands are what CI runs, its links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import fastconv.data

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_trains_a_network():
    network, check = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in network.splitlines() if line]) == 10
    names: dict[str, object] = {}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(network, names)
        exec(check, names)
    accuracy, digits = re.fullmatch(r"(.*)% of (\d+) digits are right\n", output.getvalue()).groups()
    assert float(accuracy) > 90
    assert int(digits) == len(fastconv.data.load_digits("test"))


def test_ci_runs_the_command_for_tests():
    command = 'pip install -e ".[test]" && pytest'
    assert f"\n    {command}\n" in README
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_main_command_is_there():
    assert '\n    pip install ".[cli]" && fastconv train lenet5\n' in README


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/extending.md", "CHANGELOG.md"]
)
def test_links_lead_somewhere(document: str):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / document).parent / target).exists(), target
