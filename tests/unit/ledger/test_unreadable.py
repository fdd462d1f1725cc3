"""One row that cannot be read among ten that can: which others it may hide, and how it is told.

| what is read | what one unreadable row does |
|---|---|
| lists of all kinds, and the history of what is normal | left out; the log names it, once |
| one row, by its key | `UnreadableRow`, which names row, field and fix |
| rulings and effects of one case | the same: what is left out may be a rejection |
| what is in force for a case | the same, as it may be a stop; others go on |
| a counter of a limit | nothing passes that it counts, with the fix; others go on |
| a counter whose name no limit has | left out |
| effects that a new limit counts | those that cannot be counted are left out |
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Ledger
from handrail.actions import Kind, Receipt, Ruling
from handrail.exceptions import LedgerUnavailable
from handrail.ledger import (
    AlertRow,
    AnswerRow,
    BaselineRow,
    CaseRecord,
    CaseRow,
    IncidentRow,
    IntakeRow,
    IntakeState,
    MandateRow,
    OrderRow,
    OverLimit,
    QuestionRow,
    ReviewRow,
    RulingRow,
    UnreadableRow,
    VerdictRow,
)
from handrail.ledger.rows import leave_out
from handrail.wire import Limit
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 1, 1, 12, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEN = range(10)
LONG_AGO = timedelta(days=36_500)


def change(url: str, statement: str, **given: Any) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement), given)


def verdict(number: int) -> VerdictRow:
    return VerdictRow(
        case=f"a:{number}",
        agent="a",
        step="pay",
        key=f"a:{number}/pay/1",
        digest="d" * 64,
        at=NOW,
        kind=Kind.PASS,
        findings=(),
        policy="a v1",
        autonomy="full",
        pilot=False,
        action={"amount": "1"},
        basis=None,
        requester=None,
    )


async def done(ledger: Ledger, number: int, **more: Any) -> None:
    key = f"a:{number}/pay/1"
    await ledger.begin(
        intent(key, alone=True, share=1.0, action={"amount": "1", "to": str(number)}, **more)
    )
    await ledger.finish(Receipt(key=key, step="pay", digest="d" * 64, at=NOW, result="ok"))


def recorded(number: int) -> CaseRecord:
    case, digest = f"a:{number}", "d" * 64
    row = CaseRow(case, "r", "a", "b", "p", "event", digest, None, None, NOW, NOW, "done", cost="1")
    question = QuestionRow(case, "g", "a", "pay", "write", ("lead",), NOW)
    return CaseRecord(row, questions=(question,))


async def fill(ledger: Ledger) -> None:
    """Ten rows of each kind."""
    for n in TEN:
        key = f"a:{n}/pay/1"
        await done(ledger, n)
        await ledger.record_verdict(verdict(n))
        await ledger.order(OrderRow(f"stop{n}", "stop", "a", "ana", NOW, case=f"a:{n}"))
        await ledger.incident(IncidentRow(f"i{n}", "a", "pay", f"a:{n}", key, "failed", "x", NOW))
        await ledger.review(ReviewRow(key, "a", "pay", f"a:{n}", NOW, "drawn", 1.0, "lead", ("b",)))
        await ledger.add_mandate(
            MandateRow(f"m{n}", "standing", "a", "ana", None, NOW, NOW + HOUR, "signed")
        )
        await ledger.loaded("a", n + 1, f"{n}", f"a v{n + 1}", f"version {n + 1}")
        await ledger.answer_review(AnswerRow("a:0/pay/1", "right", "bo", NOW, str(n), "signed"))
        await ledger.begin_alert(AlertRow(f"t{n}", "a", "cost", NOW, "1", "2", ()))
        await ledger.set_baseline(
            BaselineRow(f"b{n}", "a", f"n{n}", "1", "EUR", "x", "x", "b", NOW)
        )
        await ledger.keep(
            IntakeRow(f"k{n}", "a", "api", NOW, IntakeState.WAITING, False, "{}", {}, "", "")
        )
        await ledger.record_cases([recorded(n)])


@dataclass(frozen=True)
class Listed:
    """One list, and what makes the third of its ten rows one that cannot be read."""

    table: str
    which: str
    column: str
    poison: str | float
    read: Callable[[Ledger], Awaitable[list[Any]]]


_CASE = "case_id = 'a:3'"
_WRITE = "key = 'a:3/pay/1'"


def _each(*_: object) -> bool:
    return True


LISTS = {
    "alone": Listed("effects", _WRITE, "begun", 1e300, lambda b: b.drawn_writes("a", None, _each)),
    "kind": Listed("verdicts", _WRITE, "kind", "huh", lambda b: b.verdicts("a")),
    "findings": Listed("verdicts", _WRITE, "findings", "[{]", lambda b: b.verdicts("a")),
    "deep": Listed("verdicts", _WRITE, "action", "[" * 100_000, lambda b: b.verdicts("a")),
    "action": Listed("verdicts", _WRITE, "action", "7", lambda b: b.verdicts("a")),
    "past": Listed("verdicts", _WRITE, "findings", "[1]", lambda b: b.past_verdicts("a")),
    "orders": Listed("orders", "id = 'stop3'", "proofs", "[1", lambda b: b.orders("a")),
    "live": Listed("orders", "id = 'stop3'", "level", "up", lambda b: b.orders("a", live=True)),
    "incidents": Listed("incidents", "id = 'i3'", "at", 1e300, lambda b: b.incidents("a")),
    "reviews": Listed("reviews", _WRITE, "people", "{", lambda b: b.reviews("a")),
    "answers": Listed(
        "review_answers", "number = 4", "at", 1e300, lambda b: b.review_answers("a:0/pay/1")
    ),
    "mandates": Listed("mandates", "id = 'm3'", "ends", 1e300, lambda b: b.mandates("a", NOW)),
    "alerts": Listed("alerts", "id = 't3'", "cases", "{", lambda b: b.alerts("a")),
    "baselines": Listed("baselines", "id = 'b3'", "at", 1e300, lambda b: b.baselines("a")),
    "intake": Listed("intake", "id = 'k3'", "headers", "[", lambda b: b.intake("a")),
    "cases": Listed("cases", _CASE, "seconds", "[", lambda b: b.cases_recorded("a")),
    "asked": Listed("questions", _CASE, "roles", "{", lambda b: b.questions_recorded("a")),
    "policies": Listed("policies", "sha = '3'", "loaded", -1e300, lambda b: b.policies("a")),
}


def poisoned(url: str, of: Listed) -> Any:
    """Poison the third row of a list. What was there before."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        table = f"handrail_{of.table}"
        was = connection.execute(sa.text(f"select {of.column} from {table} where {of.which}"))  # noqa: S608
        found = was.scalar_one()
    change(url, f"update {table} set {of.column} = :bad where {of.which}", bad=of.poison)  # noqa: S608
    return found


async def test_a_row_that_cannot_be_read_hides_no_other_and_is_named_once(
    ledger: Ledger, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(ledger)
    for name, of in LISTS.items():
        assert len(await of.read(ledger)) == len(TEN), name
        was = poisoned(url, of)
        caplog.clear()
        leave_out.cache_clear()
        with caplog.at_level(logging.WARNING, "handrail.ledger"):
            assert len(await of.read(ledger)) == len(TEN) - 1, name
            assert len(await of.read(ledger)) == len(TEN) - 1, name
        said = [each.getMessage() for each in caplog.records]
        assert len(said) == 1, name
        assert f"handrail_{of.table}" in said[0]
        assert "fix: " in said[0]
        assert "\n" not in said[0]
        change(url, f"update handrail_{of.table} set {of.column} = :was where {of.which}", was=was)  # noqa: S608


async def test_a_cost_that_is_no_amount_hides_no_other(ledger: Ledger, url: str) -> None:
    await ledger.record_cases([recorded(n) for n in TEN])
    for cost in ("many", "NaN"):
        change(url, "update handrail_cases set cost = :cost where case_id = 'a:3'", cost=cost)
        assert len(await ledger.costs_of_cases("a", NOW, NOW + HOUR)) == len(TEN) - 1


async def test_what_is_normal_is_learned_from_the_others(ledger: Ledger, url: str) -> None:
    for n in TEN:
        await done(ledger, n)
    change(url, "update handrail_effects set evidence = 'null}' where key = 'a:3/pay/1'")
    keys, rows = await ledger.past_writes("a", "pay")
    assert len(keys) == len(TEN)
    assert {row.key for row in rows} == set(keys) - {"a:3/pay/1"}


async def test_an_order_that_cannot_be_read_stops_those_whom_it_is_for_alone(
    ledger: Ledger, url: str
) -> None:
    await ledger.order(OrderRow("s", "stop", "a", "ana", NOW, case="a:3"))
    change(url, "update handrail_orders set at = 1e300")
    for n in set(TEN) - {3}:
        await done(ledger, n)
    with pytest.raises(UnreadableRow, match=r"handrail_orders .* its at is .*fix: "):
        await ledger.begin(intent("a:3/pay/1"))
    assert await ledger.effect("a:3/pay/1") is None
    await ledger.begin(intent("b:3/pay/1", agent="b"))


async def test_an_effect_that_cannot_be_read_is_begun_by_nobody_again(
    ledger: Ledger, url: str
) -> None:
    for n in TEN:
        await ledger.begin(intent(f"a:{n}/pay/1"))
    change(url, "update handrail_effects set state = 'perhaps' where key = 'a:3/pay/1'")
    with pytest.raises(UnreadableRow, match="its state is 'perhaps'"):
        await ledger.begin(intent("a:3/pay/1"))
    with pytest.raises(UnreadableRow):
        await ledger.situation("a", "a:3", "a:3/pay/1")
    for n in set(TEN) - {3}:
        assert (await ledger.begin(intent(f"a:{n}/pay/1"))).before is not None


async def test_what_may_make_a_verdict_milder_is_never_left_out(ledger: Ledger, url: str) -> None:
    said = Ruling(gate="g1", digest="d" * 64, by="ana@example.com", proof="x.y.z")
    given = {"step": "pay", "digest": "d" * 64, "by": said.by, "kid": "k", "at": NOW}
    rows = [
        RulingRow.of(said, verb="reject", case=f"a:{n}", jti=f"j{n}", **given)  # pyright: ignore[reportArgumentType]
        for n in TEN
    ]
    await ledger.record_rulings(rows)
    await done(ledger, 3)
    change(url, "update handrail_rulings set at = 1e300 where jti = 'j3'")
    change(url, "update handrail_effects set state = '?' where case_id = 'a:3'")
    with pytest.raises(UnreadableRow):
        await ledger.rulings(case="a:3")
    with pytest.raises(UnreadableRow):
        await ledger.effects("a:3")
    assert len(await ledger.rulings(case="a:4")) == 1
    assert len(await ledger.rulings()) == len(TEN) - 1


# Limits

EACH = Limit("amount", Decimal(2), LONG_AGO, "2 per supplier", per="action.to")
NEW = Limit("amount", Decimal(11), LONG_AGO, "11 in all")


def paid(number: int, to: str) -> Any:
    return intent(f"a:{number}/pay/1", action={"amount": "1", "to": to})


@pytest.mark.parametrize("total", ["many", "-Infinity"])
async def test_a_total_that_is_no_amount_stops_what_it_counts_and_says_what_to_do(
    ledger: Ledger, url: str, total: str
) -> None:
    for n in (2, 3, 4):
        await ledger.begin(paid(n, str(n)), [EACH])
    poison = "update handrail_counted set total = :total where effect = 'a:3/pay/1'"
    change(url, poison, total=total)
    for n in (2, 4):
        await ledger.begin(paid(10 + n, str(n)), [EACH])
    with pytest.raises(LedgerUnavailable, match="is no amount; nothing was written; fix: ") as said:
        await ledger.begin(paid(13, "3"), [EACH])
    number = str(said.value).partition("counter ")[2].split()[0]
    change(url, f"delete from handrail_counted where counter = {number}")  # noqa: S608
    change(url, f"delete from handrail_counters where id = {number}")  # noqa: S608
    assert (await ledger.begin(paid(13, "3"), [EACH])).before is None
    for n in (2, 3, 4):
        with pytest.raises(OverLimit, match="2 before"):
            await ledger.begin(paid(20 + n, str(n)), [EACH])


@pytest.mark.parametrize("name", ["[", "7"])
async def test_a_counter_that_no_limit_asks_for_stops_nothing(
    ledger: Ledger, url: str, name: str
) -> None:
    await ledger.begin(paid(0, "0"), [EACH])
    change(
        url,
        "insert into handrail_counters (id, agent, step, name, since) values (77, 'a', 'pay', "
        ":name, 0)",
        name=name,
    )
    await ledger.begin(paid(1, "0"), [EACH])
    with pytest.raises(OverLimit, match="2 before"):
        await ledger.begin(paid(2, "0"), [EACH])


@pytest.mark.parametrize("action", ["[1, 2]", "{"])
async def test_a_new_limit_counts_what_can_be_counted(
    ledger: Ledger, url: str, action: str
) -> None:
    for n in TEN:
        await ledger.begin(paid(n, str(n)))
    change(url, "update handrail_effects set action = :a where key = 'a:3/pay/1'", a=action)
    for n in (10, 11):
        await ledger.begin(paid(n, str(n)), [NEW])
    with pytest.raises(OverLimit, match="11 before"):
        await ledger.begin(paid(12, "x"), [NEW])
