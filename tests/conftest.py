"""Fixtures that all tests may use."""

from collections.abc import Iterator

import pytest

from tests import helpers


@pytest.fixture(params=helpers.ISAS)
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once on every instruction set."""
    with helpers.isa(request.param):
        yield request.param
