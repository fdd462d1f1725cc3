"""The list of what waits while the Temporal server does not answer: stopped for real."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from handrail.inbox.web.tokens import page_link
from handrail.runtime import EmbeddedServer
from handrail.testing import Outside, eventually, free_ports
from tests.integration.inbox.conftest import ANA, inboxes

pytestmark = pytest.mark.integration

AWAY = "the server does not answer"


@contextmanager
def stopped(server: EmbeddedServer) -> Generator[None]:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_the_list_that_is_kept_is_shown_and_says_of_when_it_is(
    tmp_path: Path, outside: Outside
) -> None:
    port, ui_port = free_ports()
    async with (
        EmbeddedServer(tmp_path / "server", port=port, ui_port=ui_port) as server,
        inboxes(server, tmp_path)() as inbox,
        inbox.visitor(ANA) as ana,
    ):
        ana.http.timeout = httpx2.Timeout(30)
        case = await inbox.ask("R-1")
        url = page_link("", case.id, (await case.gate()).gate)
        page = await ana.get(url)

        async def listed() -> str:
            # The server lists a new case a moment after it can be asked of it.
            found = await ana.get("/")
            assert AWAY not in found
            return found if "refunds:R-1" in found else ""

        await eventually(listed)
        with stopped(server):

            async def away(path: str) -> str:
                found = await ana.get(path)
                return found if AWAY in found else ""

            found = await eventually(lambda: away("/"))
            assert "As of <time" in found
            assert "refunds:R-1" in found
            await eventually(lambda: away("/now"))
            # Who rules is told that it did not arrive.
            ana.page = page
            assert "Nothing was sent" in await ana.post(url, 503, verb="reject", why="no")

        async def back() -> bool:
            return AWAY not in await ana.get("/")

        await eventually(back)
        assert (await case.gates())[0].rulings == ()
