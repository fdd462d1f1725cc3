"""Event logs: columns and times are found or told; what is bad is named, with its line."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.evidence import (
    EventLog,
    LogColumns,
    baseline_figures,
    log_figures,
    read_csv_log,
    read_xes_log,
)
from handrail.evidence.process_figures import logged_cases
from handrail.exceptions import InvalidRequest

GOOD = """case_id,activity,timestamp,resource,amount
A,open,2026-03-02T09:00:00Z,ana,10
A,check,2026-03-02T11:00:00+01:00,bo,
B,open,2026-03-03T09:00:00Z,ana,20
A,open,2026-03-02T12:00:00Z,ana,
"""


def read(text: str, **told: str) -> EventLog:
    known = {name: told.pop(name) for name in ("delimiter", "time_format") if name in told}
    return read_csv_log(io.StringIO(text), "log.csv", LogColumns(told, **known))


def test_the_columns_are_found_and_the_rest_are_facts() -> None:
    log = read(GOOD)
    assert log.bad == []
    assert [each.activity for each in log.cases()["A"]] == ["open", "check", "open"]
    first = log.events[0]
    assert (first.case, first.who, first.facts) == ("A", "ana", {"amount": "10"})
    assert log.events[1].at == datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    assert read(GOOD.replace(",", delimiter)).events == read(GOOD).events


def test_what_is_found_wrongly_or_not_at_all_can_be_told() -> None:
    text = "order~what~when~closed at~by whom\n1~ship~x~31.12.2025 14:05~ana\n"
    with pytest.raises(InvalidRequest, match=r"which column is the case and the .*--column case="):
        read(text, delimiter="~")
    told = {"case": "order", "activity": "what", "at": "closed at", "who": "by whom"}
    log = read(text, delimiter="~", **told)
    assert log.events[0].at == datetime(2025, 12, 31, 14, 5, tzinfo=UTC)
    assert log.events[0].who == "ana"
    with pytest.raises(InvalidRequest, match="no column nothing; it has: order, what"):
        read(text, delimiter="~", case="nothing")


def test_times_that_can_be_read_in_two_ways_are_not_guessed() -> None:
    text = "case,activity,time\n1,a,03/04/2026 10:00\n2,a,05/06/2026 11:00\n"
    with pytest.raises(InvalidRequest, match=r"two ways; fix: --time-format '%d/%m/%Y %H:%M' or"):
        read(text)
    assert read(text, time_format="%m/%d/%Y %H:%M").events[0].at.month == 3
    # One that can be meant in one way only says it of all of them.
    assert read(text + "3,a,31/12/2026 09:00\n").events[0].at.month == 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1767348000", 0),
        ("1767348000.5", 0.5),
        ("1767348000500", 0.5),  # Python alone reads a date of 1767 in it
        ("2026-01-02 10:00:00 UTC", 0),
        ("2026-01-02 10:00:00.5 gmt", 0.5),
        ("20260102T100000", 0),
        ("2026/01/02 10:00:00.500", 0.5),
        ("02.01.26 10:00", 0),
        ("1/02/2026 10:00 AM", 0),
    ],
)
def test_times_are_read_as_exports_write_them(text: str, seconds: float) -> None:
    other = "1/14/2026 10:00 PM" if "AM" in text else text
    log = read(f"case,activity,time\n1,a,{text}\n1,b,{other}\n")
    assert log.bad == []
    assert log.events[0].at == datetime(2026, 1, 2, 10, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["45000.5", "17673480", "176734800012"])
def test_a_number_that_is_no_moment_is_read_as_none(text: str) -> None:
    (bad,) = read(f"case,activity,time\n1,a,{text}\n").bad
    assert bad.why == f"has a time that cannot be read: {text}"


def test_costs_are_read_as_people_write_them_and_not_guessed() -> None:
    text = "case;activity;time;cost\n" + "".join(
        f"1;a;2026-01-0{n};{cost}\n"
        for n, cost in enumerate(("1,234.50", "1.234,50", "12,5", "3.125", "1,234"), 1)
    )
    log = read(text)
    assert [str(each.cost) for each in log.events] == ["1234.50", "1234.50", "12.5", "3.125"]
    assert [each.why for each in log.bad] == ["has a cost that can be read in two ways: 1,234"]


def test_a_spreadsheets_word_on_its_delimiter_is_no_header() -> None:
    assert read("sep=;\n" + GOOD.replace(",", ";")).events == read(GOOD).events


def test_a_lifecycle_that_nobody_knows_is_named_and_can_be_passed_over() -> None:
    """Else a log of thousands of rows would be one of none, and nobody knew why."""
    text = "case,activity,time,transition\n1,a,2026-01-01,begonnen\n1,a,2026-01-02,fertig\n"
    assert [each.line for each in read(text).bad] == [2, 3]
    assert len(read(text, lifecycle="").events) == 2
    with pytest.raises(InvalidRequest, match="no activity that was completed"):
        read(text.replace("begonnen", "schedule").replace("fertig", "suspend"))


def test_what_is_bad_is_named_with_its_line_and_the_rest_is_read() -> None:
    text = (
        "case,activity,time,start,cost\n"
        "1,open,2026-01-01,,5\n"
        "1,open,yesterday,,5\n"
        ",open,2026-01-01,,5\n"
        "1,,2026-01-01,,5\n"
        "1,open,2026-01-01\n"
        '1,"two\nlines",2026-01-02,,"1,50"\n'
        "1,open,2026-01-03,2026-01-04,\n"
        "1,open,2026-01-03,,much\n"
        "1,open,,,\n"
        "\n"
        "1,shut,2026-01-05,,nan\n"
    )
    log = read(text)
    assert [(each.activity, each.cost) for each in log.events] == [
        ("open", Decimal(5)),
        ("two\nlines", Decimal("1.50")),
    ]
    assert {each.line: each.why for each in log.bad} == {
        3: "has a time that cannot be read: yesterday",
        4: "names no case",
        5: "names no activity",
        6: "has 3 cells, and there are 5 columns",
        9: "ends at 2026-01-03T00:00:00+00:00, before it begins at 2026-01-04T00:00:00+00:00",
        10: "has a cost that is no number: much",
        11: "has no time",
        13: "has a cost that is no number: nan",
    }


@pytest.mark.parametrize("text", ["", "\n", "case,activity,time\n"])
def test_a_log_without_rows_is_said_to_be_one(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"log\.csv"):
        read(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from('abc,;"\n\r\t 0129:-/.T\x00')))
def test_whatever_stands_below_the_header_stops_nothing(text: str) -> None:
    log = read("case,activity,time,note\n1,a,2026-01-01,\n" + text)
    assert len(log.events) + len(log.bad) >= 1


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.text(min_size=1), st.datetimes(), st.text()), max_size=8
    )
)
def test_what_was_written_is_what_is_read(rows: list[tuple[str, str, datetime, str]]) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(["case", "activity", "time", "note"])
    writer.writerow(["first", "a", "2026-01-01", ""])
    writer.writerows((case, what, at.isoformat(), note) for case, what, at, note in rows)
    log = read_csv_log(io.StringIO(target.getvalue(), newline=""), "log.csv")
    kept = [row for row in rows if row[0].strip() and row[1].strip()]
    assert len(log.events) == len(kept) + 1
    for event, (case, what, at, note) in zip(log.events[1:], kept, strict=True):
        assert (event.case, event.activity) == (case.strip(), what.strip())
        assert event.at == at.replace(tzinfo=UTC)
        assert event.facts.get("note", "") == note.strip()


# Starts and ends


def test_the_start_of_an_activity_is_joined_to_its_end() -> None:
    text = (
        "case,activity,lifecycle:transition,time\n"
        "1,check,schedule,2026-01-01T08:00\n"
        "1,check,start,2026-01-01T09:00\n"
        "1,check,COMPLETE,2026-01-01T09:30\n"
        "1,pay,start,2026-01-01T10:00\n"
    )
    log = read(text)
    assert [(each.activity, each.begun) for each in log.events] == [
        ("check", datetime(2026, 1, 1, 9, tzinfo=UTC)),
        ("pay", None),
    ]


# XES


XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xmlns="http://www.xes-standard.org/">
  <global scope="event"><string key="concept:name" value="unknown"/></global>
  <string key="concept:name" value="the log"/>
  <trace>
    <string key="concept:name" value="A"/><string key="region" value="north"/>
    <event>
      <string key="concept:name" value="open"/><string key="org:resource" value="ana"/>
      <date key="time:timestamp" value="2026-03-02T10:00:00.000+01:00"/>
      <float key="amount" value="10"><string key="amount:unit" value="EUR"/></float>
      <list key="more"><values><string key="concept:name" value="inner"/></values></list>
    </event>
    <event><string key="concept:name" value="check"/><string key="lifecycle:transition"
      value="start"/><date key="time:timestamp" value="2026-03-02T11:00:00Z"/></event>
    <event><string key="concept:name" value="check"/><string key="lifecycle:transition"
      value="complete"/><date key="time:timestamp" value="2026-03-02T11:30:00Z"/></event>
    <event><string key="concept:name" value="lost"/></event>
  </trace>
  <trace><event><string key="concept:name" value="open"/>
    <date key="time:timestamp" value="2026-03-03T10:00:00Z"/></event></trace>
</log>
"""


def xes(text: str) -> EventLog:
    return read_xes_log([text.encode()], "log.xes")


def test_xes_is_read_with_the_facts_of_its_traces() -> None:
    log = xes(XES)
    first, check, other = log.events
    assert (first.case, first.activity, first.who) == ("A", "open", "ana")
    assert first.at == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert first.facts == {"case:region": "north", "amount": "10"}
    assert check.begun == datetime(2026, 3, 2, 11, tzinfo=UTC)
    assert other.case == "trace 2"
    assert [(each.line, each.why) for each in log.bad] == [(17, "has no time")]


def test_events_outside_of_traces_make_no_log() -> None:
    with pytest.raises(InvalidRequest, match="no activity that was completed in a case"):
        xes("<log><event><string key='concept:name' value='a'/></event></log>")


def test_what_comes_before_a_fault_of_its_xml_is_kept() -> None:
    log = xes(XES[: XES.index("lost")])
    assert len(log.events) == 2
    assert "is no XML from here on" in log.bad[0].why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "case,activity\n1,a\n",
        "<html></html>",
        '<!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><log>&b;</log>',
    ],
)
def test_what_is_no_xes_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"log\.xes"):
        xes(text)


# Figures


def test_the_figures_by_hand() -> None:
    found = log_figures(read(GOOD))
    assert (found.cases, found.events, found.variants, found.people) == (2, 4, 2, 2)
    assert (found.touches, found.rework, found.reworked, found.hands) == (2.0, 0.5, 0.5, 1.0)
    assert found.span == found.waiting == timedelta(hours=1.5)
    assert (found.active, found.cost, found.common) == (None, None, 1.0)
    assert found.per_month == pytest.approx(2 * 365.25 / 12)


def test_time_at_work_is_counted_once_and_waiting_is_the_rest() -> None:
    text = (
        "case,activity,start,end,cost\n"
        "1,a,2026-01-01T09:00,2026-01-01T09:30,10\n"
        "1,b,2026-01-01T09:20,2026-01-01T10:00,2.5\n"
        "1,c,2026-01-01T12:00,2026-01-01T12:10,\n"
    )
    log = read(text)
    (case,) = logged_cases(log)
    assert (case.active, case.waiting) == (timedelta(minutes=70), timedelta(minutes=120))
    rows = {each.name: (str(each.amount), each.unit) for each in baseline_figures(log_figures(log))}
    assert rows["minutes_per_case"] == ("70", "minutes")
    assert rows["waiting_hours_per_case"] == ("2", "hours")
    assert rows["cost_per_case"] == ("12.5", "currency")
    assert rows["rework_share"] == ("0", "share")
    assert "people" not in rows


def test_the_order_of_the_rows_does_not_matter() -> None:
    head, *rows = GOOD.splitlines()
    assert log_figures(read("\n".join([head, *reversed(rows)]))) == log_figures(read(GOOD))


def test_of_two_columns_of_one_name_none_is_guessed() -> None:
    log = "case,activity,at,activity\n1,check,2026-03-02,pay\n"
    with pytest.raises(InvalidRequest, match="several columns activity"):
        read_csv_log(io.StringIO(log), "l.csv")
    # Of those that are only facts it is all the same.
    facts = "case,activity,at,note,note\n1,check,2026-03-02,a,b\n"
    assert len(read_csv_log(io.StringIO(facts), "l.csv").events) == 1
