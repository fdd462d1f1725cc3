"""Everything that the run needs, each a process of its own, in a home of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2
from temporalio.client import Client

from activities.shipments_facts import DelayAlert
from activities.shipments_systems import disconnect
from handrail.actions import Finding, Kind
from handrail.ledger import Ledger, VerdictRow
from handrail.oversight import GateView
from handrail.runtime import (
    Child,
    Settings,
    System,
    connect,
    open_ledger,
    prepare_directory,
    running_locally,
)
from handrail.states import State
from handrail.testing.stage import CaseHandle, eventually
from workers.guards.fleet import POLICY, TOKEN, fleet
from workers.guards.freight import Freight
from workers.guards.owner import AGENT, Owner
from workers.guards.policies import PolicyDesk
from world import mailbox

SOON = timedelta(seconds=30)
"""How long a guard may take to fire."""

_ORIGINAL = Path(__file__).parents[2] / "guardrails" / "shipments.yaml"


@dataclass
class Site:
    """The run: the agent, its owner, the freight, and what they keep."""

    home: Path
    client: Client
    ledger: Ledger
    freight: Freight
    owner: Owner
    policies: PolicyDesk
    worker: Child
    token: str
    cases: list[CaseHandle] = field(default_factory=list[CaseHandle])

    async def start(self, alert: DelayAlert) -> CaseHandle:
        """Start the case of an alert."""
        started = await fleet.start(self.client, AGENT, alert, ledger=self.ledger)
        case = CaseHandle(self.client, started.case)
        self.cases.append(case)
        return case

    async def rule(self, verb: str, case: CaseHandle, seen: GateView, **more: str) -> None:
        """Answer a gate, as somebody who is entitled."""
        body = {"gate": seen.gate, "digest": seen.digest, "by": seen.people[0]}
        await case.send(verb, body | more)

    async def rejected(self, case: CaseHandle, seen: GateView, why: str) -> bool:
        """Reject what a case asks, and wait until it has ended so."""
        await self.rule("reject", case, seen, why=why)
        return (await case.outcome()).status is State.REJECTED

    async def restore(self) -> None:
        """Put the agent's own policy and its own autonomy in force again."""
        self.policies.change()
        live = await self.ledger.orders(AGENT, live=True)
        for row in live:
            if row.case is None:
                await self.owner.lift(row)

    async def said(self, case: CaseHandle, kind: Kind, check: str) -> Finding:
        """The finding of a verdict on a case, as the ledger has it.

        Raises:
            TimeoutError: if there is none soon.
        """

        async def look() -> Finding | None:
            rows = await self.ledger.verdicts(AGENT, case=case.id)
            found = [f for row in rows for f in row.findings if row.kind is kind]
            return next((each for each in found if each.check.startswith(check)), None)

        found: Finding = await eventually(look, within=SOON, what=f"{check} of {case.id}")
        return found

    async def verdicts(self, case: CaseHandle) -> list[VerdictRow]:
        """Every verdict on a case."""
        return await self.ledger.verdicts(AGENT, case=case.id)

    async def parked(self, case: CaseHandle) -> str:
        """Wait until a case stands still because of a stop, and say why.

        Until the server's list says so, too: there the end of a stop looks for it.
        """
        view = await case.until(lambda seen: seen.state is State.PAUSED)
        listed = f"WorkflowId = '{case.id}' AND HandrailState = '{State.PAUSED}'"

        async def look() -> bool:
            return bool([each async for each in self.client.list_workflows(listed)])

        await eventually(look, within=SOON, what=f"{case.id} in the list of what is paused")
        return view.why

    async def failing(self, case: CaseHandle, words: str) -> str:
        """What a step of a case goes on failing with, as the server tells it.

        Raises:
            TimeoutError: if nothing fails with these words soon.
        """

        async def look() -> str | None:
            described = await case.handle.describe()
            pending = described.raw_description.pending_activities
            said = [each.last_failure.message for each in pending]
            return next((each for each in said if words in each), None)

        found: str = await eventually(look, within=SOON, what=f"{words!r} of {case.id}")
        return found

    def mails(self, to: str) -> list[mailbox.Mail]:
        """The mail that somebody got."""
        return [mail for mail in mailbox.read(self.home / "mail") if to in mail.to]


@contextlib.asynccontextmanager
async def site(home: Path) -> AsyncGenerator[Site]:
    """Run everything in `home`, which must be empty; ends all on exit."""
    token = secrets.token_urlsafe(24)
    prepare_directory(home)
    policies = PolicyDesk(home / "shipments.yaml", _ORIGINAL)
    with _environment(_variables(home, token)):
        settings = Settings.from_environment()
        started = running_locally(settings, _systems(home), quiet=True, policies=[policies.path])
        async with started as everything, open_ledger(settings) as led:
            address = everything.server.address
            plugin = fleet.plugin(settings.payload_dir)
            client = await connect(settings, plugins=[plugin], address=address)
            url = os.environ["SHIPMENTS_BOOKINGS_URL"]
            async with httpx2.AsyncClient(base_url=url, timeout=10) as carrier:
                yield Site(
                    home=home,
                    client=client,
                    ledger=led,
                    freight=Freight(carrier, token),
                    owner=Owner(client, led),
                    policies=policies,
                    worker=everything.worker,
                    token=token,
                )
        await disconnect()


def _variables(home: Path, token: str) -> dict[str, str]:
    temporal, ui, inbox, bookings, mail = map(str, _free_ports(5))
    return {
        "HANDRAIL_HOME": str(home),
        "HANDRAIL_FLEET": "workers.guards.fleet:fleet",
        "HANDRAIL_TEMPORAL_PORT": temporal,
        "HANDRAIL_UI_PORT": ui,
        "HANDRAIL_INBOX_PORT": inbox,
        # The owner is told by mail, to the same mail server that customers get theirs from.
        "HANDRAIL_SMTP_URL": f"smtp://127.0.0.1:{mail}",
        "HANDRAIL_MAIL_FROM": "handrail@example.com",
        "HANDRAIL_PROOF": "unproven",
        f"HANDRAIL_SECRET_{TOKEN}": token,
        "BOOKINGS_TOKEN": token,
        "SHIPMENTS_BOOKINGS_URL": f"http://127.0.0.1:{bookings}",
        "SHIPMENTS_SMTP": f"127.0.0.1:{mail}",
        POLICY: str(home / "shipments.yaml"),
    }


def _systems(home: Path) -> tuple[System, System]:
    bookings = os.environ["SHIPMENTS_BOOKINGS_URL"].rpartition(":")[2]
    mail = os.environ["SHIPMENTS_SMTP"].rpartition(":")[2]
    db, directory = str(home / "bookings.db"), str(home / "mail")
    return (
        _system("bookings", "--db", db, "--port", bookings, "--faults"),
        _system("mailbox", "--dir", directory, "--port", mail),
    )


def _system(name: str, *options: str) -> System:
    argv = ("{python}", "-m", f"world.{name}", *options)
    return System(name=name, argv=argv, ready=f"{name} listens on")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ |= variables
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
