"""A page that has begun to answer goes on, however long its part is reckoned."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from handrail.inbox.web import app


async def test_what_has_begun_to_answer_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ANSWERS", timedelta(milliseconds=1))
    sent: list[Any] = []

    async def page(_scope: Any, _receive: Any, send: Any) -> None:
        await send("head")
        await asyncio.sleep(0.02)
        await send("figures")

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await app.Deadline(page)({"type": "http", "method": "GET"}, receive, send)
    assert sent == ["head", "figures"]
