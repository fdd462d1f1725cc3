"""The owner's report: every figure a second time, in plain Python over the raw rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Ledger
from handrail.actions import Level
from handrail.evidence import AgentReport, measure_report
from handrail.evidence.report import _inert  # pyright: ignore[reportPrivateUsage]
from handrail.ledger import BaselineRow, OrderRow, PresenceRow
from tests.agents.policies import GOOD
from tests.agents.reported import AGENT, WORTH, keep_cases, keep_policy
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
SINCE = datetime(2026, 10, 22, tzinfo=UTC)
BEFORE = datetime(2026, 9, 22, tzinfo=UTC)
Rows = dict[str, list[dict[str, Any]]]
MONTH = 365.25 / 12 * 86_400


async def filled(ledger: Ledger, url: str, number: int = 400, seed: int = 1) -> None:
    keep_policy(url, GOOD.replace("actions:", f"{WORTH}actions:"), BEFORE)
    await keep_cases(ledger, url, number, NOW, seed=seed)
    for name, amount, unit, kind in (
        ("minutes_per_case", "12", "minutes", "log"),
        ("cost_per_case", "7", "USD", "log"),
        ("error_share", "0.04", "share", "declared"),
        ("investment", "900", "EUR", "declared"),
        ("target_per_month", "5000", "EUR", "declared"),
    ):
        await ledger.set_baseline(
            BaselineRow(name, AGENT, name, amount, unit, kind, "s", "owner@example.com", BEFORE)
        )


def raw(url: str) -> Rows:
    """Every row as the database has it."""
    names = ("cases", "questions", "errors", "effects", "incidents", "decisions")
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = {
            name: [dict(row) for row in connection.execute(_select(name)).mappings()]
            for name in names
        }
    engine.dispose()
    return found


def _select(name: str) -> sa.TextClause:
    return sa.text(f"select * from handrail_{name}")  # noqa: S608  # names of ours


class Again:
    """The figures of one period, the slow way."""

    def __init__(self, rows: Rows, since: datetime, until: datetime) -> None:
        a, b = since.timestamp(), until.timestamp()
        self.days = (b - a) / 86_400
        ended = [c for c in rows["cases"] if c["ended"] is not None and a <= c["ended"] < b]
        self.all = ended
        handed = {c["parent"] for c in rows["cases"] if c["agent"] == AGENT}
        rounds = {
            c["case_id"]
            for c in ended
            if not c["writes"] and not c["questions"] and c["case_id"] in handed
        }
        pilots = _pilots(rows, rounds)
        self.tasks = [c for c in ended if c["case_id"] not in pilots | rounds]
        self.bad = {i["key"] for i in rows["incidents"] if i["kind"] == "mismatch"}
        self.wrong = {i["case_id"] for i in rows["incidents"] if i["kind"] == "mismatch"}
        self.effects = [e for e in rows["effects"] if a <= e["begun"] < b]
        self.questions = [q for q in rows["questions"] if a <= q["asked"] < b]
        self.kinds = {d["case_id"]: d["kind"] for d in rows["decisions"]}
        self.errors = [e for e in rows["errors"] if a <= e["at"] < b and e["case_id"] not in pilots]

    def share(self, key: str) -> float:
        return round(sum(c[key] > 0 for c in self.tasks) / len(self.tasks), 6)

    def success(self) -> float:
        good = [e for e in self.effects if e["state"] == "done" and e["key"] not in self.bad]
        return round(len(good) / len(self.effects), 6)

    def ruled(self) -> list[float]:
        return sorted(
            q["ended"] - q["asked"]
            for q in self.questions
            if q["kind"] != "planted" and q["ended"] is not None
        )

    def costs(self) -> dict[str, Decimal]:
        models = sum((Decimal(c["cost"]) for c in self.all if c["currency"] == "EUR"), Decimal(0))
        looked = sum(q["looked"] or 0 for q in self.questions)
        machines = 90 * self.days * 86_400 / MONTH
        return {
            "Models": models,
            "People's minutes": Decimal(looked / 60 * 0.80),
            "Infrastructure": Decimal(machines),
        }

    def gains(self) -> dict[str, Decimal]:
        done = [c for c in self.tasks if c["state"] == "done"]
        plain = [c for c in done if c["value"] is None and c["case_id"] not in self.wrong]
        right = [c for c in done if c["case_id"] not in self.wrong]
        own = sum((Decimal(c["value"]) for c in right if c["value"] is not None), Decimal(0))
        wrong = sum(c["case_id"] in self.wrong for c in self.tasks)
        late = sum(c["ended"] - c["begun"] > 3_600 for c in self.tasks)
        return {
            "Cases done": Decimal(18 * len(plain)),
            "Cases that wrote": Decimal(3 * sum(c["writes"] > 0 for c in plain)),
            "Cases by their own value": own,
            "Cases wrong": Decimal(-60 * wrong),
            "Cases late": Decimal(-5 * late),
            "Manual work saved": Decimal(str(12 * 0.8 * len(right))),
            "Manual errors saved": Decimal(str(0.04 * 60 * len(done))),
        }


def _pilots(rows: Rows, rounds: set[str]) -> set[str]:
    """The cases that were pilots; those that decided nothing are as the one that did before."""
    decided = {d["case_id"] for d in rows["decisions"]}
    ends = sorted((c for c in rows["cases"] if c["ended"] is not None), key=lambda c: c["ended"])
    silent = [
        not (c["pilot"] or c["writes"] or c["questions"] or c["case_id"] in decided) for c in ends
    ]
    last = next((bool(c["pilot"]) for c, none in zip(ends, silent, strict=True) if not none), False)
    found = set[str]()
    for c, none in zip(ends, silent, strict=True):
        last = last if none else bool(c["pilot"])
        if last and c["case_id"] not in (rounds if none else set[str]()):
            found.add(c["case_id"])
    return found


def figure(report: AgentReport, name: str) -> Any:
    return next(each for each in (*report.metrics, *report.own) if each.name == name)


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_figure_is_the_one_that_plain_python_finds(
    ledger: Ledger, url: str, seed: int
) -> None:
    await filled(ledger, url, seed=seed)
    report = await measure_report(ledger, AGENT, now=NOW)
    assert (report.since, report.previous_since) == (SINCE, BEFORE)
    rows = raw(url)
    now, before = Again(rows, SINCE, NOW), Again(rows, BEFORE, SINCE)
    assert (report.tasks, report.previous_tasks) == (len(now.tasks), len(before.tasks))
    for name, key in (("errors", "errors"), ("escalation", "questions")):
        found = figure(report, name)
        assert (found.value, found.previous) == (now.share(key), before.share(key)), name
    assert figure(report, "escalation").parts["to a next role"] == now.share("escalated")
    found = figure(report, "action_success")
    assert (found.value, found.previous) == (now.success(), before.success())
    assert found.n == len(now.effects)
    took, found = now.ruled(), figure(report, "review_time")
    assert found.n == len(took)
    assert found.value == pytest.approx(took[ceil(len(took) / 2) - 1], abs=1e-5)
    assert found.parts["p90"] == pytest.approx(took[ceil(len(took) * 0.9) - 1], abs=1e-5)
    by_kind = {k: len({e["case_id"] for e in now.errors if e["kind"] == k}) for k in _kinds(now)}
    # Counted by day: one case with errors on two days would be two, and there is none here.
    assert figure(report, "errors").parts == by_kind


def _kinds(found: Again) -> set[str]:
    return {e["kind"] for e in found.errors}


async def test_value_is_the_one_that_plain_python_finds(ledger: Ledger, url: str) -> None:
    await filled(ledger, url)
    report = await measure_report(ledger, AGENT, now=NOW)
    now, value = Again(raw(url), SINCE, NOW), report.value
    costs, gains = now.costs(), now.gains()
    lines = {line.name: line.amount for line in value.lines}
    expected = gains | {name: -amount for name, amount in costs.items()}
    assert lines.keys() == expected.keys()
    for name, amount in expected.items():
        assert float(lines[name]) == pytest.approx(float(amount), abs=0.006), name
    net, cost = sum(expected.values()), sum(costs.values())
    assert float(value.net or 0) == pytest.approx(float(net), abs=0.03)
    assert value.roi == pytest.approx(float(net / cost), rel=1e-3)
    per_task = figure(report, "cost_per_task")
    assert per_task.value == pytest.approx(float(cost) / len(now.tasks), abs=1e-3)
    assert value.payback is not None
    first = min(c["begun"] for c in raw(url)["cases"])
    days = 900 / (float(net) / now.days)
    assert value.payback == (datetime.fromtimestamp(first, UTC) + timedelta(days=days)).date()
    widest = value.swings[0]
    assert widest.figure == "value.done"
    fifth = float(gains["Cases done"]) * 0.2
    assert float(widest.high - widest.low) == pytest.approx(2 * fifth, abs=0.05)
    assert "baseline.minutes_per_case" not in {each.figure for each in value.swings}, "from a log"
    assert any("USD of models" in said for said in value.left_out)
    assert "cost_per_case of 7 USD: the policy reckons in EUR" in value.left_out


async def test_its_own_metrics_are_the_ones_that_plain_python_finds(
    ledger: Ledger, url: str
) -> None:
    await filled(ledger, url)
    report = await measure_report(ledger, AGENT, now=NOW)
    now = Again(raw(url), SINCE, NOW)
    done = [c for c in now.tasks if c["state"] == "done"]
    quick = [c for c in done if c["ended"] - c["begun"] <= 3_600]
    moved = [c for c in done if now.kinds.get(c["case_id"]) == "Rebook"]
    mean = sum(c["ended"] - c["begun"] for c in done) / len(done) / 60
    assert figure(report, "on time").value == round(len(quick) / len(now.tasks), 6)
    assert figure(report, "moved a day").value == pytest.approx(len(moved) / now.days, abs=1e-6)
    assert figure(report, "time to done").value == pytest.approx(mean, abs=1e-5)


async def test_the_days_of_a_report_add_up_to_its_figures(ledger: Ledger, url: str) -> None:
    await filled(ledger, url)
    report = await measure_report(ledger, AGENT, now=NOW)
    assert len(report.days) == 30
    assert sum(day.tasks for day in report.days) == report.tasks
    assert sum(day.ruled for day in report.days) == figure(report, "review_time").n
    cost = sum(day.models + day.people for day in report.days)
    lines = {line.name: float(line.amount) for line in report.value.lines}
    assert cost == pytest.approx(-lines["Models"] - lines["People's minutes"], abs=0.02)


async def test_of_too_few_cases_it_says_how_many_more_it_takes(ledger: Ledger, url: str) -> None:
    keep_policy(url, GOOD.replace("actions:", f"{WORTH}actions:"), BEFORE)
    await keep_cases(ledger, url, 4, NOW, days=1)
    report = await measure_report(ledger, AGENT, now=NOW)
    assert 0 < report.tasks < 10
    for name in ("errors", "escalation", "cost_per_task", "roi", "on time"):
        found = figure(report, name)
        assert (found.value, found.needs, found.parts) == (None, 10 - report.tasks, {}), name
    assert (report.value.net, report.value.needs, report.value.lines) == (
        None,
        10 - report.tasks,
        (),
    )


async def test_without_a_case_a_policy_or_a_worker_it_is_a_report_all_the_same(
    ledger: Ledger,
) -> None:
    report = await measure_report(ledger, AGENT, now=NOW)
    assert [each.value for each in report.metrics] == [None] * 7
    assert (report.tasks, report.policy, report.value.net, report.own) == (0, None, None, ())
    assert json.loads(report.model_dump_json())["version"] == 1


async def test_what_was_never_let_pass_is_no_write(ledger: Ledger, url: str) -> None:
    """Of an attempt whose worker went away, a row says that it may be, also in pilot."""
    await filled(ledger, url)
    before = figure(await measure_report(ledger, AGENT, now=NOW), "action_success")
    for n in range(20):
        key = f"{AGENT}:lost{n}/rebook/1"
        lost = replace(intent(key), agent=AGENT, step="rebook")
        await ledger.note_lost(lost, NOW - timedelta(hours=1))
    assert figure(await measure_report(ledger, AGENT, now=NOW), "action_success") == before


async def test_availability_is_the_share_of_minutes_in_which_some_worker_was_there(
    ledger: Ledger,
) -> None:
    hour = timedelta(hours=1)
    for worker, since, last in (
        ("a", NOW - 10 * hour, NOW - 6 * hour),
        ("b", NOW - 8 * hour, NOW - 5 * hour),  # beside the first for two hours
        ("a", NOW - 3 * hour, NOW),
    ):
        await _present(ledger, PresenceRow(worker, AGENT, since, "1", last))
    found = figure(await measure_report(ledger, AGENT, now=NOW), "availability")
    assert found.n == 600, "of the minutes since the first worker came"
    assert found.value == pytest.approx((5 * 60 + 1 + 3 * 60) / 600, abs=1e-6)


async def test_of_an_agent_that_is_stopped_no_minute_is_one_in_which_work_went_on(
    ledger: Ledger,
) -> None:
    hour = timedelta(hours=1)
    await _present(ledger, PresenceRow("a", AGENT, NOW - 10 * hour, "1", NOW))
    for name, of, step, begins, ends in (
        ("1", AGENT, None, 8, 6),
        ("2", "*", None, 7, 5),  # beside the first for an hour
        ("3", AGENT, "rebook", 4, 2),  # its other writes went on
    ):
        stop = OrderRow(name, "stop", of, "bo", NOW - begins * hour, step)
        await ledger.order(stop)
        await ledger.end_order(name, by="bo", at=NOW - ends * hour, why="")
    found = figure(await measure_report(ledger, AGENT, now=NOW), "availability")
    assert (found.n, found.value) == (600, pytest.approx(7 / 10, abs=1e-6))


async def test_what_nobody_ruled_on_and_what_stayed_in_doubt_makes_no_figure_better(
    ledger: Ledger, url: str
) -> None:
    await filled(ledger, url)
    before = await measure_report(ledger, AGENT, now=NOW)
    rows = raw(url)
    bad, over = Again(rows, SINCE, NOW).bad, {c["case_id"] for c in rows["cases"] if c["ended"]}
    good = (e for e in rows["effects"] if e["state"] == "done" and e["key"] not in bad)
    one = next(e for e in good if e["begun"] > SINCE.timestamp() and e["case_id"] in over)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        named: Any = {"case": one["case_id"]}
        connection.execute(
            sa.text("update handrail_effects set state = 'intended' where case_id = :case"), named
        )
        changed = "update handrail_questions set how = 'withdrawn', ended = asked + 0.1"
        connection.execute(sa.text(f"{changed} where agent = '{AGENT}' and how = 'approved'"))
    engine.dispose()
    after = await measure_report(ledger, AGENT, now=NOW)
    was, now = (figure(each, "action_success") for each in (before, after))
    assert (now.n, now.parts["good"]) == (was.n, was.parts["good"] - 1)
    assert figure(after, "review_time").n == 0


async def _present(ledger: Ledger, row: PresenceRow) -> None:
    step = timedelta(minutes=1)
    at = row.since
    while at <= row.last:
        await ledger.present(row.worker, [row.agent], row.build, at)
        at += step


def test_a_cell_of_a_report_shows_what_it_says() -> None:
    assert _inert("\u202e=1") == "\\u202e=1"
    assert _inert("=1") == "'=1"


async def test_a_level_is_told_with_its_share(ledger: Ledger) -> None:
    levels = {"1": (Level.FULL, 5_000, "book: full 50%"), "2": (Level.FULL, None, "book: full")}
    for n, (level, share, _) in levels.items():
        row = OrderRow(n, "level", AGENT, "a", NOW - timedelta(hours=3 - int(n)), "book")
        await ledger.order(replace(row, level=level, rollout=share))
    marks = (await measure_report(ledger, AGENT, now=NOW)).marks
    assert [m.what for m in marks] == [f"{said}, by a" for *_, said in levels.values()]
