"""Everything that reaches an agent from outside, with real processes that die: `--only reach`.

`handrail serve` and `handrail worker` as an operator starts them; a sender that sends until it is
answered, and then once more; a model that calls tools; another agent; an outside system that calls
back until it is answered, and then once more. Its control keeps nothing by a key.
"""

import asyncio
import contextlib
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx2
import standardwebhooks
import uvicorn
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError

from handrail import failpoints
from handrail.runtime import Settings, TokenFile, connect
from tests.chaos import steps
from tests.chaos.listener import Listener
from tests.chaos.naive import TIMES, NaiveAgent
from tests.chaos.outside import HOOK_KEY
from tests.chaos.plan import Trial
from tests.chaos.steps import OTHER, Order

SPEC = "CHAOS_REACH"
"""The variable that says to the modules of the fleet which lane it is."""

POLICY = """\
agent: {agent}
version: 1
owner: owner@example.com
actions:
{writes}
roles:
  people: {{people: [ana@example.com], deadline: {{after: 8h, then: refuse}}}}
"""
WRITES = ("do_keyed", "do_findable", "do_plain", "do_pass", "do_close", "ask_out", "do_post")
SAID = ("do_chat", "do_mail")
_PATIENCE = 8.0
_AGAIN = 0.2


class ReachSpec(BaseModel, frozen=True):
    """What a process of this world needs."""

    role: Literal["worker", "serve", "relay"]
    room: Path
    actor: str
    lane: str
    address: str
    ledger: str
    outside: str
    port: int
    """Of `handrail serve`."""
    mail: int
    """Of the mail server outside."""
    trials: tuple[Trial, ...]

    def environment(self) -> dict[str, str]:
        """Of `handrail worker` and `handrail serve`."""
        home = self.room / f"{self.lane}.home"
        return {
            SPEC: self.model_dump_json(include={"room", "lane", "trials"}),
            steps.OUTSIDE: self.outside,
            "CHAOS_MAIL": f"smtp://127.0.0.1:{self.mail}",
            "CHAOS_SERVE": f"http://127.0.0.1:{self.port}",
            "HANDRAIL_FLEET": "tests.chaos.reach_fleet:fleet",
            "HANDRAIL_HOME": str(home),
            "HANDRAIL_INBOX_PORT": str(self.port),
            "HANDRAIL_LEDGER_URL": self.ledger,
            "HANDRAIL_PAYLOAD_DIR": str(self.room / "payloads"),
            "HANDRAIL_PROOF": "unproven",
            "HANDRAIL_SECRET_CALLBACKS": "a secret of call-backs, long enough",
            "HANDRAIL_SECRET_CHAT": "a token of the chat",
            "HANDRAIL_SECRET_HOOK": HOOK_KEY,
            "TEMPORAL_ADDRESS": self.address,
        }


def order_of(lane: str, key: str) -> Order:
    """What starts the case of a trial."""
    kind: Any = key.rpartition("-")[2]
    to = f"{lane}{OTHER}"
    return Order(id=key, kind=kind, amount=50, spoil=False, takes=0, hands_to=to)


def main(spec: ReachSpec) -> None:
    """Work, or serve, until killed."""
    os.environ |= spec.environment()
    failpoints.listen(Listener(spec.room, spec.actor, spec.trials))
    if spec.role == "relay":
        asyncio.run(_relay(spec))
        return
    from handrail.cli import main as handrail  # noqa: PLC0415  # it reads the environment

    without = ["--without", "inbox"] if spec.role == "serve" else []
    sys.argv[:] = ["handrail", spec.role, *without]
    handrail()


async def _relay(spec: ReachSpec) -> None:
    """The control: who takes events as most people would, and starts whatever comes."""
    client = await connect(Settings.from_environment({}), plugins=[], address=spec.address)

    async def take(request: Request) -> Response:
        order = Order.model_validate_json(await request.body())
        case = f"{spec.lane}:{order.id}"
        started = await client.start_workflow(
            NaiveAgent.run, order, id=f"{case}{TIMES}{uuid.uuid4().hex}", task_queue=spec.lane
        )
        failpoints.reached("intake:started", case)
        return JSONResponse({"case": started.id}, 202)

    app = Starlette(routes=[Route("/agents/{agent}/events", take, methods=["POST"])])
    given = uvicorn.Config(app, port=spec.port, log_level="error", lifespan="off")
    await uvicorn.Server(given).serve()


class Sluice:
    """The way from `handrail serve` to the Temporal server, which can be shut."""

    def __init__(self, port: int, target: str) -> None:
        self.port = port
        self._host, _, self._target = target.rpartition(":")
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Let through what comes from now on."""
        if self._server is None:
            self._server = await asyncio.start_server(self._joined, "127.0.0.1", self.port)

    def shut(self) -> None:
        """Cut what goes through, and let nothing through."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for way in self._ways:
            way.close()
        self._ways.clear()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._host, int(self._target))
        self._ways |= {writer, there[1]}
        for one, other in ((reader, there[1]), (there[0], writer)):
            pump = asyncio.ensure_future(_pump(one, other))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Sender:
    """Who sends the events of a lane: each until it is acknowledged, and then once more."""

    def __init__(self, spec: ReachSpec, sluice: Sluice, client: Client) -> None:
        self._spec = spec
        self._sluice = sluice
        self._client = client
        home = spec.room / f"{spec.lane}.home"
        self._token = TokenFile(home / "keys" / "tokens.json").new("sender", ())
        url = f"http://127.0.0.1:{spec.port}"
        self._http = httpx2.AsyncClient(base_url=url, timeout=_PATIENCE)

    async def send(self, trial: Trial) -> str:
        """Have a case started; its id."""
        case = f"{self._spec.lane}:{trial.key}"
        if trial.way == "schedule":
            await self._fire(f"{self._spec.lane}/{trial.key}")
            return case
        if trial.target.startswith("intake:") and self._spec.role != "relay":
            self._sluice.shut()
        said = await self._acknowledged(trial)
        await self._sluice.open()
        if self._spec.role == "relay":
            return said["case"]
        await self._acknowledged(trial)
        return case

    async def _acknowledged(self, trial: Trial) -> Any:
        body = order_of(self._spec.lane, trial.key).model_dump_json()
        while True:
            with contextlib.suppress(httpx2.TransportError):
                answer = await self._post(trial, body)
                if answer.is_success:
                    return answer.json()
            await asyncio.sleep(_AGAIN)

    async def _post(self, trial: Trial, body: str) -> httpx2.Response:
        lane = self._spec.lane
        if trial.way == "hook":
            at = datetime.now(UTC)
            signed = standardwebhooks.Webhook(HOOK_KEY).sign(trial.key, at, body)
            headers = {"webhook-id": trial.key, "webhook-signature": signed}
            headers |= {"webhook-timestamp": str(int(at.timestamp()))}
            return await self._http.post(f"/hooks/{lane}", content=body, headers=headers)
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        return await self._http.post(f"/agents/{lane}/events", content=body, headers=headers)

    async def _fire(self, schedule: str) -> None:
        """Have a schedule fire twice at once: both stand for one case."""
        for _ in range(2):
            while True:
                with contextlib.suppress(RPCError):
                    await self._client.get_schedule_handle(schedule).trigger()
                    break
                await asyncio.sleep(_AGAIN)
