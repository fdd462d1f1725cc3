"""What the tests of messages run against: a mail server, Slack, and the inbox's worker."""

from __future__ import annotations

import asyncio
import contextlib
import email
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import TimeSkipper

from handrail.client import Operator
from handrail.inbox.channels.delivery import DeliveryLog, DeliveryStatus
from handrail.inbox.channels.people import PeopleFile
from handrail.inbox.channels.slack import Slack
from handrail.inbox.channels.slack_actions import PATH, SlackActionHandler, routes
from handrail.inbox.channels.worker import running
from handrail.inbox.web.tokens import Links
from handrail.oversight import (
    LOOK_SIGNAL,
    MESSAGE_QUEUE,
    NOTIFY_WORKFLOW,
    GateView,
    Keyring,
    NotificationRequest,
    SigningKey,
    Trust,
    message_id,
)
from handrail.runtime import Settings
from handrail.testing import Stage, eventually
from tests.integration.inbox.slack_tools import TOKEN, SlackServer

SECRET = "0123456789abcdef" * 2
BASE = "https://inbox.example.com"
SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"
OWNER = "boss@example.com"


@dataclass
class MailServer:
    """A real SMTP server. `dead` addresses are refused for good, `busy` ones so many times."""

    dead: set[str] = field(default_factory=set[str])
    busy: Counter[str] = field(default_factory=Counter[str])
    mails: list[tuple[str, str, EmailMessage]] = field(
        default_factory=list[tuple[str, str, EmailMessage]]
    )
    port: int = 0
    offered: Counter[str] = field(default_factory=Counter[str])
    kept: Callable[[], Awaitable[None]] | None = None
    """Called when a mail is kept, and its sender does not know it yet."""
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="test", enable_SMTPUTF8=True), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for _, to, mail in self.mails if to == address]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.offered[address] += 1
        if address in self.dead:
            return "550 5.1.1 no such mailbox"
        if self.busy[address] > 0:
            self.busy[address] -= 1
            return "451 4.7.1 greylisted, come back"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=modern)
        for to in envelope.rcpt_tos:
            self.mails.append((str(envelope.mail_from), to, mail))
        if self.kept is not None:
            await self.kept()
        return "250 OK"


@contextlib.asynccontextmanager
async def mail_server() -> AsyncGenerator[MailServer]:
    server = MailServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


# The inbox's worker, and what it did


def settings(
    directory: Path, mail: MailServer | None = None, slack: SlackServer | None = None, **more: Any
) -> Settings:
    given: dict[str, Any] = {"home": directory, **more}
    if mail is not None:
        given |= {"smtp_url": mail.url, "mail_from": "handrail@example.com"}
    if slack is not None:
        given |= {"slack_token": TOKEN, "slack_url": slack.url}
    return Settings.model_validate(given)


def people(directory: Path, **entries: Any) -> None:
    named = {f"{name}@example.com": entry for name, entry in entries.items()}
    (directory / "people.yaml").write_text(json.dumps(named), encoding="utf-8")


LINKS = Links(SECRET, BASE)


@contextlib.asynccontextmanager
async def inbox(
    stage: Stage, given: Settings, owners: Callable[[str], str] = lambda _: OWNER, **more: Any
) -> AsyncGenerator[None]:
    async with running(stage.client, given, links=LINKS, secret=SECRET, owners=owners, **more):
        yield


async def follow(stage: Stage, gate: GateView) -> Told:
    """Have people told of a gate, as its case does; or make them look again."""
    await stage.client.start_workflow(
        NOTIFY_WORKFLOW,
        NotificationRequest(case=gate.case, gate=gate.gate),
        id=message_id(gate.gate),
        task_queue=MESSAGE_QUEUE,
        start_signal=LOOK_SIGNAL,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return Told(stage, gate)


class Told:
    """What became of the messages of one gate."""

    def __init__(self, stage: Stage, gate: GateView) -> None:
        self.handle: WorkflowHandle[Any, Any] = stage.client.get_workflow_handle(
            message_id(gate.gate)
        )
        self._skipper = TimeSkipper(stage.client)

    async def book(self) -> DeliveryLog:
        return await self.handle.query("told", result_type=DeliveryLog)

    async def nudge(self) -> None:
        await self.handle.signal(LOOK_SIGNAL)

    async def pass_time(self, length: timedelta) -> None:
        """Let the clock of the messages run ahead, after that of their case."""
        await self._skipper.fast_forward(self.handle, length)

    async def said(self) -> list[str]:
        """Every message that went out: what, to whom, by what."""
        return [
            f"{each.due.what} {each.due.person} {each.ref.channel}"
            for each in (await self.book()).letters
            if each.ref is not None
        ]

    async def until(self, *said: str, lost: Iterable[str] = ()) -> DeliveryLog:
        """Wait until these, and no others, have gone out and nothing is on its way."""

        async def look() -> DeliveryLog | None:
            book = await self.book()
            settled = all(each.fate is not DeliveryStatus.GOING for each in book.letters)
            same = sorted(await self.said()) == sorted(said)
            return book if settled and same and sorted(book.unreached()) == sorted(lost) else None

        try:
            return await eventually(look)
        except TimeoutError:
            raise TimeoutError(f"{await self.book()}") from None


# Buttons, as Slack sends them


@dataclass
class Buttons:
    """Presses buttons at a real web server, as Slack does: signed, by a form."""

    url: str
    posted: int = 0

    async def post(
        self,
        payload: dict[str, Any],
        *,
        secret: str = SIGNING,
        age: timedelta = timedelta(0),
        at: str | None = None,
        signature: str | None = None,
    ) -> int:
        self.posted += 1
        stamp = at or str(int(time.time() - age.total_seconds()))
        body = urlencode({"payload": json.dumps(payload | {"nonce": self.posted})})
        signed = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
        return await self.raw(body, stamp, signature or signed or "")

    async def raw(self, body: str, stamp: str, signature: str) -> int:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature,
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=body.encode(), headers=headers) as answer,
        ):
            return answer.status

    def press(self, user: str, shown: dict[str, Any], room: str, action: str) -> dict[str, Any]:
        """What Slack sends when a button of a message is pressed."""
        [button] = [e for e in elements(shown) if e["action_id"] == action]
        return {
            "type": "block_actions",
            "user": {"id": user, "username": "somebody"},
            "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
            "channel": {"id": room, "name": "directmessage"},
            "message": {"ts": shown["ts"], "text": shown["text"]},
            "actions": [{"action_id": action, "value": button.get("value", ""), "type": "button"}],
        }

    def submit(
        self, user: str, view: dict[str, Any], why: str = "", **changes: str
    ) -> dict[str, Any]:
        """What Slack sends when a dialogue is sent off in which only this was touched."""
        filled = filled_in(view["blocks"], {"why": why} | changes)
        return {
            "type": "view_submission",
            "user": {"id": user},
            "view": {
                "callback_id": view["callback_id"],
                "private_metadata": view["private_metadata"],
                "state": {"values": filled},
            },
        }


def filled_in(blocks: list[dict[str, Any]], changes: dict[str, str]) -> dict[str, Any]:
    """The state of a dialogue, as Slack has it, after these of its inputs were touched."""
    found: dict[str, Any] = {}
    for block in blocks:
        element, name = block["element"], block["block_id"]
        kind = element["type"]
        if kind == "static_select":
            chosen = changes.get(name, element.get("initial_option", {}).get("value"))
            assert chosen in {None, *(each["value"] for each in element["options"])}
            said = {"selected_option": {"value": chosen} if chosen else None}
        else:
            text: str = changes[name] if name in changes else element.get("initial_value", "")
            said = {"value": text.strip() or None}
        found[name] = {element["action_id"]: {"type": kind} | said}
    return found


def elements(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The buttons of a message."""
    return [e for b in message["blocks"] if b["type"] == "actions" for e in b["elements"]]


def texts(message: dict[str, Any]) -> str:
    """All words of a message."""
    return json.dumps(message["blocks"], ensure_ascii=False)


@contextlib.asynccontextmanager
async def buttons(
    stage: Stage, given: Settings, key: SigningKey, slack: SlackServer
) -> AsyncGenerator[Buttons]:
    """The route of the inbox, served by a real web server."""

    def operator(by: str) -> Operator:
        return Operator(stage.client, stage.ledger, key, by=by, via="slack")

    app = Slack(TOKEN, slack.url)
    office = SlackActionHandler(operator, app, PeopleFile(given.people), LINKS)
    config = uvicorn.Config(
        Starlette(routes=routes(office, SIGNING)), port=0, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[config.bind_socket()]))
    try:

        async def started() -> bool:
            return server.started

        await eventually(started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Buttons(f"http://127.0.0.1:{port}{PATH}")
    finally:
        server.should_exit = True
        await serving


def trusting(directory: Path) -> tuple[Trust, SigningKey]:
    """Proof is required, and the inbox's key is trusted; people are told by message."""
    key = SigningKey.new(None, datetime.now(UTC))
    keyring = Keyring(directory / "trusted.json")
    keyring.trust(key.public())
    return Trust(keyring=keyring, proof="required", inbox=BASE), key
