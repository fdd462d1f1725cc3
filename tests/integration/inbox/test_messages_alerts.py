"""An alert of a policy by Slack and by apprise: told once, seen, ended, over a worker's restart."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from handrail.client import Operator
from handrail.oversight import Trust
from handrail.testing import UNPROVEN, CaseHandle, Human, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.integration.inbox.messages_tools import BASE, OWNER, inbox, people, settings
from tests.integration.inbox.slack_tools import slack_server, web_server
from tests.integration.runtime.test_upkeep import round_of

pytestmark = pytest.mark.integration

INBOX = replace(UNPROVEN, inbox=BASE)
WAITS = timedelta(seconds=1.2)


@dataclass
class Heard:
    """What came in by a channel: title and words of each message. `url`: of the channel."""

    entry: dict[str, Any]
    said: list[str] = field(default_factory=list[str])
    slack: Any = None

    def all(self) -> list[str]:
        """What told of an alert; the owner hears of questions, too."""
        found = self.said
        if self.slack is not None:
            messages = self.slack.messages.values()
            found = [f"{each['text']}\n{json.dumps(each['blocks'])}" for each in messages]
        return [each for each in found if not each.startswith("May this be done?")]


@contextlib.asynccontextmanager
async def listener(way: str) -> AsyncGenerator[Heard]:
    """Slack's own API, or an address of apprise, as a real server of this machine."""
    if way == "slack":
        async with slack_server() as slack:
            yield Heard({"slack": "U0000000001", "channels": ["slack"]}, slack=slack)
        return
    heard = Heard({})

    async def take(request: web.Request) -> web.Response:
        given = await request.json()
        heard.said.append(f"{given['title']}\n{given['message']}")
        return web.json_response({})

    async with web_server(take, "/{path:.*}") as port:
        heard.entry = {"channels": [], "also": [f"json://127.0.0.1:{port}/alerts"]}
        yield heard


@contextlib.asynccontextmanager
async def working(stage: Stage, home: Path, heard: Heard) -> AsyncGenerator[None]:
    """A worker of the agent and the inbox, which both may be gone and come again."""
    given = settings(home, None, heard.slack)
    trust: Trust = INBOX
    async with (
        stage.fleet.running(
            stage.client, stage.ledger, trust=trust, graceful_shutdown_timeout=timedelta(seconds=1)
        ),
        inbox(stage, given),
    ):
        yield


async def waiting(stage: Stage, number: str) -> CaseHandle:
    """A case whose question has waited for too long."""
    case = await stage.start("orders", Order(number=number, amount=Decimal(300)))
    await case.gate()

    async def waits() -> bool:
        old = await stage.ledger.old_questions("orders", datetime.now(UTC) - WAITS)
        return case.id in {each for each, _ in old}

    await eventually(waits)
    return case


async def until(heard: Heard, count: int) -> None:
    async def came() -> bool:
        return len(heard.all()) >= count

    await eventually(came, what=f"{count} messages")


@pytest.mark.parametrize("way", ["slack", "apprise"])
async def test_it_is_told_once_seen_ended_and_told_anew_when_it_comes_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, way: str
) -> None:
    fleet = orders(tmp_path, policy(alerts={"waiting": {"over": "1s"}}))
    async with run_fleet(fleet, workers=False, trust=INBOX) as stage, listener(way) as heard:
        people(tmp_path, boss=heard.entry)
        async with working(stage, tmp_path, heard):
            case = await waiting(stage, "1")
            assert [(await round_of(stage)).failed for _ in range(2)] == [(), ()]
            await until(heard, 1)
            (alert,) = await stage.ledger.alerts("orders")
            seen = await Operator(None, stage.ledger, by=OWNER).acknowledge_alert(alert.id[:8])
            assert (seen.acknowledged_by, seen.ended) == (OWNER, None)
        async with working(stage, tmp_path, heard):
            assert (await round_of(stage)).failed == ()
            (same,) = await stage.ledger.alerts("orders")
            assert (same.id, same.acknowledged_by) == (alert.id, OWNER)
            await Human("ana@example.com").approve(case, await case.gate())
            await case.outcome()
            assert (await round_of(stage)).failed == ()
            assert await stage.ledger.alerts("orders") == []
            assert len(heard.all()) == 1, "neither the restart nor its end tells of it again"
            await waiting(stage, "2")
            assert (await round_of(stage)).failed == ()
            await until(heard, 2)
            (again,) = await stage.ledger.alerts("orders")
            assert again.id != alert.id
    for said in heard.all():
        assert said.startswith("orders: waiting")
        assert "waiting: 1 question" in said
        assert f"{BASE}/agents/orders/alerts" in said
