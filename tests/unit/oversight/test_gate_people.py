"""All that people can say to a gate, in any order: what must never be, whatever happens.

Other than in `test_gate`, there is no model that says what is accepted: this one keeps its own
books of who said what in whose place, and checks by trying every way to seat them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from handrail.actions import Action, Ask, RoleStage, Ruling, RulingRecord, Terms, digest_of
from handrail.oversight.gate import Gate, next_moment, open_gate, pass_time
from handrail.oversight.questions import GateKind, Question
from handrail.oversight.rulings import answered_by_agent
from handrail.oversight.rulings import judge_ruling as judge
from handrail.policy import after_working_time

# A Friday, half an hour before work ends in most of the hours below.
START = datetime(2026, 1, 2, 16, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = ["ana@x.org", "bo@x.org", "cy@x.org", "dee@x.org", "fay@x.org"]
STRANGER = "eve@x.org"
DEPUTIES = ["fay@x.org", "gil@x.org"]
EVERYBODY = [*PEOPLE, "gil@x.org", STRANGER]


class Pay(Action):
    """Pay."""

    amount: int = 5


ACTION = Pay().model_dump(mode="json")
DIGEST = digest_of("pay", ACTION)


def _hours(first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Working time on each of the next days but the weekend, from an hour to another."""
    day = datetime(2026, 1, 2, tzinfo=UTC)
    days = [day + timedelta(days=n) for n in range(60)]
    spans = [
        (
            int((d + timedelta(hours=first)).timestamp()),
            int((d + timedelta(hours=last)).timestamp()),
        )
        for d in days
        if d.weekday() < 5
    ]
    return tuple(span for span in spans if span[1] > START.timestamp())


OPEN: tuple[tuple[tuple[int, int], ...], ...] = ((), _hours(9, 17), _hours(8, 12))


@st.composite
def stages(draw: st.DrawFn) -> RoleStage:
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True))
    remind = draw(st.none() | st.integers(1, 200))
    return RoleStage(
        role=f"{'-'.join(p[0] for p in people)}{draw(st.integers(0, 3))}",
        people=tuple(people),
        quorum=draw(st.integers(1, len(people))),
        after=timedelta(minutes=draw(st.integers(10, 600))),
        remind=timedelta(minutes=remind) if remind else None,
        open=draw(st.sampled_from(OPEN)),
        stops=draw(st.booleans()),
        deputies=tuple(draw(st.lists(st.sampled_from(DEPUTIES), max_size=2, unique=True))),
    )


chains = st.builds(Ask, stages=st.lists(stages(), min_size=1, max_size=3).map(tuple))


def bound(ask: Ask) -> datetime:
    """When a chain is over at the latest: each stage lasts, and stands still, for its time."""
    at = START
    for stage in ask.stages:
        at = after_working_time(at, 2 * stage.after if stage.stops else stage.after, stage.open)
    return at


class People(RuleBasedStateMachine):
    """Any order of approvals, questions, answers, delegations, revocations and time."""

    @initialize(
        asks=st.lists(chains, min_size=1, max_size=2),
        requester=st.none() | st.sampled_from(PEOPLE),
        drafters=st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True),
        may=st.booleans(),
        apart=st.booleans(),
    )
    def open(
        self,
        asks: list[Ask],
        requester: str | None,
        drafters: list[str],
        may: bool,  # noqa: FBT001
        apart: bool,  # noqa: FBT001
    ) -> None:
        question = Question(
            kind=GateKind.WRITE,
            step="pay",
            title="t",
            action=ACTION,
            digest=DIGEST,
            why="w",
            asks=tuple(asks),
            requester=requester,
            drafters=tuple(drafters),
            terms=Terms(drafter=may, apart=apart),
        )
        self.gate = open_gate("g1", question, START)
        self.now = START
        self.barred = {requester, *(() if may else drafters)} - {None}
        self.said: dict[str, datetime] = {}
        self.seats: dict[str, str] = {}
        self.moment = next_moment(self.gate)

    # What happens

    @rule(minutes=st.integers(0, 400), looked=st.booleans())
    def wait(self, minutes: int, looked: bool) -> None:  # noqa: FBT001
        self.now += timedelta(minutes=minutes)
        if looked:
            self.gate, _ = pass_time(self.gate, self.now)

    @rule()
    def wait_for_the_next_moment(self) -> None:
        moment = next_moment(self.gate)
        if moment is not None:
            self.now = max(self.now, moment)
            self.gate, passed = pass_time(self.gate, self.now)
            assert passed, "the gate asked to be woken, and nothing happened"

    def _send(self, verb: str, by: str, **more: Any) -> RulingRecord:
        said = {"gate": "g1", "digest": DIGEST, "by": by} | more
        before = self.gate
        self.gate, record = judge(before, verb, Ruling.model_validate(said), self.now, Pay)
        if not record.accepted:
            aged, _ = pass_time(before, self.now)
            assert self.gate == aged, f"a refused {verb} changed the gate: {record.note}"
        return record

    @rule(by=st.sampled_from(EVERYBODY), spelt=st.sampled_from([str, str.upper, " {} ".format]))
    def approve(self, by: str, spelt: Any) -> None:
        if self._send("approve", spelt(by)).accepted:
            self.said[by] = self.now

    @rule(by=st.sampled_from(EVERYBODY), to=st.sampled_from([*EVERYBODY, "ANA@x.org"]))
    def delegate(self, by: str, to: str) -> None:
        record = self._send("delegate", by, to=to)
        if record.accepted:
            assert to in DEPUTIES
            assert to != by
            assert to not in self.barred
            assert by not in self.seats, "a deputy delegated further"
            self.seats[to] = by

    @rule(by=st.sampled_from(EVERYBODY))
    def revoke(self, by: str) -> None:
        """What is not used yet can always be taken back; and then it counts for nothing."""
        is_open = pass_time(self.gate, self.now)[0].closed is None
        given = by in self.said
        record = self._send("revoke", by)
        assert record.accepted or not (is_open and given), record.note
        if record.accepted:
            self.said.pop(by, None)
            self.seats = {to: of for to, of in self.seats.items() if of != by}
            assert by not in self.gate.agreeing()

    @rule(by=st.sampled_from(EVERYBODY), to=st.sampled_from([*EVERYBODY, "agent"]))
    def ask(self, by: str, to: str) -> None:
        self._send("ask", by, to=to, why="why?")

    @rule(by=st.sampled_from(EVERYBODY), number=st.integers(1, 4))
    def answer(self, by: str, number: int) -> None:
        asked = next((a for a in self.gate.asked if a.id == f"q{number}"), None)
        record = self._send("answer", by, question=f"q{number}", answer="so")
        if record.accepted:
            assert asked is not None
            assert asked.to == by
            assert asked.answer is None

    @precondition(lambda self: self.gate.closed is None and self.gate.unanswered())
    @rule()
    def the_agent_answers(self) -> None:
        asked = self.gate.unanswered()[0]
        self.gate, _ = pass_time(self.gate, self.now)
        if self.gate.closed is None:
            self.gate = answered_by_agent(self.gate, asked.id, "so", self.now)

    @rule(by=st.sampled_from(EVERYBODY), amount=st.sampled_from([5, 6]))
    def amend(self, by: str, amount: int) -> None:
        record = self._send("amend", by, action={"amount": amount})
        if record.accepted:
            assert amount == 6
            assert self.gate.closed is not None
            assert self.gate.closed.how == "amended"

    # What must always be true

    @invariant()
    def approved_means_enough_different_people_in_their_seats(self) -> None:
        closed = self.gate.closed
        if closed is None or closed.how != "approved":
            return
        assert set(closed.by) == set(self.said) - self.barred
        voices = [(by, self.seats.get(by, by), at) for by, at in self.said.items()]
        assert not self.barred & {by for by, _, _ in voices} & set(closed.by)
        assert _enough(self.gate, voices), (self.gate.legs, voices)

    @invariant()
    def it_never_closes_later_than_its_bound(self) -> None:
        latest = min(bound(leg.ask) for leg in self.gate.legs)
        aged, _ = pass_time(self.gate, self.now)
        if self.now >= max(bound(leg.ask) for leg in self.gate.legs):
            assert aged.closed is not None
        if aged.closed is not None and aged.closed.how == "expired":
            assert aged.closed.at <= max(latest, *(bound(leg.ask) for leg in self.gate.legs))

    @invariant()
    def an_open_gate_has_a_next_moment_ahead(self) -> None:
        aged, _ = pass_time(self.gate, self.now)
        moment = next_moment(aged)
        if aged.closed is not None:
            assert moment is None
            return
        assert moment is not None
        assert moment > self.now
        assert moment <= max(bound(leg.ask) for leg in aged.legs)

    @invariant()
    def it_survives_the_wire(self) -> None:
        assert Gate.model_validate_json(self.gate.model_dump_json()) == self.gate


Voice = tuple[str, str, datetime]


def _enough(gate: Gate, voices: list[Voice]) -> bool:
    """Whether each chain can have a quorum, by trying every choice of stages and of people."""
    ways = [[(stage, number) for number, stage in enumerate(leg.reached)] for leg in gate.legs]
    return any(_filled(gate, choice, voices) for choice in product(*ways))


def _filled(gate: Gate, choice: tuple[tuple[RoleStage, int], ...], voices: list[Voice]) -> bool:
    options: list[list[frozenset[str]]] = []
    for leg, (stage, number) in zip(gate.legs, choice, strict=True):
        seats = _seats(leg.reached[number:], leg.starts[number:], voices)
        options.append(
            [
                frozenset(by for by, _ in some)
                for some in combinations(seats, stage.quorum)
                if len({by for by, _ in some}) == len({seat for _, seat in some}) == stage.quorum
            ]
        )
    if not gate.question.terms.apart:
        return all(options)
    return any(
        sum(map(len, some)) == len(frozenset[str]().union(*some)) for some in product(*options)
    )


def _seats(
    reached: tuple[RoleStage, ...], starts: tuple[datetime, ...], voices: list[Voice]
) -> list[tuple[str, str]]:
    """Who counts for a stage, in whose seat: as one of it, or of one above, said in its time."""
    found = {
        (by, seat)
        for by, own, at in voices
        for seat in (own, by)
        for stage, start in zip(reached, starts, strict=True)
        if seat in stage.people and at >= start
    }
    return sorted(found)


TestPeople = People.TestCase
TestPeople.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
)
