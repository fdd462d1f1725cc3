"""Alarms begin where a limit is passed, name the cases behind them, last, and end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import Receipt
from handrail.evidence import find_alarms, keep_alarms
from handrail.evidence.alarms import AGAIN, Alarm
from handrail.exceptions import LedgerUnavailable
from handrail.ledger import BaselineRow, CaseRecord, CaseRow, QuestionRow
from handrail.policy import AlertsDoc
from tests.unit.ledger.intents import intent

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


def doc(**rules: Any) -> AlertsDoc:
    return AlertsDoc.model_validate(rules)


async def write(ledger: Ledger, number: int, *, failed: bool = False) -> None:
    key = f"a:{number}/pay/1"
    begun = await ledger.begin(intent(key))
    assert begun.before is None
    if failed:
        await ledger.abandon(key, "one", "it refused")
    else:
        await ledger.finish(Receipt(key=key, step="pay", digest="d" * 64, at=now()), "one")


def case(number: int, ended: datetime | None, **more: Any) -> CaseRecord:
    begun = (ended or now()) - HOUR
    row = CaseRow(
        case=f"a:{number}",
        run_id="r",
        agent="a",
        build="b",
        policy="a v1",
        trigger="event",
        event_digest="d" * 64,
        requester=None,
        parent=None,
        begun=begun,
        ended=ended,
        state="done" if ended else "waiting",
        seconds={},
        currency="EUR",
    )
    return CaseRecord(replace(row, **more), (), (), ())


async def test_failures_count_from_as_many_writes_as_it_takes(ledger: Ledger) -> None:
    rules = doc(failures={"over": "10%", "in": "30m", "least": 10})
    for number in range(8):
        await write(ledger, number)
    await write(ledger, 8, failed=True)
    assert await find_alarms(ledger, "a", rules, now()) == []
    await write(ledger, 9)
    # One of ten is the limit, and not over it.
    assert await find_alarms(ledger, "a", rules, now()) == []
    await write(ledger, 10, failed=True)
    (alarm,) = await find_alarms(ledger, "a", rules, now())
    assert (alarm.rule, alarm.value) == ("failures", "2 of 11 writes (18.18%)")
    assert set(alarm.cases) == {"a:8", "a:10"}
    # What was tried and never let pass, in pilot, say, is no write that failed.
    for number in range(11, 30):
        await ledger.note_lost(intent(f"a:{number}/pay/1"), now())
    assert await find_alarms(ledger, "a", rules, now()) == [alarm]
    assert await find_alarms(ledger, "another", rules, now()) == []
    assert await find_alarms(ledger, "a", rules, now() + HOUR) == []


async def test_escalations_are_held_against_the_time_before(ledger: Ledger) -> None:
    rules = doc(escalations={"up": "25%", "in": "7d", "least": 20})
    at = now()
    before = [case(n, at - 10 * DAY, escalated=int(n < 4)) for n in range(20)]
    since = [case(100 + n, at - DAY, escalated=int(n < 5)) for n in range(20)]
    await ledger.record_cases([*before, *since])
    # 5 of 20 are exactly 25 % more than 4 of 20.
    assert await find_alarms(ledger, "a", rules, at) == []
    await ledger.record_cases([case(105, at - DAY, escalated=1)])
    (alarm,) = await find_alarms(ledger, "a", rules, at)
    assert alarm.value == "6 of 20 cases (30%), before 4 of 20 (20%)"
    assert set(alarm.cases) == {f"a:{n}" for n in range(100, 106)}


async def test_cost_is_held_against_the_baseline_in_force(ledger: Ledger) -> None:
    rules = doc(cost={"times": 2, "in": "7d", "least": 20})
    at = now()
    await ledger.record_cases([case(n, at - DAY, cost="5" if n < 2 else "1") for n in range(20)])
    assert await find_alarms(ledger, "a", rules, at) == []
    given: dict[str, Any] = {"unit": "EUR", "kind": "declared", "source": "", "by": "bo", "at": at}
    await ledger.set_baseline(BaselineRow("one", "a", "cost_per_case", "2.50", **given))
    # 5 EUR is twice the baseline, and not over it.
    assert await find_alarms(ledger, "a", rules, at) == []
    await ledger.set_baseline(BaselineRow("two", "a", "cost_per_case", "1.20", **given))
    (alarm,) = await find_alarms(ledger, "a", rules, at)
    assert (alarm.value, set(alarm.cases)) == ("2 of 20 cases cost over 2.40 EUR", {"a:0", "a:1"})
    # Whether five in another currency are more than that, nobody knows.
    await ledger.record_cases([case(20, at - DAY, cost="5", currency="JPY")])
    (alarm,) = await find_alarms(ledger, "a", rules, at)
    assert alarm.value.startswith("cost in another currency than the baseline (EUR) of 1 cases")
    assert alarm.cases == ("a:20",)


async def test_a_question_may_wait_so_long(ledger: Ledger) -> None:
    rules = doc(waiting={"over": "2h"})
    at = now()

    def asked(number: int, ago: timedelta, ended: datetime | None = None) -> CaseRecord:
        row = QuestionRow(f"a:{number}", "g", "a", "pay", "write", ("lead",), at - ago, ended=ended)
        return replace(case(number, ended), questions=(row,))

    await ledger.record_cases([asked(1, 9 * HOUR, at - HOUR), asked(2, 2 * HOUR)])
    assert await find_alarms(ledger, "a", rules, at) == []
    await ledger.record_cases([asked(3, 3 * HOUR)])
    (alarm,) = await find_alarms(ledger, "a", rules, at)
    assert (alarm.value, alarm.cases) == ("1 question, the oldest for 3h", ("a:3",))


async def test_silence_is_one_where_writes_are_tried(ledger: Ledger) -> None:
    rules, second = doc(silent={"for": "1m"}), timedelta(seconds=1)
    assert await find_alarms(ledger, "a", rules, now()) == []
    await write(ledger, 1)
    last = (await ledger.latest_writes())["a"]
    silent = last + timedelta(minutes=1, microseconds=1)
    assert await find_alarms(ledger, "a", rules, silent) == []
    await write(ledger, 2, failed=True)
    assert await find_alarms(ledger, "a", rules, silent - second) == []
    (alarm,) = await find_alarms(ledger, "a", rules, silent)
    assert (alarm.value, alarm.cases) == ("the last one 1m ago, 1 tried since", ("a:2",))


async def test_where_nothing_ever_succeeded_that_is_silence_too(ledger: Ledger) -> None:
    rules = doc(silent={"for": "1m"})
    for number in (1, 2):
        await write(ledger, number, failed=True)
    first, second = [await ledger.effect(f"a:{number}/pay/1") for number in (1, 2)]
    assert first is not None
    assert second is not None
    # Of the first minute nothing is said.
    at = first.begun + timedelta(minutes=1)
    assert await find_alarms(ledger, "a", rules, at) == []
    (alarm,) = await find_alarms(ledger, "a", rules, second.begun + timedelta(minutes=1))
    assert (alarm.value, alarm.cases) == ("none has succeeded yet, 1 tried", ("a:2",))


ALL = {
    "failures": {"over": "1%", "in": "30m", "least": 1},
    "escalations": {"up": "25%", "in": "7d", "least": 1},
    "cost": {"times": 2, "in": "7d", "least": 1},
    "waiting": {"over": "1s"},
    "silent": {"for": "1m"},
}
SOON = {"over": "1%", "in": "3m", "least": 1}
READS = {
    "failures": "failed_writes",
    "escalations": "escalated_cases",
    "cost": "baselines",
    "waiting": "old_questions",
    "silent": "latest_writes",
}


MEANT = {
    "failures": "1 of 2 writes (50%)",
    "escalations": "1 of 1 cases (100%), before 0 of 1 (0%)",
    "cost": "1 of 1 cases cost over 2 EUR",
    "waiting": "1 question, the oldest for 1h",
    "silent": "the last one 1m ago, 1 tried since",
}


async def brought_about(ledger: Ledger, at: datetime) -> None:
    """What passes the limit of each rule: the only write that succeeded was before the others."""
    row = QuestionRow("a:1", "g", "a", "pay", "write", ("lead",), at - HOUR)
    given: dict[str, Any] = {"unit": "EUR", "kind": "declared", "source": "", "by": "bo", "at": at}
    await ledger.set_baseline(BaselineRow("one", "a", "cost_per_case", "1", **given))
    await ledger.record_cases(
        [
            replace(case(1, None), questions=(row,)),
            case(2, at - 8 * DAY),
            case(3, at - DAY, escalated=1, cost="5"),
        ]
    )


async def test_each_rule_is_told_once_acknowledged_and_ends(ledger: Ledger) -> None:
    await write(ledger, 8)
    last = (await ledger.latest_writes())["a"]
    await write(ledger, 9, failed=True)
    at, rules = last + timedelta(minutes=1, microseconds=1), doc(**ALL | {"failures": SOON})
    await brought_about(ledger, at)
    found = await find_alarms(ledger, "a", rules, at)
    assert {each.rule: each.value for each in found} == MEANT
    told = await keep_alarms(ledger, "a", found, at)
    assert {row.rule for row in told} == set(MEANT)
    for row in told:
        assert await ledger.change_alert(row.id, told=at)
        assert await ledger.change_alert(row.id, acknowledged=at, acknowledged_by="ana")
    again = await find_alarms(ledger, "a", rules, at)
    assert await keep_alarms(ledger, "a", again, at) == []  # nobody is told of it twice
    over = at + 30 * DAY
    done = replace(case(1, over - 20 * DAY), questions=())
    await ledger.record_cases([done])
    assert await keep_alarms(ledger, "a", await find_alarms(ledger, "a", rules, over), over) == []
    assert await ledger.alerts("a") == []
    kept = await ledger.alerts("a", every=True)
    assert {(row.rule, row.acknowledged_by, row.ended) for row in kept} == {
        (rule, "ana", over) for rule in MEANT
    }


@pytest.mark.parametrize("rule", READS)
async def test_a_rule_that_cannot_be_judged_hides_no_other_and_says_so(
    ledger: Ledger, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, rules = now(), doc(**ALL)
    row = QuestionRow("a:1", "g", "a", "pay", "write", ("lead",), at - HOUR)
    await ledger.record_cases([replace(case(1, None), questions=(row,))])

    async def broken(*_: object) -> None:
        raise ValueError("no such\nday")

    monkeypatch.setattr(ledger, READS[rule], broken)
    found = {each.rule: each for each in await find_alarms(ledger, "a", rules, at)}
    broken_too = {"silent"} if rule == "failures" else set[str]()  # it reads the same
    assert found.keys() == {rule, "waiting"} | broken_too
    assert found[rule].value == "it cannot be judged: ValueError: no such day"
    # It is told once like any other, lasts, and ends when the rule can be judged again.
    told = await keep_alarms(ledger, "a", list(found.values()), at)
    assert {each.rule for each in told} == found.keys()
    monkeypatch.undo()
    await keep_alarms(ledger, "a", await find_alarms(ledger, "a", rules, at), at)
    assert [each.rule for each in await ledger.alerts("a")] == ["waiting"]


async def test_a_ledger_that_is_away_makes_no_alarm(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise LedgerUnavailable("it is away")

    for name in READS.values():
        monkeypatch.setattr(ledger, name, away)
    with pytest.raises(LedgerUnavailable):
        await find_alarms(ledger, "a", doc(**ALL), now())


async def test_one_alert_lasts_while_its_limit_is_passed(ledger: Ledger) -> None:
    rules, at = doc(waiting={"over": "2h"}), now()
    row = QuestionRow("a:1", "g", "a", "pay", "write", ("lead",), at - 3 * HOUR)
    waiting = replace(case(1, None), questions=(row,))
    await ledger.record_cases([waiting])
    alarms = await find_alarms(ledger, "a", rules, at)
    (first,) = await keep_alarms(ledger, "a", alarms, at)
    # Until somebody was told it is given again; then it is known, and is no news.
    assert await keep_alarms(ledger, "a", alarms, at + HOUR) == [first]
    assert await ledger.change_alert(first.id, told=at)
    assert await keep_alarms(ledger, "a", alarms, at + HOUR) == []
    answered = replace(waiting, questions=(replace(row, ended=at),))
    await ledger.record_cases([answered])
    assert await find_alarms(ledger, "a", rules, at + HOUR) == []
    assert await keep_alarms(ledger, "a", [], at + HOUR) == []
    (over,) = await ledger.alerts("a", every=True)
    assert (over.ended, over.told) == (at + HOUR, at)
    # When it is passed again that is another one.
    (second,) = await keep_alarms(ledger, "a", alarms, at + 2 * HOUR)
    assert second.id != first.id


async def test_what_goes_to_and_fro_beside_its_limit_is_told_once(ledger: Ledger) -> None:
    at, alarm, news = now(), Alarm("failures", "2 of 50", "over 3%"), list[str]()
    for minutes in range(0, 60, 5):
        passed = [alarm] if minutes % 2 else []
        for row in await keep_alarms(ledger, "a", passed, at + timedelta(minutes=minutes)):
            news.append(row.id)
            await ledger.change_alert(row.id, told=at, acknowledged=at, acknowledged_by="ana")
    (row,) = await ledger.alerts("a")
    assert ([row.id], row.acknowledged_by) == (news, "ana")
    assert await keep_alarms(ledger, "a", [], at + HOUR) == []
    assert await keep_alarms(ledger, "b", [alarm], at + HOUR) != []  # another's is another
    (later,) = await keep_alarms(ledger, "a", [alarm], at + HOUR + AGAIN + timedelta(seconds=1))
    assert later.id not in news


@pytest.mark.parametrize("agent", ["b", ""])
async def test_alerts_of_others_are_left_alone(ledger: Ledger, agent: str) -> None:
    rules, at = doc(waiting={"over": "2h"}), now()
    row = QuestionRow("a:1", "g", "a", "pay", "write", ("lead",), at - 3 * HOUR)
    await ledger.record_cases([replace(case(1, None), questions=(row,))])
    await keep_alarms(ledger, "a", await find_alarms(ledger, "a", rules, at), at)
    await keep_alarms(ledger, agent, [], at)
    assert len(await ledger.alerts("a")) == 1
