"""Fixtures for pytest. Put `pytest_plugins = ["handrail.testing.fixtures"]` in conftest.py.

They work with any plugin that runs async tests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from handrail.runtime import EmbeddedServer, Fleet
from handrail.testing.outside import Outside
from handrail.testing.stage import Stage, running, server, serving

RunFleet = Callable[..., contextlib.AbstractAsyncContextManager[Stage]]


@pytest.fixture(scope="session")
def handrail_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedServer]:
    """The real server, once for all tests of a process."""
    with serving(server(tmp_path_factory.mktemp("server"))) as started:
        yield started


@pytest.fixture
def outside(tmp_path: Path) -> Generator[Outside]:
    """An outside world, installed for the steps of this test."""
    with Outside(tmp_path / "outside.db").installed() as world:
        yield world


@pytest.fixture
def run_fleet(handrail_server: EmbeddedServer, tmp_path: Path) -> RunFleet:
    """What runs a fleet for this test, as `running` does; its directory may be left out."""

    def run(
        fleet: Fleet, directory: Path = tmp_path, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Stage]:
        return running(fleet, handrail_server, directory, **options)

    return run
