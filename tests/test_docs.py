"""The pages under docs/ whose code is meant to be typed in do what they say."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", ["extending.md"])
def test_the_code_of_a_page(page):
    result = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")
    assert result.attempted > 10
    assert result.failed == 0
