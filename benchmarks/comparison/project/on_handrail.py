# ruff: noqa: INP001  # a contender's program
"""Handrail: the agent under a policy file, with a ledger; approvals are proven by a signature."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import freight_steps
from drive import main
from freight_workflow import GuardedFreight
from temporalio.client import Client, WorkflowFailureError
from work import APPROVER, DEADLINE, HELD_ABOVE, HOME, SERVER

from handrail import Agent, Fleet, GateView, Keyring, Ledger, Trust
from handrail.actions import Ruling
from handrail.client import existing_case, gates_of
from handrail.oversight import GateKind, SigningKey, sign_ruling
from handrail.runtime import configure_logging

POLICY = f"""\
agent: freight
version: 1
owner: {APPROVER}
drafter: may approve
proof: required
actions:
  rebook:
    autonomy: full
    irreversible: nobody takes a booking back here
    refuse:
      - when: action.extra_cost > 5000
        why: costs more than the consignment is worth
    hold:
      - when: action.extra_cost > {HELD_ABOVE}
        why: costs more than {HELD_ABOVE} EUR extra
        for: lead
roles:
  lead:
    people: [{APPROVER}, bo@example.com]
    deadline: {{after: {DEADLINE:.0f}s, then: refuse}}
"""
LEDGER = os.environ.get("COMPARISON_LEDGER", f"sqlite:///{HOME}/ledger.db")


class Cases:
    """Its cases. Who approves reads the question first, and signs the answer."""

    def __init__(self, fleet: Fleet, client: Client, key: SigningKey) -> None:
        self._fleet = fleet
        self._client = client
        self._key = key

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin."""
        alert = freight_steps.Alert(consignment=key, extra_cost=cost)
        await self._fleet.start(self._client, "freight", alert)

    async def result(self, key: str) -> str:
        """How it ended."""
        try:
            said: Any = await self._client.get_workflow_handle(f"freight:{key}").result()
        except WorkflowFailureError as error:
            return f"failed: {error.cause}"
        return said["status"]

    async def _gate(self, key: str) -> GateView:
        while True:
            found = await gates_of(await existing_case(self._client, f"freight:{key}"))
            if found:
                return found[0]
            await asyncio.sleep(0.05)

    async def approve(self, key: str) -> None:
        """Sign what is asked, and send it."""
        gate = await self._gate(key)
        ruling = Ruling(gate=gate.gate, digest=gate.digest, by=APPROVER)
        signed = sign_ruling(ruling, "approve", gate.case, self._key, datetime.now(UTC))
        await self._send(gate, signed)

    async def forge(self, key: str) -> None:
        """All but the signature."""
        gate = await self._gate(key)
        await self._send(gate, Ruling(gate=gate.gate, digest=gate.digest, by=APPROVER))

    async def _send(self, gate: GateView, ruling: Ruling) -> None:
        said = ruling.model_dump(mode="json", exclude_defaults=True)
        await self._client.get_workflow_handle(gate.case).signal("approve", said)

    async def resume(self, key: str) -> None:
        """The server does it by itself."""

    async def asked(self, key: str) -> bool:
        """Whether it asks what became of its write."""
        found = await gates_of(await existing_case(self._client, f"freight:{key}"))
        return any(gate.kind is GateKind.IN_DOUBT for gate in found)

    async def history(self, key: str) -> int:
        """Events."""
        handle = self._client.get_workflow_handle(f"freight:{key}")
        return len((await handle.fetch_history()).events)


def _fleet() -> Fleet:
    policy = HOME / "freight.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    agent = Agent("freight", GuardedFreight, steps=freight_steps, policy=policy)
    return Fleet(agent, passthrough=["freight_steps", "work", "httpx2"])


def _signer() -> SigningKey:
    path = HOME / "ana.json"
    if path.exists():
        return SigningKey.load(path)
    made = SigningKey.new(APPROVER, datetime.now(UTC))
    made.save(path)
    Keyring(HOME / "trusted.json").trust(made.public())
    return made


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Cases]:  # noqa: FBT001  # drive's
    """A client, and a worker with its ledger if it is asked for."""
    configure_logging("console", fd=os.open(HOME / "worker.log", os.O_WRONLY | os.O_CREAT))
    fleet = _fleet()
    client = await Client.connect(SERVER, plugins=[fleet.plugin(HOME / "payloads")])
    cases = Cases(fleet, client, _signer())
    if not works:
        yield cases
        return
    trust = Trust(Keyring(HOME / "trusted.json"))
    async with Ledger(LEDGER) as ledger, fleet.running(client, ledger, trust=trust):
        yield cases


if __name__ == "__main__":
    main(opened)
