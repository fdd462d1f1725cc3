"""Fixtures of tests without a server."""

from collections.abc import AsyncGenerator

import pytest

from handrail import Ledger


@pytest.fixture
async def ledger(url: str) -> AsyncGenerator[Ledger]:
    """An empty ledger, on each kind of database."""
    async with Ledger(url) as opened:
        yield opened
