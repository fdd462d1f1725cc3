"""Records of cases are kept whole and replaced whole; presence of workers has its gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handrail import Ledger
from handrail.ledger import (
    AlertRow,
    BaselineRow,
    CaseRecord,
    CaseRow,
    DecisionRow,
    ErrorRow,
    OrderRow,
    OutcomeRow,
    QuestionRow,
)

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
DAY = timedelta(days=1)


def record(number: int = 1, *, ended: bool = True, run: str = "r1") -> CaseRecord:
    case, at = f"a:{number}", NOW + number * timedelta(minutes=1)
    row = CaseRow(
        case=case,
        run_id=run,
        agent="a",
        build="b1",
        policy="a v1",
        trigger="person",
        event_digest="d" * 64,
        requester="ana\x00@example.com",
        parent=None,
        begun=at,
        ended=at + DAY if ended else None,
        state="done" if ended else "waiting",
        seconds={"working": 0.25, "waiting": 60.0},
        cost="0.0125",
        currency="EUR",
        questions=1,
        events=20 if ended else 10,
    )
    return CaseRecord(
        row,
        (DecisionRow(case, 1, "a", "choose", at, "i" * 64, None, None, 0.5, "m", 120, "0.0125"),),
        (QuestionRow(case, "g1", "a", "pay", "approve", ("lead",), at, by=("bo",), looked=2.5),),
        (ErrorRow(case, 1, "a", "pay", at, "bug", 3, "a \ud800 text"),),
    )


def kept(record: CaseRecord) -> CaseRecord:
    """A record as every database keeps it."""
    case = replace(record.case, requester="ana\\x00@example.com")
    return replace(
        record,
        case=case,
        errors=tuple(replace(each, what="a \\ud800 text") for each in record.errors),
    )


async def test_a_record_takes_the_place_of_what_was_kept_of_its_case(url: str) -> None:
    open_, closed = record(ended=False), record()
    async with Ledger(url) as ledger:
        await ledger.record_cases([open_, record(2)])
        assert await ledger.case_records(["a:1", "a:2", "a:3"]) == {
            "a:1": kept(open_),
            "a:2": kept(record(2)),
        }
        await ledger.record_cases([open_, replace(closed, errors=())])
        assert await ledger.case_records(["a:1"]) == {"a:1": replace(kept(closed), errors=())}
        # One that comes late is older; but another run is none of those.
        await ledger.record_cases([open_])
        found = await ledger.runs_recorded(["a:1", "a:2", "a:3"])
        assert found == {"a:1": ("r1", 20), "a:2": ("r1", 20)}
        await ledger.record_cases([record(ended=False, run="r2")])
        assert await ledger.runs_recorded(["a:1", "a:2"]) == {"a:2": ("r1", 20)}


async def test_of_two_ends_after_the_same_events_the_later_one_is_kept(url: str) -> None:
    first, second = record(), record()
    at = second.case.ended
    assert at is not None
    second = replace(second, case=replace(second.case, ended=at + timedelta(seconds=4)))
    async with Ledger(url) as ledger:
        for each in (first, second, first, replace(first, case=replace(first.case, ended=None))):
            await ledger.record_cases([each])
        assert await ledger.case_records(["a:1"]) == {"a:1": kept(second)}


@pytest.mark.parametrize("anew", [False, True])
async def test_a_record_that_comes_when_its_case_is_erased_brings_nothing_back(
    url: str, *, anew: bool
) -> None:
    order = OrderRow(
        id="a:1", kind="erase", agent="a", step=None, case="a:1", by="bo", at=NOW, why="asked",
        ended=NOW,
    )  # fmt: skip
    async with Ledger(url) as ledger:
        assert await ledger.erase_case(order)
        others = replace(record(2), case=replace(record(2).case, why="kept"))
        said = replace(record(), case=replace(record().case, why="of a person"))
        await ledger.record_cases([said, others], anew=anew)
        found = await ledger.case_records(["a:1", "a:2"])
    assert (found["a:1"].case.requester, found["a:1"].case.why) == (None, "")
    assert [each.what for each in found["a:1"].errors] == [""]
    assert (found["a:2"].case.why, found["a:2"].errors) == ("kept", kept(others).errors)


async def test_records_are_found_by_agent_and_period(url: str) -> None:
    async with Ledger(url) as ledger:
        await ledger.record_cases([*(record(n) for n in (3, 1, 2)), record(4, ended=False)])
        since, until = NOW + timedelta(minutes=2), NOW + timedelta(minutes=4)
        ended = await ledger.cases_recorded("a", since + DAY, until + DAY)
        begun = await ledger.cases_recorded("a", since, by="begun", limit=5)
        assert [each.case for each in ended] == ["a:2", "a:3"]
        assert [each.case for each in begun] == ["a:2", "a:3", "a:4"]
        assert [each.case for each in await ledger.cases_recorded("a")] == ["a:1", "a:2", "a:3"]
        assert await ledger.cases_recorded("b") == []
        asked = await ledger.questions_recorded("a", since, until)
        assert [each.case for each in asked] == ["a:2", "a:3"]


async def test_errors_are_found_by_class_step_and_time(url: str) -> None:
    async with Ledger(url) as ledger:
        await ledger.record_cases([record(n) for n in (1, 2)])
        at = record(2).errors[0].at
        found = await ledger.errors_recorded("a", "bug", "pay", at)
        assert [each.case for each in found] == ["a:2"]
        for other in (("b", "bug", "pay"), ("a", "model", "pay"), ("a", "bug", "ship")):
            assert await ledger.errors_recorded(*other, at) == []


async def test_a_gap_in_presence_begins_a_new_row(url: str) -> None:
    async with Ledger(url) as ledger:
        for minutes in (0, 1, 3, 6):
            await ledger.present("w", ["a", "b"], "b1", NOW + timedelta(minutes=minutes))
        await ledger.present("w", ["a"], "b2", NOW + timedelta(minutes=7))
        await ledger.present("v", ["a"], "b2", NOW + timedelta(minutes=7))
        found = [
            (each.worker, each.build, *((at - NOW).seconds // 60 for at in (each.since, each.last)))
            for each in await ledger.presence("a", NOW)
        ]
        assert sorted(found) == [
            ("v", "b2", 7, 7),
            ("w", "b1", 0, 3),
            ("w", "b1", 6, 6),
            ("w", "b2", 7, 7),
        ]
        assert len(await ledger.presence("b", NOW + timedelta(minutes=4))) == 1


async def test_outcomes_and_baselines_are_kept_once(url: str) -> None:
    did = OutcomeRow("o1", "a", "a:1", "pay", NOW, NOW, "file", "ana", {"amount": "1"}, "1;2")
    nothing = replace(did, id="o2", action=None, at=NOW + DAY)
    first = BaselineRow("b1", "a", "minutes_per_case", "12.5", "min", "declared", "", "ana", NOW)
    second = replace(first, id="b2", amount="11", at=NOW + DAY)
    async with Ledger(url) as ledger:
        assert await ledger.keep_outcomes([did, nothing]) == 2
        assert await ledger.keep_outcomes([did]) == 0
        assert await ledger.outcomes("a", "a:1") == [did, nothing]
        assert [await ledger.set_baseline(each) for each in (first, second, first)] == [
            True,
            True,
            False,
        ]
        assert await ledger.baselines("a") == [replace(first, replaced=second.at), second]


async def test_an_alert_that_has_ended_stays_so(url: str) -> None:
    alert = AlertRow("x1", "a", "failures over 3 %", NOW, "4 %", "3 %", ("a:1",))
    async with Ledger(url) as ledger:
        assert await ledger.begin_alert(alert)
        assert not await ledger.begin_alert(alert)
        assert await ledger.change_alert("x1", told=NOW)
        assert await ledger.alerts("a") == [replace(alert, told=NOW)]
        assert await ledger.change_alert("x1", ended=NOW)
        assert not await ledger.change_alert("x1", acknowledged=NOW)
        assert await ledger.alerts() == []
        assert len(await ledger.alerts(every=True)) == 1
