"""Where a fleet is attacked: cases that wait, rulings good and bad, and the books on all of it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from handrail.actions import Event, person
from handrail.oversight import GateView
from handrail.testing import CaseHandle, Human, Stage
from tests.redteam.report import Count, Report
from tests.redteam.rogue import Access
from tests.redteam.scene import Cast, Message, Scene, message

GENUINE = "genuine"
"""The reason that approvers give. No attack gives it, but one that repeats their bytes."""

PATIENCE = timedelta(seconds=60)

_LOOK = timedelta(milliseconds=250)


@dataclass
class Arena:
    """One agent under attack, and what came of it.

    `event`: the event of the n-th case, each of which must wait at a gate. `books`: the keys
    of what was really done so far, by the outside world's own account.
    """

    stage: Stage
    agent: str
    event: Callable[[int], Event]
    cast: Cast
    books: Callable[[], Iterable[str]]
    report: Report
    rng: random.Random
    access: Access
    numbers: Iterable[int] = field(default_factory=itertools.count)
    allowed: set[str] = field(default_factory=set[str])
    before: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tags: dict[str, str] = field(default_factory=dict[str, str])

    async def waiting(self, *, requested_by: str | None = None) -> tuple[CaseHandle, GateView]:
        """A new case that waits for people."""
        event = self.event(next(iter(self.numbers)))
        case = await self.stage.start(self.agent, event, requested_by=requested_by)
        seen = await case.gate()
        self.before[case.id] = self._done(case)
        self.report.cases += 1
        return case, seen

    def scene(self, case: CaseHandle, seen: GateView, other: GateView) -> Scene:
        """What an attacker knows of an open gate."""
        return Scene(self.cast, case.id, seen, other, self.rng)

    # What attackers do

    async def signal(self, case: CaseHandle, sent: Message) -> None:
        """Send a signal byte by byte. What Temporal itself does not take is refused too."""
        values = Payloads(payloads=sent.payloads) if sent.payloads else None
        try:
            await self.stage.client.workflow_service.signal_workflow_execution(
                SignalWorkflowExecutionRequest(
                    namespace=self.stage.client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=case.id),
                    signal_name=sent.verb,
                    input=values,
                )
            )
        except RPCError:
            return

    async def update(self, case: CaseHandle, verb: str, ruling: Mapping[str, Any]) -> bool:
        """Send it as an update. Whether it was accepted."""
        try:
            record = await case.update({**ruling, "verb": verb})
        except (WorkflowUpdateFailedError, RPCError):
            return False
        return bool(record["accepted"])

    async def strike(
        self, case: CaseHandle, family: str, name: str, verb: str, ruling: Mapping[str, Any]
    ) -> None:
        """Attack by signal and by update."""
        await self.signal(case, message(verb, ruling))
        accepted = await self.update(case, verb, ruling)
        self.report.attack(family, name, accepted=False)
        self.report.attack(family, name, accepted=accepted)
        self.taken[case.id] += accepted

    # What those do who may

    async def says(
        self, human: Human, verb: str, case: CaseHandle, seen: GateView, **more: Any
    ) -> dict[str, Any]:
        """A ruling by somebody who may: the bytes that they sent."""
        ruling = human.signed(verb, case.id, human.ruling(seen, why=GENUINE, **more))
        accepted = await self.update(case, verb, ruling)
        self.report.ruled(accepted=accepted, what=f"{verb} of {human.address} in {case.id}")
        self.taken[case.id] += accepted
        return ruling

    async def approve(self, case: CaseHandle, seen: GateView) -> dict[str, Any]:
        """Let everybody approve until it is enough: the bytes of the last approval."""
        sent: dict[str, Any] = {}
        self.allowed.add(case.id)
        for human in self.cast.approvers:
            sent = await self.says(human, "approve", case, seen)
            if not await self.is_open(case, seen):
                break
        return sent

    async def is_open(self, case: CaseHandle, seen: GateView) -> bool:
        """Whether the gate is open still."""
        return any(gate.gate == seen.gate for gate in await case.gates())

    # What must be true in the end

    async def ends(self, case: CaseHandle) -> str:
        """Wait for the end of a case, and look at what was accepted in it. Its state, in words.

        Where it asks again, or something else, about what was allowed, it is allowed again.
        """
        ended = asyncio.ensure_future(case.outcome(within=PATIENCE))
        while not (await asyncio.wait([ended], timeout=_LOOK.total_seconds()))[0]:
            if case.id in self.allowed:
                await self._again(case)
        try:
            state = str(ended.result().status)
        except (TimeoutError, WorkflowFailureError) as error:
            self.report.wedged.append(f"{case.id}: {error}"[:300])
            return "wedged"
        await self.audit(case)
        return state

    async def _again(self, case: CaseHandle) -> None:
        """What is signed in the second of a revocation does not count, and is asked for again."""
        for seen in await case.gates():
            asked = {person(who) for who in seen.people} - set(seen.given)
            for human in self.cast.approvers:
                if person(human.address) in asked and await self.is_open(case, seen):
                    await self.says(human, "approve", case, seen)

    async def audit(self, case: CaseHandle) -> None:
        """Count rulings that were accepted although nobody who may had sent them just then."""
        accepted = [r for r in (await case.view()).rulings if r.accepted]
        strange = [r for r in accepted if r.why != GENUINE]
        known = len(accepted) - self.taken[case.id]
        for ruled in [*strange, *accepted][: max(known, 0)]:
            name = self.tags.get(f"{case.id} {ruled.why}", "unknown")
            self.report.found.append(f"{case.id} accepted {ruled.verb} by {ruled.by}: {name}")
            family = name.partition(":")[0] if ":" in name else "unknown"
            self.report.counts.setdefault(family, Count()).accepted += 1

    def settle(self) -> None:
        """Compare what was done with what was allowed."""
        for case, before in self.before.items():
            new = self._done(self.stage.case(case)) - before
            if case not in self.allowed:
                self.report.unallowed += sorted(new)
            elif not new:
                self.report.missing.append(case)
            doubled = [key for key, times in new.items() if times > 1]
            self.report.unallowed += [f"{key}, more than once" for key in doubled]

    def _done(self, case: CaseHandle) -> Counter[str]:
        return Counter(key for key in self.books() if key.startswith(f"{case.id}/"))


def later(scene: Scene, tag: str) -> Scene:
    """The same scene now, with another tag."""
    return replace(scene, tag=tag, now=datetime.now(UTC))
