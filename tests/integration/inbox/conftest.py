"""An inbox with a real engine behind it: the server, a worker, a ledger, and keys."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from handrail import Agent, Fleet
from handrail.inbox.web.server import opened, serving
from handrail.inbox.web.site import Site
from handrail.oversight import Keyring, Trust
from handrail.runtime import EmbeddedServer, Settings
from handrail.testing import CaseHandle, Outside, Stage, running
from tests.agents import refunds_flow, refunds_steps

ANA, BO, CY, DEE = (f"{name}@example.com" for name in ("ana", "bo", "cy", "dee"))
BOSS = "boss@example.com"
SECRET = "a secret of thirty-two characters or more"  # noqa: S105  # of a test

POLICY: dict[str, Any] = {
    "agent": "refunds",
    "version": 4,
    "owner": BOSS,
    "proof": "required",
    "drafter": "may approve",
    "actions": {
        "refund": {
            "autonomy": "full",
            "hold": [{"when": "action.amount > 50", "why": "more than 50 EUR", "for": "lead"}],
        }
    },
    "roles": {
        "lead": {
            "people": [ANA, BO],
            "deputies": [DEE],
            "deadline": {"after": "8h", "then": "escalate", "to": "operations"},
        },
        "operations": {"people": [CY], "deadline": {"after": "24h", "then": "refuse"}},
    },
}


@dataclass
class Inbox:
    """One inbox of a test. `mails`: what it sent, each with whom to."""

    base: str
    site: Site
    stage: Stage
    mails: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def ask(self, number: str = "R-1", **more: Any) -> CaseHandle:
        """A case that waits at a gate."""
        case = await self.stage.start("refunds", refunds_steps.Complaint(number=number, **more))
        await case.gate()
        return case

    @contextlib.asynccontextmanager
    async def visitor(self, who: str | None = None) -> AsyncGenerator[Visitor]:
        """Somebody with a browser, signed in if `who` says as whom."""
        headers = {"origin": self.base}
        async with httpx2.AsyncClient(base_url=self.base, headers=headers) as client:
            visitor = Visitor(client)
            if who is not None:
                await visitor.sign_in(who)
            yield visitor


@dataclass
class Visitor:
    """Somebody who opens pages and sends forms, without scripts."""

    http: httpx2.AsyncClient
    page: str = ""

    async def get(self, path: str, status: int = 200) -> str:
        answer = await self.http.get(path, follow_redirects=True)
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return answer.text

    async def post(self, path: str, status: int = 200, **fields: Any) -> str:
        """Send a form with the token of the last page, unless another is given."""
        given = fields if "token" in fields else fields | {"token": token_of(self.page)}
        answer = await self.http.post(path, data=given, follow_redirects=True)
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return answer.text

    async def sign_in(self, who: str) -> None:
        await self.get("/sign-in")
        await self.post("/sign-in/dev", address=who)


def token_of(page: str) -> str:
    """The token of the last form of a page: the first one signs out."""
    found = re.findall(r'name="token" value="([^"]+)"', page)
    assert found, "the page has no form"
    return found[-1]


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


Run = Callable[..., contextlib.AbstractAsyncContextManager[Inbox]]


def inboxes(server: EmbeddedServer, home: Path) -> Run:
    """What runs an inbox and the agent that asks; `settings` are beside those of a test."""

    @contextlib.asynccontextmanager
    async def run(
        policy: dict[str, Any] | None = None,
        *,
        proof: Any = "required",
        by_name: bool = True,
        also: Sequence[Agent] = (),
        **more: Any,
    ) -> AsyncGenerator[Inbox]:
        document = policy or POLICY
        policies = home / "guardrails"
        policies.mkdir()
        path = policies / "refunds.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        agent = Agent("refunds", refunds_flow.RefundAgent, steps=refunds_steps, policy=path)
        listener = listen()
        base = f"http://localhost:{listener.getsockname()[1]}"
        given: dict[str, Any] = {
            "home": home,
            "inbox_url": base,
            "inbox_dev": True,
            "inbox_secret": SecretStr(SECRET),
            "inbox_policies": policies,
        }
        settings = Settings.model_validate(given | more)
        trust = Trust(keyring=Keyring(settings.keyring), proof=proof, by_name=by_name)
        async with (
            running(Fleet(agent, *also), server, home, trust=trust) as stage,
            opened(settings, stage.client, stage.ledger, stage.fleet.agents) as site,
            serving(site, listener),
        ):
            yield Inbox(base, site, stage)

    return run


@pytest.fixture
def run_inbox(handrail_server: EmbeddedServer, tmp_path: Path, outside: Outside) -> Run:
    return inboxes(handrail_server, tmp_path)


@pytest.fixture
async def inbox(run_inbox: Run) -> AsyncGenerator[Inbox]:
    """An inbox into which anybody of the policy may sign in by name."""
    async with run_inbox() as running_inbox:
        yield running_inbox
