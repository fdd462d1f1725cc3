"""The figures of a pilot that are kept are those that a reckoning of all rows gives."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import Kind
from handrail.client import Operator, PilotView
from handrail.ledger import (
    AnswerRow,
    CaseRecord,
    CaseRow,
    DecisionRow,
    OrderRow,
    OutcomeRow,
    ProposedAction,
    VerdictRow,
)
from handrail.policy import PilotDoc
from tests.agents.whole_pilot import reckon

AGENT, NOW = "desk", datetime(2026, 11, 1, 12, tzinfo=UTC)
POLICY = """\
agent: desk
version: 1
roles: {lead: {members: [ana@example.com]}}
actions:
  pay:
    autonomy: pilot
    pilot: {class: sort, match: {amount: WITHIN, note: ignore}, wait: 5d}
  ask:
    autonomy: pilot
"""
STEPS = ("pay", "ask")


def rules(within: str) -> dict[str, PilotDoc]:
    match = {"amount": within, "note": "ignore"}
    return {"pay": PilotDoc.model_validate({"class": "sort", "match": match, "wait": "5d"})}


@dataclass
class World:
    """All that was ever given to a ledger, at random, and given to it as it came."""

    chance: random.Random
    proposals: dict[str, ProposedAction] = field(default_factory=dict[str, ProposedAction])
    outcomes: dict[str, OutcomeRow] = field(default_factory=dict[str, OutcomeRow])
    nothing: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def at(self) -> datetime:
        return NOW - timedelta(hours=self.chance.randint(0, 24 * 12), minutes=7)

    def action(self) -> dict[str, Any]:
        action: dict[str, Any] = {
            "sort": self.chance.choice(["a", "a", "a", "b", None]),
            "amount": str(self.chance.randint(1, 9)) + self.chance.choice(["", ".10", ".0000001"]),
            "note": self.chance.choice(["x", "y"]),
        }
        if self.chance.random() < 0.3:
            action["currency"] = self.chance.choice(["EUR", "USD"])
        return action

    async def propose(self, ledger: Ledger) -> None:
        case, step = f"{AGENT}:{self.chance.randrange(80)}", self.chance.choice(STEPS)
        if case in self.nothing:
            return
        key = f"{case}/{step}/{self.chance.choice([1, 1, 1, 2])}"
        row = ProposedAction(case, step, self.at(), self.action(), key, "d" * 64, "p")
        self.proposals[key] = row
        verdict = VerdictRow(
            case, AGENT, step, key, row.digest, row.at, Kind.PASS, (), "p", "pilot",
            pilot=True, action=row.action or {}, basis=None, requester=None,
        )  # fmt: skip
        await ledger.record_verdict(verdict)

    async def find_nothing(self, ledger: Ledger) -> None:
        case, at = f"{AGENT}:n{self.chance.randrange(20)}", self.at()
        ended = self.chance.random() < 0.7
        row = CaseRow(
            case, "r", AGENT, "b", "p", "event", "d", None, None, at, at if ended else None, "done",
            events=len(self.proposals), pilot=True,
        )  # fmt: skip
        kinds = [self.chance.choice(["pay", None]), None]
        decided = tuple(
            DecisionRow(case, n, AGENT, "choose", at, "i", kind, None, None)
            for n, kind in enumerate(kinds)
        )
        await ledger.record_cases([CaseRecord(row, decided)], anew=True)
        self.nothing.pop(case, None)
        if ended:
            self.nothing[case] = at

    async def decide(self, ledger: Ledger) -> None:
        name = self.chance.choice(["", "n"]) + str(self.chance.randrange(90))
        at, step = self.at(), self.chance.choice(STEPS)
        mine = [e for e in self.proposals.values() if (e.case, e.step) == (f"{AGENT}:{name}", step)]
        action = self.action()
        if mine and self.chance.random() < 0.6:
            action = dict(self.chance.choice(mine).action or {})
        given = None if self.chance.random() < 0.1 else action
        late = timedelta(days=self.chance.choice([0, 0, 9]))
        row = OutcomeRow(
            f"o{self.chance.getrandbits(60)}", AGENT, f"{AGENT}:{name}", step, at, at + late,
            self.chance.choice(["log", "form"]), self.chance.choice(["bo", "cy"]), given, "",
        )  # fmt: skip
        self.outcomes[row.id] = row
        assert await ledger.keep_outcomes([row, row]) == 1

    async def judge(self, ledger: Ledger) -> None:
        if not self.outcomes:
            return
        row = self.chance.choice(list(self.outcomes.values()))
        right = self.chance.choice(["agent", "people", "both"])
        answer = AnswerRow(row.id, "right", "ana", NOW, "", "")
        assert await ledger.judge_outcome(right, answer)
        judged: Any = {"judged": right, "judged_by": "ana", "judged_at": NOW, "judged_why": ""}
        self.outcomes[row.id] = OutcomeRow(**{**vars(row), **judged})

    async def erase(self, ledger: Ledger) -> None:
        case = f"{AGENT}:{self.chance.randrange(80)}"
        order = OrderRow(
            id=case, kind="erase", agent=AGENT, step=None, case=case, by="ana", at=NOW,
            level=None, rollout=None, why="", proofs=(),
        )  # fmt: skip
        if not await ledger.erase_case(order):
            return
        self.outcomes = {i: row for i, row in self.outcomes.items() if row.case != case}
        for key, row in self.proposals.items():
            if row.case == case:
                self.proposals[key] = ProposedAction(
                    case, row.step, row.at, {}, key, row.digest, "p"
                )

    def whole(self, step: str | None, since: datetime | None, within: str) -> dict[str, Any]:
        """The figures by all rows, reckoned at once."""
        outcomes = [row for row in self.outcomes.values() if step in {None, row.step}]
        outcomes.sort(key=lambda row: (row.at, row.id))
        proposals = [row for row in self.proposals.values() if step in {None, row.step}]
        known = {(row.case, row.step) for row in proposals}
        proposals += [
            ProposedAction(case, of, self.nothing[case], None, key=f"{case}/{of}", digest="i")
            for case, of in dict.fromkeys((row.case, row.step) for row in outcomes)
            if case in self.nothing and (case, of) not in known
        ]
        proposals.sort(key=lambda row: (row.at, row.key))
        return reckon(proposals, outcomes, rules(within), NOW, since)


def figures(view: PilotView) -> dict[str, Any]:
    def bound(each: Any) -> tuple[Any, ...]:
        return (each.n, each.low, each.high, each.share if each.n >= 20 else None)

    return {
        "proposed": view.proposed,
        "since": view.since,
        "until": view.until,
        "same": bound(view.same),
        "agreement": bound(view.agreement),
        "classes": {each.kind: (each.same, bound(each.agreement)) for each in view.classes},
        "path": [(each.at, each.n, each.share, each.low, each.high) for each in view.path],
        "kinds": view.selection.kinds,
        "means": view.selection.means,
        "drift": (view.selection.index, view.selection.differ),
        "judged": view.judged,
        "apart": {each.id for each in view.disagreements},
        "difference": view.difference,
        "waiting": view.waiting,
        "missing": view.missing,
        "contradicting": sorted(view.contradicting),
        "unmatched": view.unmatched,
        "several": view.several,
        "late": view.late,
        "hindsight": view.hindsight,
    }


def bounds(found: dict[str, Any]) -> dict[str, Any]:
    def bound(each: Any) -> tuple[Any, ...]:
        return (each.n, each.low, each.high, each.share if each.n >= 20 else None)

    classes = {kind: (same, bound(each)) for kind, (same, each) in found["classes"].items()}
    pairs = {name: bound(found[name]) for name in ("same", "agreement")}
    return found | pairs | {"classes": classes}


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_kept_is_what_all_rows_come_to(ledger: Ledger, seed: int) -> None:
    world, within = World(random.Random(seed)), "5%"  # noqa: S311  # a seed, no secret
    await ledger.loaded(AGENT, 1, "s1", "desk v1", POLICY.replace("WITHIN", within))
    owner = Operator(None, ledger, by="ana@example.com", clock=lambda: NOW)
    doings = (world.propose, world.decide, world.find_nothing, world.judge, world.erase)
    for look in range(6):
        for _ in range(60):
            await world.chance.choices(doings, (45, 45, 4, 5, 1))[0](ledger)
        if look == 4:
            within = "2"
            await ledger.loaded(AGENT, 2, "s2", "desk v2", POLICY.replace("WITHIN", within))
        for step, since in ((None, None), ("pay", None), (None, NOW - timedelta(days=6))):
            kept = figures(await owner.pilot(AGENT, step, since))
            assert kept == bounds(world.whole(step, since, within)), f"look {look}"
            of, waits = (AGENT, step, since), {"": NOW - timedelta(days=5)}
            counted, all_ = [
                await ledger.comparison_figures(*of, waits=waits, points=n) for n in (0, 9)
            ]
            assert counted == replace(all_, path=(), amounts={}, above={})


async def test_what_comes_in_while_somebody_looks_is_not_lost(ledger: Ledger) -> None:
    world = World(random.Random(1))  # noqa: S311  # a seed, no secret
    await ledger.loaded(AGENT, 1, "s1", "desk v1", POLICY.replace("WITHIN", "5%"))
    owner = Operator(None, ledger, by="ana@example.com", clock=lambda: NOW)

    async def come_in() -> None:
        for _ in range(150):
            await world.chance.choice((world.propose, world.decide))(ledger)

    async def look(task: asyncio.Task[None]) -> None:
        while not task.done():
            await owner.pilot(AGENT)

    coming = asyncio.create_task(come_in())
    await asyncio.gather(coming, *(look(coming) for _ in range(3)))
    assert figures(await owner.pilot(AGENT)) == bounds(world.whole(None, None, "5%"))
