"""Webhooks out: signed, with one id an event, and tried again by Temporal until they are taken."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from temporalio.common import RetryPolicy

from handrail.exceptions import ConfigurationError
from handrail.inbox.channels import webhooks
from handrail.inbox.channels.webhooks import CaseEnds, WebhookTarget
from handrail.oversight import MESSAGE_QUEUE
from handrail.runtime import Settings
from handrail.testing import Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.integration.inbox.messages_tools import follow, inbox, settings
from tests.integration.inbox.test_messages_mail import ANA, ORDER

pytestmark = pytest.mark.integration

KEY = b"k" * 32
SIGNING = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass
class Receiver:
    """Another program. `refuses`: so many deliveries are answered with 500 first."""

    refuses: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    ids: list[str] = field(default_factory=list[str])
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        body, number = await request.read(), request.headers["webhook-id"]
        signed = f"{number}.{request.headers['webhook-timestamp']}.".encode() + body
        made = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert request.headers["webhook-signature"] == f"v1,{made}"
        self.ids.append(number)
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=500)
        self.taken.append(json.loads(body))
        return web.Response(status=204)


@contextlib.asynccontextmanager
async def receiver(refuses: int = 0) -> AsyncGenerator[Receiver]:
    made, app = Receiver(refuses), web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server  # pyright: ignore[reportPrivateUsage]  # its port
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    await runner.cleanup()


def hooked(directory: Path, to: Receiver) -> Settings:
    return settings(directory, webhook_url=to.url, webhook_secret=SecretStr(SIGNING))


async def test_a_program_hears_of_a_gate_and_of_the_end_of_its_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_AGAIN", RetryPolicy(initial_interval=timedelta(seconds=0.1)))
    monkeypatch.setattr(webhooks, "_LATE", timedelta(seconds=-5))
    async with run_fleet(orders(tmp_path)) as stage, receiver(refuses=2) as to:
        async with inbox(stage, hooked(tmp_path, to)):
            case = await stage.start("orders", ORDER)
            gate = await case.gate()
            told = await follow(stage, gate)
            await eventually(lambda: _taken(to, 1))
            assert (await Human(ANA).approve(case)).accepted
            await case.outcome()
            await told.nudge()
            done: Any = await told.handle.result()
            # The schedule does it each minute.
            await stage.client.execute_workflow(CaseEnds.run, id="now", task_queue=MESSAGE_QUEUE)
        opened, closed, ended = to.taken[:3]
    assert to.ids[:3] == [f"gate.opened/{gate.gate}"] * 3
    assert (opened["type"], opened["data"]["digest"]) == ("gate.opened", gate.digest)
    assert "action" not in opened["data"]
    assert (closed["type"], closed["data"]["how"]) == ("gate.closed", "approved")
    assert (closed["data"]["by"], closed["data"]["unproven"]) == ([ANA], " (unproven)")
    assert (ended["type"], ended["data"]) == (
        "case.ended",
        {"case": case.id, "agent": "orders", "state": "done"},
    )
    # No channel to people is set up: nobody counts as not reached.
    assert done["unreached"] == []


async def _taken(to: Receiver, number: int) -> bool:
    return len(to.taken) >= number


@pytest.mark.parametrize(
    "given",
    [
        {"webhook_url": "https://example.com/hook"},
        {"webhook_secret": SecretStr(SIGNING)},
        {"webhook_url": "https://example.com", "webhook_secret": SecretStr("whsec_c2hvcnQ=")},
        {"webhook_url": "https://example.com", "webhook_secret": SecretStr("no base64")},
    ],
)
def test_half_a_webhook_is_none(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="HANDRAIL_WEBHOOK_SECRET"):
        WebhookTarget.of(Settings.model_validate(given))
