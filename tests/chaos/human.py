"""A human who answers gates. In doubt, the outside system's own books tell the truth."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import Any

import httpx2
from temporalio.service import RPCError

from handrail import Ledger
from handrail.agent import WAITING_FOR_ATTRIBUTE
from handrail.client import Operator
from handrail.exceptions import LedgerUnavailable
from tests.chaos.lab import Asked, Lab, Lane
from tests.chaos.worker import OWNER

_PAUSE = timedelta(milliseconds=200)
_AGAIN = timedelta(seconds=5)
_ME = "ana@example.com"


class Human:
    """Answers every open gate; what is answered already, only after a while again."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._answered: dict[str, float] = {}
        self._http = httpx2.AsyncClient(timeout=4)

    async def answer_all(self) -> None:
        """Answer until cancelled. A server or an outside system that is away is asked again."""
        while True:
            with contextlib.suppress(RPCError):
                async for gate in self._open_gates():
                    with contextlib.suppress(RPCError, httpx2.HTTPError):
                        await self._answer(gate)
                await self._accept_ledgers()
            await asyncio.sleep(_PAUSE.total_seconds())

    async def _open_gates(self) -> AsyncGenerator[Mapping[str, Any]]:
        query = "ExecutionStatus = 'Running' AND HandrailWaitingFor IS NOT NULL"
        async for found in self._lab.client.list_workflows(query):
            if not found.typed_search_attributes.get(WAITING_FOR_ATTRIBUTE):
                continue
            memo = await found.memo()
            for gate in memo.get("gates", ()):
                last = self._answered.get(gate["gate"], 0)
                if time.monotonic() - last > _AGAIN.total_seconds():
                    yield gate

    async def _accept_ledgers(self) -> None:
        """Say that an agent goes on, where its ledger went back and a write says that it waits."""
        # More lanes come while one is asked.
        for lane in list(self._lab.lanes.values()):
            if not lane.world.went_back or not await self._waits(lane):
                continue
            lane.world.went_back = False
            with contextlib.suppress(LedgerUnavailable):
                async with Ledger(lane.world.ledger(1)) as ledger:
                    owner = Operator(self._lab.client, ledger, by=OWNER)
                    given = await owner.accept_ledger(lane.name, "it was put back")
                now, said = time.monotonic(), str(given.stand)
                self._lab.journal.asked.append(Asked(now, f"{lane.name}:", "ledger", "", said))

    async def _waits(self, lane: Lane) -> bool:
        query = f"ExecutionStatus = 'Running' AND HandrailAgent = '{lane.name}'"
        async for found in self._lab.client.list_workflows(query):
            described = await self._lab.client.get_workflow_handle(found.id).describe()
            pending = described.raw_description.pending_activities
            if any("went back in time" in each.last_failure.message for each in pending):
                return True
        return False

    async def _answer(self, gate: Mapping[str, Any]) -> None:
        ruling = {"gate": gate["gate"], "digest": gate["digest"][:12], "by": _ME}
        verb = "approve"
        if gate["kind"] == "in_doubt":
            verb, ruling = "answer", ruling | await self._truth(gate)
        handle = self._lab.client.get_workflow_handle(gate["case"])
        await handle.signal(verb, ruling)
        if gate["gate"] not in self._answered:
            said = str(ruling.get("answer", verb))
            asked = Asked(time.monotonic(), gate["case"], gate["kind"], gate["step"], said)
            self._lab.journal.asked.append(asked)
        self._answered[gate["gate"]] = time.monotonic()

    async def _truth(self, gate: Mapping[str, Any]) -> dict[str, Any]:
        lane = self._lab.lanes[gate["case"].partition(":")[0]]
        op = "undo" if gate["step"].startswith("undo_") else "do"
        op = "mail" if gate["step"] == "do_mail" else op
        asked = {"case": gate["case"], "op": op}
        answer = await self._http.get(f"{lane.url}/truth", params=asked)
        number = answer.json()["number"]
        if number is None:
            return {"answer": "do it"}
        return {"answer": "happened", "result": f"<{number}>" if op == "mail" else number}
