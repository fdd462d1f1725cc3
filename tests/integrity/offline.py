"""Rulings by the hundred thousand, without a server: the case, its gate, the proofs and the door.

All of them are the engine's own. What Temporal does is left out: a case is fed directly, its
rulings are proven by the door's own people, in batches as in a case, and the door judges.
"""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from handrail import Ledger
from handrail.actions import Action, Kind, Ruling, RulingRecord, digest_of
from handrail.agent.case import Case
from handrail.agent.escalation import AnswerModel
from handrail.guardrails import Door
from handrail.guardrails.context import WriteContext
from handrail.oversight import GateKind, GateView, Keyring, Question, SigningKey, Trust
from handrail.policy import AgentShape, Facts, PolicyFile, WriteShape
from handrail.testing import Human
from handrail.wire import Attempt
from tests.agents.orders_steps import Pay, pay
from tests.redteam import RULINGS, Cast, Message, Report, Scene
from tests.redteam.scene import message

EACH = 400
"""Attacks on one gate."""

POLICY = """\
agent: orders
version: 1
owner: boss@example.com
proof: required
actions: {pay: {autonomy: supervised}}
roles:
  lead:
    people: [ana@example.com, bo@example.com, cy@example.com]
    quorum: 2
    deputies: [dee@example.com]
    deadline: {after: 8h, then: refuse}
"""
SHAPE = AgentShape(agent="orders", writes={"pay": WriteShape("pay", Pay)})
PEOPLE = ("ana@example.com", "bo@example.com", "cy@example.com")


@dataclass
class Bench:
    """A door, and the people who stand before it."""

    door: Door
    cast: Cast
    rng: random.Random
    numbers: itertools.count[int]

    def opened(self) -> tuple[Case, GateView, Attempt]:
        """A case that waits at a gate."""
        number, now = next(self.numbers), datetime.now(UTC)
        action = Pay(order=str(number), amount=self.rng.randint(201, 999))  # pyright: ignore[reportArgumentType]  # an int is read as a Decimal
        shown = action.model_dump(mode="json")
        digest = digest_of("pay", shown)
        case = Case()
        case.begin(f"orders:{number}", "Fulfils orders.", None, None, now)
        policy = self.door.policy.current()
        question = Question(
            kind=GateKind.WRITE,
            step="pay",
            title="Pay for an order.",
            action=shown,
            digest=digest,
            why="it is supervised",
            asks=policy.default_asks("pay", now),
            terms=self.door.entitlement.terms(policy),
        )
        gate, key = self.rng.randbytes(8).hex(), f"{case.id}/pay/1"
        case.ask(gate, question, AnswerModel(Pay, pay.adapter), key, now)
        return case, case.views()[0], Attempt(case=case.id, key=key, digest=digest)

    async def feed(self, case: Case, messages: Sequence[Message]) -> list[RulingRecord]:
        """Send them to a case; the record of each, those that had to be proven last."""
        now = datetime.now(UTC)
        received = [case.receive(m.verb, m.payloads, now) for m in messages]
        records = [each for each in received if isinstance(each, RulingRecord)]
        while case.pending:
            batch, proving = case.proving()
            policy = self.door.policy.current()
            facts = self._facts(case, proving.action)
            proofs = await self.door.entitlement.prove(policy, facts, proving)
            for came, proof in zip(batch, proofs, strict=True):
                case.pending.remove(came)
                records.append(case.prove(came, proof))
        return records

    async def passes(self, case: Case, attempt: Attempt, rulings: Sequence[RulingRecord]) -> bool:
        """Whether the door lets the write happen with these rulings."""
        gate = next(iter(case.gates.values()))
        tried = attempt.model_copy(update={"rulings": tuple(rulings)})
        facts = self._facts(case, gate.question.action)
        judged = await self.door.pipeline.judge(
            WriteContext(self.door.agent, self.door.policy.current(), facts, tried)
        )
        return judged.verdict.kind is Kind.PASS

    def _facts(self, case: Case, action: dict[str, Any]) -> Facts:
        given: Action = Pay.model_validate(action)
        return Facts(
            step="pay", action=given, basis=None, evidence=None, case=case.id, requester=None
        )


@asynccontextmanager
async def bench(seed: int, trust: Trust | None = None) -> AsyncGenerator[Bench]:
    """A door with its policy, keyring and ledger in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="handrail-integrity-") as home:
        directory, now = Path(home), datetime.now(UTC)
        path = directory / "orders.yaml"
        path.write_text(POLICY)
        keyring = Keyring(directory / "trusted.json")
        people = [Human(who, SigningKey.new(who, now)) for who in PEOPLE]
        for human in people:
            assert human.key is not None
            keyring.trust(human.key.public())
        cast = Cast.gather(people, keyring)
        async with Ledger(f"sqlite:///{directory}/ledger.db") as ledger:
            door = Door(
                agent="orders",
                shape=SHAPE,
                steps=[pay],
                policy=PolicyFile(path, SHAPE),
                ledger=ledger,
                trust=trust or Trust(keyring=keyring),
            )
            yield Bench(door, cast, random.Random(seed), itertools.count())


async def attack(number: int, seed: int, *, each: int = EACH) -> Report:
    """Make that many attacks by a single ruling on a gate, and with the same ones at the door.

    `each`: how many on one gate.
    """
    report, began = Report(seed), time.monotonic()
    async with bench(seed) as place:
        for made in range(0, number, each):
            await _round(place, report, min(each, number - made))
    report.took = timedelta(seconds=time.monotonic() - began)
    return report


async def _round(place: Bench, report: Report, number: int) -> None:
    (case, seen, attempt), (_, other, _) = place.opened(), place.opened()
    messages: list[Message] = []
    for each in range(number):
        chosen = RULINGS[each % len(RULINGS)]
        scene = Scene(place.cast, case.id, seen, other, place.rng, tag=f"#{each}")
        messages.append(chosen.make(scene))
        report.attack(chosen.family, chosen.name, accepted=False)
    report.cases += 1
    for record in await place.feed(case, messages):
        if record.accepted:
            tag = record.why.removeprefix("#")
            chosen = RULINGS[int(tag) % len(RULINGS)] if tag.isdigit() else None
            family, name = (chosen.family, chosen.name) if chosen else ("unknown", "unknown")
            report.counts[family].accepted += 1
            report.found.append(f"{family}: {name}: {record.verb} by {record.by}")
    await _at_the_door(place, report, case, attempt, messages)
    await _rule(place, report, case, seen, attempt)


async def _at_the_door(
    place: Bench, report: Report, case: Case, attempt: Attempt, messages: Sequence[Message]
) -> None:
    """A workflow that lies: it says of every one of them that it was accepted and proven."""
    forged = [ruled for each in messages for ruled in _claimed(attempt, each)]
    passed = await place.passes(case, attempt, forged)
    report.attack("past the gate", "all of them, as if accepted", accepted=passed)
    report.counts["past the gate"].attacks += max(len(forged) - 1, 0)


def _claimed(attempt: Attempt, sent: Message) -> list[RulingRecord]:
    try:
        ruling = Ruling.model_validate(json.loads(sent.payloads[0].data))
        when = datetime.now(UTC)
    except (ValueError, RecursionError, IndexError):
        return []
    record = {
        "verb": sent.verb,
        "gate": ruling.gate,
        "by": ruling.by,
        "at": when,
        "accepted": True,
        "note": "accepted",
        "digest": attempt.digest,
        "proven": True,
        "ruling": ruling,
    }
    return [RulingRecord.model_validate(record)]


async def _rule(place: Bench, report: Report, case: Case, seen: GateView, attempt: Attempt) -> None:
    """Two of those who may say yes: it takes both, and then the write may happen."""
    given: list[RulingRecord] = []
    for human in place.rng.sample(place.cast.approvers, 2):
        if await place.passes(case, attempt, given):
            report.unallowed.append(f"{attempt.key}: one of two was enough")
        given += await place.feed(case, [signed(human, "approve", case, seen)])
        report.ruled(accepted=given[-1].accepted, what=given[-1].note)
    gate = case.gates[seen.gate]
    if gate.closed is None or gate.closed.how != "approved":
        report.wedged.append(case.id)
    if not await place.passes(case, attempt, given):
        report.missing.append(attempt.key)


def signed(human: Human, verb: str, case: Case, seen: GateView, **more: Any) -> Message:
    """What somebody really says."""
    ruling = human.signed(verb, case.id, human.ruling(seen, **more))
    return message(verb, ruling)
