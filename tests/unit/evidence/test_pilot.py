"""What an agent proposed in pilot, held against what people did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import Kind
from handrail.evidence import (
    NOTHING,
    POINTS,
    Pairing,
    PilotReport,
    bound_of,
    compare_place,
    differing,
    measure_agreement,
    measure_pilot,
    rule_digest,
)
from handrail.ledger import (
    AnswerRow,
    CaseRecord,
    CaseRow,
    DecisionRow,
    OutcomeRow,
    ProposedAction,
    VerdictRow,
)
from handrail.policy import PilotDoc

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RULE = PilotDoc.model_validate(
    {"class": "ruling", "match": {"amount": "5%", "paid": "0.01", "note": "ignore"}}
)


def proposed(case: str, at: datetime = NOW, number: int = 1, **action: Any) -> ProposedAction:
    return ProposedAction(
        case, "rule", at, action or {"ruling": "OK"}, f"{case}/rule/{number}", "d" * 64
    )


def did(case: str, at: datetime = NOW, **more: Any) -> OutcomeRow:
    given: dict[str, Any] = {"action": {"ruling": "OK"}, "by": "ana", "source": "log"} | more
    received = given.pop("received", at)
    name = sha256(f"{case} {given}".encode()).hexdigest()
    return OutcomeRow(name, "a", case, "rule", at, received, raw="", **given)


async def measured(
    ledger: Ledger, proposals: list[ProposedAction], outcomes: list[OutcomeRow]
) -> PilotReport:
    """Keep these, and measure the pilot by what the ledger keeps of it."""
    for each in proposals:
        verdict = VerdictRow(
            each.case, "a", each.step, each.key, each.digest, each.at, Kind.PASS, (), "p", "pilot",
            pilot=True, action=each.action or {}, basis=None, requester=None,
        )  # fmt: skip
        await ledger.record_verdict(verdict)
    await ledger.keep_outcomes(outcomes)
    for row in outcomes:
        if row.judged:
            await ledger.judge_outcome(row.judged, AnswerRow(row.id, "right", "bo", NOW, "", ""))
    rules = {"": rule_digest(RULE)}
    await ledger.compare("a", rules, lambda s, p, d: compare_place("a", s, p, d, RULE))
    figures = await ledger.comparison_figures("a", waits={"": NOW - RULE.wait}, points=POINTS)
    apart, judged = [
        [
            Pairing(e.proposed, e.outcome, e.kind, e.fields, e.above)
            for e in await ledger.differences("a", judged=which)
        ]
        for which in (False, True)
    ]
    return measure_pilot(figures, apart, judged)


@pytest.mark.parametrize(
    ("mine", "theirs", "fields"),
    [
        ({"amount": "105.00"}, {"amount": 100}, ()),
        ({"amount": "105.01"}, {"amount": 100}, ("amount",)),
        ({"amount": "94.99"}, {"amount": 100}, ("amount",)),
        ({"paid": "1.00"}, {"paid": "1.01"}, ()),
        ({"paid": "1.00"}, {"paid": "1.02"}, ("paid",)),
        ({"paid": "1.00"}, {"paid": None}, ("paid",)),
        ({"other": "1.0"}, {"other": 1}, ()),
        ({"note": "a", "ruling": "OK"}, {"note": "b", "ruling": "NOK"}, ("ruling",)),
        ({"ruling": "OK", "more": 1}, {"ruling": "OK"}, ()),
        ({}, {"ruling": "OK"}, ("ruling",)),
        ({"ruling": "OK"}, None, (NOTHING,)),
        (None, {"ruling": "OK"}, (NOTHING,)),
        (None, None, ()),
    ],
)
def test_fields_are_the_same_within_the_tolerances_of_the_policy(
    mine: dict[str, Any] | None, theirs: dict[str, Any] | None, fields: tuple[str, ...]
) -> None:
    assert differing(mine, theirs, RULE) == fields


async def test_what_cannot_be_compared_is_counted_and_not_guessed(ledger: Ledger) -> None:
    old, later = NOW - timedelta(days=20), NOW + timedelta(hours=1)
    found = await measured(
        ledger,
        [
            proposed("agrees"),
            proposed("waits"),
            proposed("missing", old),
            proposed("twice"),
            proposed("corrected"),
            proposed("contradicted"),
            proposed("late", old),
            proposed("known", later),
        ],
        [
            did("agrees"),
            did("twice", by="ana"),
            did("twice", by="bo"),
            did("corrected", by="ana", action={"ruling": "NOK"}),
            did("corrected", later, by="ana"),
            did("contradicted", by="ana"),
            did("contradicted", by="bo", action={"ruling": "NOK"}),
            did("late", old, received=old + timedelta(days=15)),
            did("known"),
            did("never seen"),
        ],
    )
    assert [(each.kind, each.same, each.bound.n) for each in found.classes] == [("OK", 5, 5)]
    assert found.disagreements == ()
    assert (found.waiting, found.missing, found.unmatched) == (1, 1, 1)
    assert found.contradicting == ("contradicted",)
    assert (found.several, found.late, found.hindsight) == (2, 1, 1)


async def test_of_several_writes_in_a_step_those_that_agree_belong_together(
    ledger: Ledger,
) -> None:
    found = await measured(
        ledger,
        [proposed("c", number=1, ruling="OK"), proposed("c", number=2, ruling="NOK")],
        [did("c", action={"ruling": "NOK"}), did("c", NOW + timedelta(1), by="bo")],
    )
    assert [(each.same, each.bound.n) for each in found.classes] == [(1, 1), (1, 1)]


async def test_a_disagreement_counts_against_the_agent_until_it_is_judged(ledger: Ledger) -> None:
    rows = [did(str(n), action={"ruling": "NOK"}) for n in range(4)]
    rows = [
        replace(row, judged=judged)
        for row, judged in zip(rows, ["agent", "both", "people", None], strict=True)
    ]
    found = await measured(ledger, [proposed(str(n)) for n in range(4)], rows)
    assert found.same == measure_agreement([0, 0, 0, 0])
    assert found.bound == measure_agreement([1, 1, 0, 0])
    assert found.disagreements[0].outcome.judged is None
    assert found.judged == {"agent": 1, "both": 1, "people": 1}


async def test_agreement_is_told_by_class_over_time_and_by_what_is_undecided(
    ledger: Ledger,
) -> None:
    ok = [proposed(f"ok{n}", NOW + timedelta(n), ruling="OK", amount=10) for n in range(80)]
    nok = [proposed(f"nok{n}", NOW + timedelta(n), ruling="NOK", amount=40) for n in range(60)]
    rows = [did(each.case, each.at, action=dict(each.action or {})) for each in ok]
    rows[7] = did("ok7", action={"ruling": "NOK", "amount": 4})
    found = await measured(ledger, [*ok, *nok], rows)
    assert [(each.kind, each.same, each.bound.n) for each in found.classes] == [("OK", 79, 80)]
    assert len(found.path) <= 61
    assert found.path[-1].bound == found.bound
    assert found.selection.kinds == {"NOK": (0, 60), "OK": (80, 0)}
    assert found.selection.means == {"amount": (Decimal(10), Decimal(40))}
    assert found.selection.drift.drifted
    assert found.difference == {"amount": Decimal(6)}


async def test_of_nothing_there_are_no_figures(ledger: Ledger) -> None:
    found = await measured(ledger, [], [])
    assert found.bound.share is None
    assert (found.bound.low, found.bound.high) == (0, 1)
    assert found.path == ()
    assert found.since is None


@pytest.mark.parametrize("n", [0, 1, 7, 300])
def test_a_bound_by_counts_is_the_one_of_the_cases_in_their_order(n: int) -> None:
    for differ in {0, min(n, 1), n // 3, n}:
        agreed = [1] * (n - differ) + [0] * differ
        for order in (agreed, agreed[::-1]):
            assert bound_of(n, differ) == measure_agreement(order)


async def test_doing_nothing_where_people_do_nothing_shows_nothing_of_what_may_be_written(
    ledger: Ledger,
) -> None:
    """Ten easy cases for each would hide that half of what it would have written is wrong."""
    cases, wrong = [f"w{n}" for n in range(20)], {f"w{n}" for n in range(10)}
    outcomes = [did(case, action={"ruling": "NOK" if case in wrong else "OK"}) for case in cases]
    idle = [f"n{n}" for n in range(200)]
    for case in idle:
        row = CaseRow(
            case, "r", "a", "b", "p", "event", "d", None, None, NOW, NOW, "done", pilot=True
        )
        decided = DecisionRow(case, 1, "a", "choose", NOW, "i", None, None, None)
        await ledger.record_cases([CaseRecord(row, (decided,))])
    outcomes += [did(case, action=None) for case in idle]
    found = await measured(ledger, [proposed(case) for case in cases], outcomes)
    assert found.bound == bound_of(220, 10)
    assert found.writes == bound_of(20, 10)
