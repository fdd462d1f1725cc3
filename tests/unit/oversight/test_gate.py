"""The gate against a simple model: no order of rulings, times and garbage lets anything through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from handrail.actions import Action, Ask, RoleStage, Ruling, RulingRecord, digest_of
from handrail.oversight.gate import (
    Closing,
    Gate,
    entitled,
    next_moment,
    open_gate,
    pass_time,
    withdraw_gate,
)
from handrail.oversight.questions import GateKind, Question
from handrail.oversight.rulings import judge_ruling as judge

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = ["ana@x.org", "bo@x.org", "cy@x.org", "dee@x.org"]
STRANGER = "eve@x.org"


class Pay(Action):
    """Pay."""

    amount: int = 5


ACTION = Pay().model_dump(mode="json")
DIGEST = digest_of("pay", ACTION)


def stage(
    role: str, *people: str, quorum: int = 1, after: timedelta = HOUR, **more: Any
) -> RoleStage:
    return RoleStage(role=role, people=people, quorum=quorum, after=after, **more)


def question(*asks: Ask, kind: GateKind = GateKind.WRITE, **more: Any) -> Question:
    return Question(
        kind=kind, step="pay", title="t", action=ACTION, digest=DIGEST, why="w", asks=asks, **more
    )


def opened(*asks: Ask, **more: Any) -> Gate:
    return open_gate("g1", question(*asks, **more), START)


def ruling(by: str, **changes: Any) -> Ruling:
    return Ruling.model_validate({"gate": "g1", "digest": DIGEST, "by": by} | changes)


def told(
    gate: Gate, verb: str, by: str, at: timedelta = timedelta(0), /, **changes: Any
) -> tuple[Gate, RulingRecord]:
    return judge(gate, verb, ruling(by, **changes), START + at, Pay)


ONE = Ask(stages=(stage("lead", "ana@x.org", "bo@x.org"),))
TWO = Ask(stages=(stage("lead", "ana@x.org", "bo@x.org", "cy@x.org", quorum=2),))
UP = Ask(stages=(stage("lead", "ana@x.org"), stage("boss", "cy@x.org", after=2 * HOUR)))


# The model: what each chain has seen, told from its own ends, without the gate's code.


@dataclass
class Chain:
    """One chain of stages, and who agreed to what it asks."""

    stages: Sequence[RoleStage]
    settled: int | None = None
    """The stages that were reached when it got its quorum."""

    def reached(self, passed: timedelta) -> int:
        """How many stages may rule when that much time has passed; too many if it is over."""
        if self.settled is not None:
            return self.settled
        ends = [
            sum((s.after for s in self.stages[: n + 1]), timedelta(0))
            for n in range(len(self.stages))
        ]
        return 1 + sum(1 for end in ends if passed >= end)

    def over(self, passed: timedelta) -> bool:
        return self.reached(passed) > len(self.stages)

    def people(self, passed: timedelta) -> set[str]:
        return {p for s in self.stages[: self.reached(passed)] for p in s.people}

    def start(self, number: int) -> timedelta:
        return sum((s.after for s in self.stages[:number]), timedelta(0))

    def counts(self, by: str, said: timedelta, number: int) -> bool:
        """Whether what they said then counts for that stage: as one of it, or from above."""
        return any(
            by in self.stages[n].people and said >= self.start(n)
            for n in range(number, len(self.stages))
        )

    def has_quorum(self, agreed: Sequence[tuple[str, timedelta]], passed: timedelta) -> bool:
        return any(
            len({by for by, said in agreed if self.counts(by, said, n)}) >= self.stages[n].quorum
            for n in range(self.reached(passed))
        )

    def asks_again(self, by: str, last: timedelta, passed: timedelta) -> bool:
        """Whether they are asked in a stage that was reached after they spoke last."""
        return self.settled is None and any(
            by in self.stages[n].people and self.start(n) > last
            for n in range(min(self.reached(passed), len(self.stages)))
        )


@dataclass
class Model:
    """What must be true of a gate."""

    chains: list[Chain]
    requester: str | None
    agreed: list[tuple[str, timedelta]] = field(default_factory=list[tuple[str, timedelta]])
    end: str | None = None

    def over(self, passed: timedelta) -> bool:
        return any(chain.over(passed) for chain in self.chains if chain.settled is None)

    def may(self, by: str, passed: timedelta) -> bool:
        return any(by in chain.people(passed) for chain in self.chains)

    def has_ruled(self, by: str, passed: timedelta) -> bool:
        spoke = [said for who, said in self.agreed if who == by]
        return bool(spoke) and not any(c.asks_again(by, spoke[-1], passed) for c in self.chains)

    def agree(self, by: str, passed: timedelta) -> None:
        self.agreed.append((by, passed))
        for chain in self.chains:
            if chain.settled is None and chain.has_quorum(self.agreed, passed):
                chain.settled = chain.reached(passed)
        if all(chain.settled is not None for chain in self.chains):
            self.end = "approved"


@st.composite
def some_stage(draw: st.DrawFn) -> RoleStage:
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True))
    remind = draw(st.none() | st.integers(1, 100))
    return RoleStage(
        role="-".join(sorted(people))[:40],
        people=tuple(people),
        quorum=min(draw(st.integers(1, 3)), len(people)),
        after=timedelta(minutes=draw(st.integers(1, 300))),
        remind=timedelta(minutes=remind) if remind else None,
    )


asks = st.builds(Ask, stages=st.lists(some_stage(), min_size=1, max_size=3).map(tuple))


class Gates(RuleBasedStateMachine):
    """Any order of rulings, garbage and time."""

    @initialize(
        asks=st.lists(asks, min_size=1, max_size=3), who=st.none() | st.sampled_from(PEOPLE)
    )
    def open(self, asks: list[Ask], who: str | None) -> None:
        self.gate = opened(*asks, requester=who)
        self.model = Model([Chain(ask.stages) for ask in asks], who)
        self.passed = timedelta(0)
        self.seen: Closing | None = None
        self.before = self.gate

    @rule(minutes=st.integers(0, 200), looked=st.booleans())
    def wait(self, minutes: int, looked: bool) -> None:  # noqa: FBT001
        """Time passes; the workflow may wake up for it, or be late."""
        self.passed += timedelta(minutes=minutes)
        if looked:
            self.gate, _ = pass_time(self.gate, START + self.passed)

    def _rule(self, verb: str, by: str, **changes: Any) -> RulingRecord:
        self.gate, record = told(self.gate, verb, by, self.passed, **changes)
        if self.model.end is None and self.model.over(self.passed):
            self.model.end = "expired"
        return record

    @rule(
        by=st.sampled_from([*PEOPLE, STRANGER]),
        spelt=st.sampled_from([str, str.upper, "  {} ".format]),
    )
    def approve(self, by: str, spelt: Any) -> None:
        model = self.model
        was_open = model.end is None and not model.over(self.passed)
        may = was_open and model.may(by, self.passed)
        record = self._rule("approve", spelt(by))
        wanted = may and by != model.requester and not model.has_ruled(by, self.passed)
        assert record.accepted is wanted, record.note
        if wanted:
            model.agree(by, self.passed)

    @rule(by=st.sampled_from([*PEOPLE, STRANGER]))
    def reject(self, by: str) -> None:
        model = self.model
        was_open = model.end is None and not model.over(self.passed)
        may = was_open and model.may(by, self.passed) and not model.has_ruled(by, self.passed)
        record = self._rule("reject", by)
        assert record.accepted is may, record.note
        if may:
            model.end = "rejected"

    @rule(by=st.sampled_from([*PEOPLE, STRANGER]), amount=st.sampled_from([5, 6, "lots", None]))
    def amend(self, by: str, amount: Any) -> None:
        model = self.model
        was_open = model.end is None and not model.over(self.passed)
        may = was_open and model.may(by, self.passed)
        record = self._rule("amend", by, action={"amount": amount})
        wanted = (
            may and by != model.requester and not model.has_ruled(by, self.passed) and amount == 6
        )
        assert record.accepted is wanted, record.note
        if wanted:
            model.end = "amended"

    @rule(
        verb=st.sampled_from(["approve", "amend", "reject", "answer", "APPROVE", "", "rule"]),
        by=st.sampled_from(PEOPLE),
        changes=st.sampled_from(
            [
                {"gate": "g0"},
                {"digest": "0" * 64},
                {"digest": DIGEST[:-12] + "0" * 12},
                {"digest": digest_of("refund", ACTION)},
                {"digest": digest_of("pay", {"amount": 6})},
                {"answer": "do it"},
            ]
        ),
    )
    def send_garbage(self, verb: str, by: str, changes: dict[str, Any]) -> None:
        assert not self._rule(verb, by, **changes).accepted

    @invariant()
    def a_closed_gate_stays_as_it_is(self) -> None:
        if self.seen is not None:
            assert self.gate.closed == self.seen
        self.seen = self.gate.closed

    @invariant()
    def it_closes_as_the_model_does(self) -> None:
        if self.gate.closed is not None and self.gate.closed.how == "expired":
            assert self.model.end == "expired" or self.model.over(self.passed)
            self.model.end = "expired"
        assert (self.gate.closed.how if self.gate.closed else None) == self.model.end

    @invariant()
    def approved_means_a_quorum_of_every_chain(self) -> None:
        closed = self.gate.closed
        if closed is not None and closed.how == "approved":
            assert set(closed.by) == {by for by, _ in self.model.agreed}
            assert self.model.requester not in closed.by
            assert STRANGER not in closed.by
            assert all(r.digest == DIGEST for r in self.gate.rulings if r.accepted)

    @invariant()
    def stages_and_reminders_never_go_back(self) -> None:
        for old, new in zip(self.before.legs, self.gate.legs, strict=True):
            assert (new.stage, new.reminded if new.stage == old.stage else 0) >= (
                old.stage,
                old.reminded if new.stage == old.stage else 0,
            )
            assert new.since >= old.since
        assert len(self.gate.rulings) >= len(self.before.rulings)
        self.before = self.gate

    @invariant()
    def an_open_gate_has_a_next_moment(self) -> None:
        aged, _ = pass_time(self.gate, START + self.passed)
        moment = next_moment(aged)
        if aged.closed is None:
            assert moment is not None
            assert moment > START + self.passed
        else:
            assert moment is None

    @invariant()
    def it_survives_the_wire(self) -> None:
        assert Gate.model_validate_json(self.gate.model_dump_json()) == self.gate


TestGates = Gates.TestCase
TestGates.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
)


# What the model leaves out.


@given(steps=st.lists(st.integers(0, 20_000), max_size=40))
def test_time_alone_never_approves_and_at_last_expires(steps: list[int]) -> None:
    gate, now = opened(UP, TWO), START
    for seconds in steps:
        now += timedelta(seconds=seconds)
        gate, _ = pass_time(gate, now)
        assert gate.closed is None or gate.closed.how == "expired"
    gate, _ = pass_time(gate, START + 3 * HOUR)
    assert gate.closed is not None
    assert gate.closed.how == "expired"
    assert gate.closed.at <= START + 3 * HOUR


@given(steps=st.lists(st.integers(1, 7_200), max_size=60))
def test_looking_often_or_once_comes_to_the_same(steps: list[int]) -> None:
    reminded = Ask(stages=(stage("lead", "ana@x.org", after=3 * HOUR, remind=HOUR / 2), *UP.stages))
    often = once = opened(reminded)
    now = START
    for seconds in steps:
        now += timedelta(seconds=seconds)
        often, _ = pass_time(often, now)
    once, passed = pass_time(once, now)
    assert once == often
    whats = [event.what for event in passed]
    assert whats.count("reminder") <= 1
    assert sorted(whats, key=["escalated", "reminder", "expired"].index) == whats


def test_reminders_come_at_their_times_and_not_at_the_deadline() -> None:
    gate = opened(Ask(stages=(stage("lead", "ana@x.org", remind=HOUR / 4),)))
    moments: list[timedelta] = []
    while (moment := next_moment(gate)) is not None:
        moments.append(moment - START)
        gate, _ = pass_time(gate, moment)
    assert moments == [HOUR / 4, HOUR / 2, HOUR * 3 / 4, HOUR]


def test_one_approval_of_an_entitled_person_closes_a_simple_gate() -> None:
    gate, record = told(opened(ONE), "approve", " Bo@X.org")
    assert (record.accepted, record.by, record.role) == (True, "bo@x.org", "lead")
    assert gate.closed is not None
    assert (gate.closed.how, gate.closed.by) == ("approved", ("bo@x.org",))


@pytest.mark.parametrize("length", [12, 13, 64])
def test_a_prefix_of_the_digest_suffices(length: int) -> None:
    _, record = told(opened(ONE), "approve", "ana@x.org", digest=DIGEST[:length].upper())
    assert record.accepted


def test_the_last_moment_counts_and_the_deadline_does_not() -> None:
    instant = timedelta(microseconds=1)
    assert told(opened(ONE), "approve", "ana@x.org", HOUR - instant)[1].accepted
    gate, record = told(opened(ONE), "approve", "ana@x.org", HOUR)
    assert not record.accepted
    assert "expired" in record.note
    assert gate.closed is not None


def test_a_person_from_above_completes_a_quorum_below_and_not_the_other_way_round() -> None:
    chain = Ask(
        stages=(
            stage("lead", "ana@x.org", "bo@x.org", quorum=2),
            stage("boss", "cy@x.org", "dee@x.org", quorum=2),
        )
    )
    gate, _ = told(opened(chain), "approve", "ana@x.org")
    assert not told(gate, "approve", "cy@x.org")[1].accepted
    gate, record = told(gate, "approve", "cy@x.org", HOUR)
    assert record.accepted
    assert gate.closed is not None
    assert gate.closed.how == "approved"
    below, _ = told(opened(chain), "approve", "ana@x.org", HOUR)
    assert below.closed is None


def test_what_was_said_as_one_of_a_lower_stage_is_not_taken_for_the_next_one() -> None:
    chain = Ask(
        stages=(stage("lead", "ana@x.org", "bo@x.org", quorum=2), stage("boss", "ana@x.org"))
    )
    gate, _ = told(opened(chain), "approve", "ana@x.org")
    assert not told(gate, "approve", "ana@x.org", HOUR / 2)[1].accepted
    escalated, _ = pass_time(gate, START + HOUR)
    assert escalated.closed is None
    assert escalated.waiting_for == ("boss",)
    assert next_moment(escalated) == START + 2 * HOUR
    gate, record = told(gate, "approve", "ana@x.org", HOUR)
    assert record.accepted, record.note
    assert gate.closed is not None
    assert gate.closed.how == "approved"


def test_a_gate_that_opens_although_enough_was_given_still_ends() -> None:
    enough = told(opened(ONE), "approve", "ana@x.org")[1]
    gate = opened(ONE, given=(enough,))
    assert next_moment(gate) == START + HOUR
    assert told(gate, "approve", "bo@x.org")[0].closed is not None
    gate, _ = pass_time(gate, START + HOUR)
    assert gate.closed is not None
    assert gate.closed.how == "expired"


def test_what_was_given_before_counts_for_the_same_action_only() -> None:
    given_before = told(opened(TWO), "approve", "ana@x.org")[1]
    gate = opened(TWO, given=(given_before,))
    assert told(gate, "approve", "ana@x.org")[1].note == "ana@x.org has ruled on this gate already"
    gate, _ = told(gate, "approve", "bo@x.org")
    assert gate.closed is not None
    other = given_before.model_copy(update={"digest": "0" * 64})
    gate, _ = told(opened(TWO, given=(other,)), "approve", "bo@x.org")
    assert gate.closed is None
    refused = given_before.model_copy(update={"accepted": False})
    gate, _ = told(opened(TWO, given=(refused,)), "approve", "bo@x.org")
    assert gate.closed is None


@pytest.mark.parametrize("kind", list(GateKind))
@pytest.mark.parametrize("verb", ["approve", "reject", "amend", "answer", "pause"])
def test_each_kind_of_gate_takes_its_own_verbs(kind: GateKind, verb: str) -> None:
    takes = {
        GateKind.WRITE: {"approve", "reject", "amend"},
        GateKind.IN_DOUBT: {"answer"},
        GateKind.UNDO: {"approve", "reject"},
        GateKind.UNDECIDED: {"approve", "reject"},
        GateKind.READ: {"approve", "reject"},
        GateKind.QUESTION: {"answer", "reject"},
    }
    extra: dict[str, Any] = {"answer": {"answer": "drop"}, "amend": {"action": {"amount": 6}}}
    _, record = told(opened(ONE, kind=kind), verb, "ana@x.org", **extra.get(verb, {}))
    assert record.accepted is (verb in takes[kind])


def test_different_answers_to_a_doubt_make_no_quorum() -> None:
    gate = opened(TWO, kind=GateKind.IN_DOUBT)
    gate, _ = told(gate, "answer", "ana@x.org", answer="happened", result="r1")
    gate, _ = told(gate, "answer", "bo@x.org", answer="do it")
    assert gate.closed is None
    gate, _ = told(gate, "answer", "cy@x.org", answer="do it")
    assert gate.closed is not None
    assert (gate.closed.how, gate.closed.answer) == ("answered", "do it")


def test_a_result_that_does_not_fit_is_refused() -> None:
    gate = opened(ONE, kind=GateKind.IN_DOUBT)
    said = ruling("ana@x.org", answer="happened", result=7)
    same, record = judge(gate, "answer", said, START, Pay, result_fault=lambda _: "7 is no text")
    assert (record.accepted, record.note, same.closed) == (False, "7 is no text", None)


def test_a_withdrawn_gate_is_closed_for_good() -> None:
    gate = withdraw_gate(opened(ONE), START, "the case ended")
    assert withdraw_gate(gate, START + HOUR, "again") == gate
    gate, record = told(gate, "approve", "ana@x.org")
    assert "withdrawn" in record.note
    assert pass_time(gate, START + 9 * HOUR) == (gate, ())


def test_a_gate_names_who_may_rule_now() -> None:
    gate = opened(UP)
    assert entitled(gate) == ("ana@x.org",)
    assert gate.waiting_for == ("lead",)
    later, passed = pass_time(gate, START + HOUR)
    assert entitled(later) == ("ana@x.org", "cy@x.org")
    assert later.waiting_for == ("boss",)
    assert [(p.what, p.role, p.to) for p in passed] == [("escalated", "lead", "boss")]
    assert later.deadline == START + 3 * HOUR
