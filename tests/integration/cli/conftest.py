"""What all tests of the command line share."""

from collections.abc import Iterator

import pytest

from tests.integration.cli.cli_tools import FORKS


@pytest.fixture(scope="module", autouse=True)
def forks_of_this_file() -> Iterator[None]:
    """What forks commands lives as long as one file, so that no other can do it any harm."""
    yield
    FORKS.end()
