"""The approval gate: one open question to humans about one action.

Pure and deterministic: `(gate, ruling or time) -> gate`. It knows nothing of Temporal;
the workflow feeds it and acts on how it closed. Time is always an argument. How a ruling
is judged is in `judging`; what time does to a gate, and who counts, is here.

A gate asks one or more chains of roles (`Ask`). Each chain stands at a stage; when the
stage's time is over it goes to the next one, and after the last the gate expires. The
people of every stage reached so far may rule. A gate is approved when every chain has
its quorum of distinct people.
"""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from handrail.actions import Ask, Aware, RoleStage, RulingRecord, Verb, Wire, person
from handrail.oversight.questions import Consultation, Question
from handrail.policy import after_working_time, distinct_people, working_time

if TYPE_CHECKING:
    from collections.abc import Sequence


DOUBT_ANSWERS = ("happened", "do it", "drop")
"""What may be answered to a gate that is in doubt."""

THE_AGENT = "agent"
"""Whom an approver asks who asks the agent itself."""


class GateDelegation(Wire):
    """Whose place on this gate went to whom."""

    by: str
    to: str
    at: Aware


class Leg(Wire):
    """Where one chain stands: the stage it reached, since when, and reminders sent in it.

    `began`: since when each earlier stage was asked. `stopped`: since when its clock stands
    still; `stood`: how much working time it stood still before in this stage.
    """

    ask: Ask
    since: Aware
    stage: int = 0
    reminded: int = 0
    began: tuple[Aware, ...] = ()
    stopped: Aware | None = None
    stood: timedelta = timedelta(0)

    @property
    def reached(self) -> tuple[RoleStage, ...]:
        """The stages whose people may rule."""
        return self.ask.stages[: self.stage + 1]

    @property
    def now_asked(self) -> RoleStage:
        """The stage that is being asked."""
        return self.ask.stages[self.stage]

    @property
    def starts(self) -> tuple[datetime, ...]:
        """Since when each of the stages reached is asked."""
        return (*self.began, self.since)

    @property
    def deadline(self) -> datetime:
        """When this stage's time is over. While its clock stands still: at the latest."""
        stage = self.now_asked
        stood = self.stood if self.stopped is None else stage.after
        return after_working_time(self.since, stage.after + stood, stage.open)

    def escalated(self) -> Leg:
        """The chain at its next stage."""
        began, at = (*self.began, self.since), self.deadline
        stopped = at if self.stopped and self.ask.stages[self.stage + 1].stops else None
        return Leg(ask=self.ask, since=at, stage=self.stage + 1, began=began, stopped=stopped)

    def stop(self, now: datetime) -> Leg:
        """Let its clock stand still, if its role's does."""
        if self.stopped is not None or not self.now_asked.stops:
            return self
        return self.model_copy(update={"stopped": now})

    def go_on(self, now: datetime) -> Leg:
        """Let its clock run again. It never stands still for longer than the stage lasts."""
        if self.stopped is None:
            return self
        stage = self.now_asked
        stood = min(self.stood + working_time(self.stopped, now, stage.open), stage.after)
        return self.model_copy(update={"stopped": None, "stood": stood})


class Closing(Wire):
    """How a gate closed."""

    how: Literal["approved", "rejected", "amended", "answered", "expired", "withdrawn"]
    at: Aware
    by: tuple[str, ...] = ()
    why: str = ""
    action: dict[str, JsonValue] | None = None
    answer: str | None = None
    result: JsonValue = None


class TimedEvent(Wire):
    """Something that time alone brought about."""

    what: Literal["reminder", "escalated", "expired"]
    at: Aware
    role: str
    to: str | None = None


class Gate(Wire):
    """One question, how far it got, and the rulings that it took."""

    id: str
    question: Question
    opened: Aware
    legs: tuple[Leg, ...]
    rulings: tuple[RulingRecord, ...] = ()
    asked: tuple[Consultation, ...] = ()
    delegated: tuple[GateDelegation, ...] = ()
    closed: Closing | None = None

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The roles that still owe an answer, each once."""
        return tuple(dict.fromkeys(leg.now_asked.role for leg in self.owing()))

    @property
    def deadline(self) -> datetime | None:
        """When the first of the owing stages is over. None when closed."""
        return min((leg.deadline for leg in self.owing()), default=None)

    def owing(self) -> tuple[Leg, ...]:
        """The chains that have no quorum yet; none of a closed gate."""
        if self.closed is not None:
            return ()
        said = self.said()
        owing = tuple(leg for leg in self.legs if not settled([leg], said))
        # Only a ruling closes a gate. Were none owing, it would never be over either.
        return owing or self.legs

    def agreeing(self) -> frozenset[str]:
        """Who agreed to exactly this action, here or before the gate had to open again."""
        return frozenset(said.by for said in self.said())

    def said(self, answer: str | None = None) -> tuple[Agreement, ...]:
        """Who agreed to exactly this action, and when; what was given before, as it opened.

        With `answer`: who gave that answer to a gate in doubt.
        """
        verbs = {Verb.ANSWER} if answer else {Verb.APPROVE, Verb.AMEND}
        barred = self.question.barred
        return tuple(
            Agreement(by=r.by, at=max(r.at, self.opened), seat=r.stands_for or self.seat_of(r.by))
            for r in (*self.question.given, *self.rulings)
            if r.accepted
            and r.verb in verbs
            and r.digest == self.question.digest
            and r.answer == answer
            and r.by not in barred
        )

    def seat_of(self, by: str) -> str:
        """In whose place somebody rules: in their own, unless it was delegated to them."""
        return next((d.by for d in self.delegated if d.to == by), by)

    def has_given_away(self, by: str) -> bool:
        """Whether somebody's place was delegated to another."""
        return any(d.by == by for d in self.delegated)

    def role_of(self, by: str) -> str | None:
        """The first role asked so far in which somebody may rule; None if in none."""
        if self.has_given_away(by):
            return None
        seats = {by, self.seat_of(by)}
        stages = (stage for leg in self.legs for stage in leg.reached)
        return next((stage.role for stage in stages if seats & people(stage)), None)

    def named(self) -> frozenset[str]:
        """Everybody whom the question names: asked now or later, deputies, the requester."""
        stages = [stage for leg in self.legs for stage in leg.ask.stages]
        all_of = {person(p) for s in stages for p in (*s.people, *s.deputies)}
        return frozenset(all_of | {d.to for d in self.delegated} | self.question.barred)

    def unanswered(self) -> tuple[Consultation, ...]:
        """The questions of approvers that have no answer yet."""
        return tuple(asked for asked in self.asked if asked.answer is None)


class Agreement(Wire):
    """That somebody agreed, when, and in whose place (their own, mostly)."""

    by: str
    at: Aware
    seat: str


def open_gate(gate_id: str, question: Question, now: datetime) -> Gate:
    """Open a gate under an id that was never used before."""
    legs = tuple(Leg(ask=ask, since=now) for ask in question.asks)
    return Gate(id=gate_id, question=question, opened=now, legs=legs)


def next_moment(gate: Gate) -> datetime | None:
    """When time will next do something to the gate. None when it is closed."""
    moments = [min(leg.deadline, _reminder(leg) or leg.deadline) for leg in gate.owing()]
    return min(moments, default=None)


def pass_time(gate: Gate, now: datetime) -> tuple[Gate, tuple[TimedEvent, ...]]:
    """Let it be `now`: reminders, escalations and at last the end that is never an approval."""
    if gate.closed is not None:
        return gate, ()
    passed: list[TimedEvent] = []
    legs: list[Leg] = []
    owing = gate.owing()
    for leg in gate.legs:
        aged, events = _age(leg, now) if leg in owing else (leg, ())
        legs.append(aged)
        passed.extend(events)
    gate = gate.model_copy(update={"legs": tuple(legs)})
    expired = next((p for p in passed if p.what == "expired"), None)
    if expired is not None:
        why = f"nobody of {expired.role} answered in time"
        gate = close(gate, Closing(how="expired", at=expired.at, why=why))
    return gate, tuple(passed)


def withdraw_gate(gate: Gate, now: datetime, why: str) -> Gate:
    """Close a gate that nobody needs answered any more (the case stopped, say)."""
    if gate.closed is not None:
        return gate
    return close(gate, Closing(how="withdrawn", at=now, why=why))


def close(gate: Gate, closing: Closing) -> Gate:
    """Close a gate."""
    return gate.model_copy(update={"closed": closing})


def entitled(gate: Gate) -> tuple[str, ...]:
    """Everybody whose ruling is owed now: those asked, and those who stand in for them."""
    asked = [p for leg in gate.owing() for s in leg.reached for p in s.people]
    deputies = [d.to for d in gate.delegated if gate.closed is None]
    may = (p for p in (*asked, *deputies) if not gate.has_given_away(person(p)))
    return tuple(dict.fromkeys(may))


def people(stage: RoleStage) -> frozenset[str]:
    """The people of a stage, each in one spelling."""
    return frozenset(map(person, stage.people))


def settled(legs: Sequence[Leg], said: Sequence[Agreement], *, apart: bool = False) -> bool:
    """Whether each chain has the quorum of one of the stages it reached.

    A person counts for the own stage and for earlier ones: an approval from above
    completes a quorum below, one from below never fills a quorum above. What was said
    before a stage was reached was not said for it: otherwise time alone would approve.
    A place counts once, whoever sits in it. With `apart` a person counts for one chain only.
    """
    ways = [[way for way in _ways(leg, said) if len(way[0]) >= way[1]] for leg in legs]
    if not apart or len(legs) == 1:
        return all(ways)
    return any(distinct_people(way) for way in itertools.product(*ways))


def _ways(leg: Leg, said: Sequence[Agreement]) -> list[tuple[frozenset[str], int]]:
    """For each stage reached, last first: who counts for it, and how many it takes."""
    ways: list[tuple[frozenset[str], int]] = []
    counting: dict[str, str] = {}
    for stage, start in zip(reversed(leg.reached), reversed(leg.starts), strict=True):
        seats = people(stage)
        for each in said:
            seat = next((s for s in (each.seat, each.by) if s in seats), None)
            if seat is not None and each.at >= start and each.by not in counting.values():
                counting.setdefault(seat, each.by)
        ways.append((frozenset(counting.values()), stage.quorum))
    return ways


def _reminder(leg: Leg) -> datetime | None:
    stage = leg.now_asked
    if stage.remind is None or leg.stopped is not None:
        return None
    moment = after_working_time(
        leg.since, stage.remind * (leg.reminded + 1) + leg.stood, stage.open
    )
    return moment if moment < leg.deadline else None


def _age(leg: Leg, now: datetime) -> tuple[Leg, tuple[TimedEvent, ...]]:
    """Age one chain. Reminders that were missed together count as one."""
    events: list[TimedEvent] = []
    while now >= leg.deadline:
        role = leg.now_asked.role
        if leg.stage + 1 == len(leg.ask.stages):
            return leg, (*events, TimedEvent(what="expired", at=leg.deadline, role=role))
        to = leg.ask.stages[leg.stage + 1].role
        events.append(TimedEvent(what="escalated", at=leg.deadline, role=role, to=to))
        leg = leg.escalated()
    moment = _reminder(leg)
    stage = leg.now_asked
    if stage.remind is not None and moment is not None and now >= moment:
        gone = working_time(leg.since, now, stage.open) - leg.stood
        leg = leg.model_copy(update={"reminded": max(gone // stage.remind, leg.reminded + 1)})
        events.append(TimedEvent(what="reminder", at=now, role=stage.role))
    return leg, tuple(events)
