"""A signed webhook goes out, and the case waits for the call-back of a real service."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import standardwebhooks
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from handrail.integrations.callbacks import key_of
from handrail.ledger import IntakeState
from handrail.states import State
from handrail.testing import Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import halls
from tests.agents.halls_steps import Feast
from tests.integration.integrations.senders import KEY, Sender, serving

pytestmark = pytest.mark.integration

SECRET = "a secret of call-backs, long enough"  # noqa: S105  # of a test


@dataclass
class Hall:
    """The outside system: it takes each webhook-id once, and keeps where to call back."""

    asked: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    requests: int = 0
    breaks: int = 0
    absent: int = 0

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if self.absent:
            self.absent -= 1
            return Response(status_code=404)
        self.requests += 1
        try:
            standardwebhooks.Webhook(KEY).verify(body, dict(request.headers))
        except standardwebhooks.WebhookVerificationError:
            return Response(status_code=401)
        assert request.headers["idempotency-key"] == request.headers["webhook-id"]
        self.asked.setdefault(request.headers["webhook-id"], json.loads(body))
        if self.breaks:
            self.breaks -= 1
            return Response(status_code=502)
        return Response(status_code=204)

    def path(self, case: str) -> str:
        said = {each["key"]: str(each["call_back"]) for each in self.asked.values()}
        return urlsplit(said[f"{case}/ask_hall/1"]).path


@pytest.fixture
async def hall(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Hall]:
    made, listener = Hall(), socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/ask", made.take, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serves = asyncio.ensure_future(server.serve(sockets=[listener]))
    port = listener.getsockname()[1]
    monkeypatch.setenv("HANDRAIL_SECRET_HALL_URL", f"http://127.0.0.1:{port}/ask")
    monkeypatch.setenv("HANDRAIL_SECRET_HALL", KEY)
    monkeypatch.setenv("HANDRAIL_SECRET_CALLBACKS", SECRET)
    yield made
    server.should_exit = True
    await serves


async def asked(stage: Stage, hall: Hall, number: str, **more: Any) -> str:
    """A case that waits to be called back."""
    case = await stage.start("halls", Feast(number=number, **more))

    async def waits() -> bool:
        log = (await case.view()).log
        return any("waits for the call-back" in line.text for line in log)

    await eventually(waits)
    return case.id


async def call(shop: Sender, path: str, answer: Any, **more: Any) -> httpx2.Response:
    return await shop.http.post(path, content=json.dumps(answer), **more)


async def log_of(stage: Stage, case: str) -> str:
    return "\n".join(line.text for line in (await stage.case(case).view()).log)


async def test_a_case_goes_on_with_the_first_answer_that_is_one(
    run_fleet: RunFleet, hall: Hall, tmp_path: Path
) -> None:
    # It is not up yet, and then its first answer is lost.
    hall.breaks = hall.absent = 1
    async with run_fleet(halls(tmp_path)) as stage, serving(stage) as shop:
        case = await asked(stage, hall, "TWICE/1 ü", guests=40)
        # Sent twice, for the first answer was lost, under one key; the hall took it once.
        assert (hall.requests, len(hall.asked)) == (2, 1)
        [sent] = hall.asked.values()
        assert (sent["type"], sent["data"]) == ("ask_hall", {"guests": 40})
        assert key_of_here(sent["call_back"]) == f"{case}/ask_hall/1"
        path = hall.path(case)
        # What is none: another token, no JSON, too much, an answer that is no HallAnswer.
        for bad in (
            path + "x",
            path[:-3],
            "/callbacks/" + path[12:].partition(".")[0],
            "/callbacks/%ff.x",
        ):
            assert (await call(shop, bad, {"free": True})).status_code == 404, bad
        assert (await shop.http.post(path, content=b"{free")).status_code == 422
        assert (await shop.http.post(path, content=b'"' + b"x" * 60_000 + b'"')).status_code == 413
        # JSON it is, but half a character, and what is too deep, can be told to nobody.
        for untold in (rb'{"free": "\ud83d"}', b"[" * 240 + b"]" * 240, b"[" * 900 + b"]" * 900):
            assert (await shop.http.post(path, content=untold)).status_code == 422
        assert (await call(shop, path, {"free": "perhaps"})).status_code == 200
        await eventually_logged(stage, case, "is no HallAnswer")
        first = await call(shop, path, {"free": True, "price": 300})
        assert (first.status_code, first.json()) == (200, {"case": case, "outcome": "taken"})
        # One that comes again, and another one, count no more, and are shown.
        assert (await call(shop, path, {"free": False})).status_code == 200
        outcome = await stage.case(case).outcome()
        assert (outcome.status, outcome.why) == (State.DONE, "free: True, for 300")
        assert (
            'called back once more for halls:TWICE/1 ü/ask_hall/1: {"free": false}'
            in await log_of(stage, case)
        )
        assert [each.step for each in outcome.receipts] == ["ask_hall"]


async def test_one_that_comes_late_is_kept_and_shown(
    run_fleet: RunFleet, hall: Hall, tmp_path: Path
) -> None:
    async with run_fleet(halls(tmp_path)) as stage, serving(stage) as shop:
        case = (await stage.start("halls", Feast(number="2", patience=0.2))).id
        outcome = await stage.case(case).outcome()
        assert outcome.status is State.EXPIRED
        assert "ask_hall: nobody called back within 0:00:00.2" in outcome.why
        late = await call(shop, hall.path(case), {"free": True})
        assert (late.status_code, late.json()["outcome"]) == (202, "kept")
        [entry] = await stage.ledger.intake()
        assert (entry.state, entry.case) == (IntakeState.WRONG, case)
        assert "came too late" in entry.why
        # While the server is away it is kept as well, and told when it is back.
        other = await asked(stage, hall, "3")
        shop.away = True
        kept = await call(shop, hall.path(other), {"free": False})
        assert (kept.status_code, kept.json()["outcome"]) == (202, "kept")
        shop.away = False
        assert (await stage.case(other).outcome()).why == "free: False, for 0"


async def eventually_logged(stage: Stage, case: str, text: str) -> None:
    async def there() -> bool:
        return text in await log_of(stage, case)

    await eventually(there)


def key_of_here(url: str) -> str:
    return key_of(urlsplit(url).path.removeprefix("/callbacks/"))
