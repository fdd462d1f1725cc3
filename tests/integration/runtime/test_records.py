"""Records of cases: kept as they run, and the same again when made from their histories."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import JsonValue

from handrail.ledger import CaseRecord, OrderRow
from handrail.runtime import RebuiltRecords, rebuild, rebuild_records, recorder, records
from handrail.testing import CaseHandle, Human, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import handing, orders, policy
from tests.agents.handing_steps import Job
from tests.agents.orders_steps import Order, Part

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
LARGE = Decimal(300)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PILOT = policy(actions={"post": {"autonomy": "pilot"}})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep records at once, instead of each second."""
    monkeypatch.setattr(recorder, "EVERY", 0.05)
    monkeypatch.setattr(rebuild, "_SETTLES", timedelta(seconds=0.3))


async def command(stage: Stage, url: str, *more: str) -> tuple[int, dict[str, str]]:
    """What `handrail evidence rebuild` ends with, and the differences that it names."""
    home = stage.directory
    made = f"from tests.agents.fleets import orders_in\nfleet = orders_in({str(home)!r})\n"
    (home / "orders_here.py").write_text(made, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "handrail", "evidence", "rebuild", "orders", *more, "--json"),
        stdout=asyncio.subprocess.PIPE,
        cwd=home,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TEMPORAL_ADDRESS": stage.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": stage.client.namespace,
            "HANDRAIL_HOME": str(home),
            "HANDRAIL_LEDGER_URL": url,
            "HANDRAIL_FLEET": "orders_here:fleet",
        },
    )
    said, _ = await process.communicate()
    [found] = json.loads(said)["agents"]
    differing = {each["case"]: each["what"] for each in found["differences"]}
    return await process.wait(), differing


async def check(stage: Stage, agent: str, *, only: bool = True) -> RebuiltRecords:
    plugin = stage.fleet.plugin(stage.directory / "payloads")
    named = stage.fleet.agent(agent)
    return await rebuild_records(named, stage.client, stage.ledger, plugin, check=only)


async def ended(stage: Stage, case: str) -> CaseRecord:
    """The record of a case that has ended, as soon as that is kept."""

    async def kept() -> CaseRecord | None:
        found = (await stage.ledger.case_records([case])).get(case)
        return found if found and found.case.ended else None

    return await eventually(kept)


async def small(
    stage: Stage, number: str, *parts: Part, by: str | None = None, worth: str | None = None
) -> CaseHandle:
    order = Order(number=number, parts=parts, worth=worth)
    return await stage.start("orders", order, requested_by=by)


async def large(stage: Stage, number: str, *more: Part) -> CaseHandle:
    order = Order(number=number, amount=LARGE, parts=("pay", *more))
    return await stage.start("orders", order, requested_by="hook:shop")


async def play(stage: Stage, outside: Outside) -> None:
    """One case of each kind."""
    alone = await small(stage, "alone", "pay", "tell", by="zoe@example.com", worth="12.5")
    nothing = await small(stage, "nothing")
    broken = await small(stage, "broken", "pay", "break")
    piloted = await small(stage, "piloted", "post")
    unsaid = await small(stage, "unsaid", worth="much")
    gated = ("approved", "rejected", "expired", "paused", "asks", "back", "killed", "no")
    held = {name: await large(stage, name) for name in gated}
    gates = {name: await case.gate() for name, case in held.items()}
    assert (await ANA.approve(held["approved"], gates["approved"])).accepted
    assert (await ANA.reject(held["rejected"], gates["rejected"], why="too much")).accepted
    await held["expired"].pass_time(timedelta(hours=9))
    await held["paused"].send("pause")
    waits = await small(stage, "waits", "wait")
    # One that is paused in its first task has no record yet.
    await waits.until(lambda view: any("decided" in line.text for line in view.log))
    await waits.send("pause")
    await held["back"].send("roll_back")
    await held["killed"].handle.terminate(reason="it was in the way")
    ending = (alone, nothing, broken, piloted, unsaid, *(held[n] for n in ("approved", "rejected")))
    for case in (*ending, held["expired"], held["back"]):
        await case.outcome()
    outside.break_down("pay", says="final: no such account")
    assert (await ANA.approve(held["no"], gates["no"])).accepted
    await held["no"].outcome()


STATES = {
    "alone": "done",
    "nothing": "done",
    "broken": "failed",
    "piloted": "piloted",
    "unsaid": "failed",
    "approved": "done",
    "rejected": "rejected",
    "expired": "expired",
    "back": "rolled_back",
    "no": "failed",
    "killed": "terminated",
    "paused": "paused",
    "waits": "paused",
    "asks": "waiting",
}


async def test_what_was_kept_as_cases_ran_is_what_their_histories_say(
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[tuple[str, float]] = []

    def count(agent: str, step: str, how: str, seconds: float) -> None:
        closed.append((how, seconds))

    monkeypatch.setattr(records, "count_ruling", count)
    async with run_fleet(orders(tmp_path, PILOT), ledger=url) as stage:
        await play(stage, outside)
        # Nobody hands over the end that Temporal made: it is all that differs.
        found = await check(stage, "orders")
        assert [case for case, _ in found.differences] == ["orders:killed"]
        assert (found.looked, found.kept) == (len(STATES), [])
        await check(stage, "orders", only=False)
        assert (await check(stage, "orders")).differences == []
        kept = await stage.ledger.case_records([f"orders:{name}" for name in STATES])
        assert {name: kept[f"orders:{name}"].case.state for name in STATES} == STATES
        _look(kept)
        # Each closing is counted once: not as its case goes on, nor as it is replayed.
        hows = ["approved", "approved", "expired", "rejected", "withdrawn"]
        assert sorted(how for how, _ in closed) == hows
        assert all(took > 0 for _, took in closed)
        # What somebody changes by hand is found, and made again.
        await stage.ledger._run(_change)  # pyright: ignore[reportPrivateUsage]
        changed = dict((await check(stage, "orders")).differences)
        assert changed == {
            "orders:alone": "case.state is 'failed', made again 'done'",
            "orders:approved": "0 questions kept, 1 made again",
            "orders:nothing": "2 decisions kept, 1 made again",
            "orders:rejected": "was not kept",
            "orders:invented": "is kept, and the server knows of no such case",
        }
        assert await command(stage, url, "--check") == (1, changed)
        # What is of no history is left alone: it may be of one that is gone.
        changed.pop("orders:invented")
        assert await command(stage, url) == (0, changed)
        assert await stage.ledger.case_records(list(kept)) == kept
        # Of a case that the server knows no more, the ledger keeps what it has.
        forgotten = replace(kept["orders:alone"].case, case="orders:forgotten")
        await stage.ledger.record_cases([CaseRecord(forgotten)])
        found = await check(stage, "orders", only=False)
        assert {case for case, _ in found.kept} == {"orders:forgotten", "orders:invented"}
        assert len(await stage.ledger.cases_recorded("orders", by="begun")) == len(STATES) + 2
        # Long ago it may have been real; and so may one that was erased.
        old = {"begun": LONG_AGO, "ended": LONG_AGO}
        older = replace(kept["orders:alone"].case, case="orders:older", **old)
        await stage.ledger.record_cases([CaseRecord(older)])
        order = OrderRow("erase-1", "erase", "orders", "z", LONG_AGO, case="orders:forgotten")
        assert await stage.ledger.erase_case(order)
        again = await check(stage, "orders")
        assert [case for case, _ in again.differences] == ["orders:invented"]


def _change(connection: sa.Connection) -> None:
    """One row wrong, some missing, and one too many of a case and of the agent."""
    for statement in (
        "update handrail_cases set state = 'failed' where case_id = 'orders:alone'",
        "delete from handrail_questions where case_id = 'orders:approved'",
        "delete from handrail_cases where case_id = 'orders:rejected'",
    ):
        connection.execute(sa.text(statement))
    for name, case, more in (
        ("handrail_decisions", "orders:nothing", {"number": 99}),
        ("handrail_cases", "orders:alone", {"case_id": "orders:invented"}),
    ):
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        row = connection.execute(sa.select(table).where(table.c.case_id == case)).mappings().one()
        connection.execute(sa.insert(table), [dict(row) | more])


def _look(records: dict[str, CaseRecord]) -> None:
    alone, approved = records["orders:alone"], records["orders:approved"]
    [decision] = alone.decisions
    assert (decision.kind, decision.step, len(decision.inputs)) == ("Pay", "choose", 64)
    assert (alone.case.trigger, alone.case.writes, alone.questions) == ("person", 1, ())
    assert alone.case.value == "12.5"
    assert "done(value='much')" in records["orders:unsaid"].case.why
    assert (approved.case.trigger, approved.case.questions) == ("hook", 1)
    [question] = approved.questions
    assert (question.how, question.by, question.roles) == ("approved", (ANA.address,), ("lead",))
    assert question.proven is False
    [expired] = records["orders:expired"].questions
    assert (expired.how, expired.reminded and expired.reminded > expired.asked) == ("expired", True)
    assert records["orders:killed"].case.why == "it was in the way"
    assert [each.kind for each in records["orders:broken"].errors] == ["bug"]
    assert [each.kind for each in records["orders:no"].errors] == ["refused_by_system"]
    assert records["orders:piloted"].case.pilot
    assert set(records["orders:approved"].case.seconds) == {"working", "waiting"}


async def test_a_case_that_continues_as_new_keeps_what_its_earlier_runs_asked(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.agent.verbs.LONG_RUN", 20)
    async with run_fleet(orders(tmp_path, policy(agent="standing"))) as stage:
        case = await stage.start("standing", Order(number="1", times=3, amount=LARGE))
        seen = None
        for _ in range(3):
            seen = await case.gate(but=seen)
            await ANA.approve(case, seen)
        await case.outcome()
        kept = await ended(stage, case.id)
        assert (await check(stage, "standing")).differences == []
    assert kept.case.run_id != case.handle.first_execution_run_id
    assert [each.how for each in kept.questions] == ["approved"] * 3
    assert (kept.case.questions, kept.case.writes, kept.case.escalated) == (3, 3, 0)


async def test_a_case_that_was_handed_on_names_the_one_before(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:
        job: dict[str, JsonValue] = {"number": "P", "parts": ["plan"]}
        case = await stage.start("desk", Job(number="1", parts=("off payer",), then=job))
        await case.outcome()
        desk = await ended(stage, case.id)
        await stage.case("payer:P").send("stop")
        paid = await ended(stage, "payer:P")
        for agent in ("desk", "payer"):
            assert (await check(stage, agent)).differences == []
    assert (desk.case.parent, desk.case.trigger) == (None, "event")
    assert (paid.case.parent, paid.case.trigger) == ("desk:1", "hand-off")
    assert paid.case.tokens == 10
