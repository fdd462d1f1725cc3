"""What all tests of the command line share."""

from collections.abc import Iterator

import pytest

from tests.integration.cli.cli_tools import FORKS


@pytest.fixture(scope="session", autouse=True)
def forks_of_this_process() -> Iterator[None]:
    """What forks commands imports for two seconds: it lives as long as this process."""
    yield
    FORKS.end()
