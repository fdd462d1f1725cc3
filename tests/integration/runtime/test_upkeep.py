"""Every few minutes: what a dead worker did not record is found, and owners are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Fleet, outcome
from handrail.agent import Step
from handrail.evidence import week_of
from handrail.ledger import AlertRow, CaseRecord
from handrail.oversight import OWNER_WORKFLOW
from handrail.runtime import recorder, worker_build
from handrail.runtime.upkeep import UpkeepResult
from handrail.testing import UNPROVEN, Human, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import orders_steps
from tests.agents.fleets import WORKFLOWS, orders, policy, put_policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

OLD = timedelta(seconds=1.2)
ALERTS = {"waiting": {"over": "1s"}}
INBOX = replace(UNPROVEN, inbox="https://inbox.example.com")


async def round_of(stage: Stage, agent: str = "orders") -> UpkeepResult:
    """One round, as the schedule starts it."""
    named = f"upkeep:{agent}/{datetime.now(UTC).timestamp()}"
    return await stage.client.execute_workflow(
        "Upkeep", agent, id=named, task_queue=agent, result_type=UpkeepResult
    )


async def told(stage: Stage) -> list[Any]:
    """What owners are to be told, by the workflows that tell them."""
    query = f"WorkflowType = '{OWNER_WORKFLOW}'"
    found = [each async for each in stage.client.list_workflows(query)]
    histories = [
        await stage.client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        for each in found
    ]
    converter = stage.client.data_converter
    return [
        (
            await converter.decode(
                history.events[0].workflow_execution_started_event_attributes.input.payloads
            )
        )[0]
        for history in histories
    ]


async def test_what_a_dead_worker_did_not_record_is_found(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, lost = recorder.CaseRecorder.put, list[str]()

    def dies(self: recorder.CaseRecorder, record: CaseRecord) -> None:
        if record.case.case == "orders:2":
            lost.append(record.case.case)
        else:
            put(self, record)

    monkeypatch.setattr(recorder.CaseRecorder, "put", dies)
    fleet = orders(tmp_path)
    async with run_fleet(fleet) as stage:
        await (await stage.start("orders", Order(number="1"))).outcome()
        await (await stage.start("orders", Order(number="2"))).outcome()
        assert lost
        begun = datetime.now(UTC)
        first = await round_of(stage)
        assert first.failed == ()
        assert first.swept is not None
        assert abs(first.swept - begun) < timedelta(minutes=1)
        assert set(await stage.ledger.runs_recorded(["orders:1", "orders:2"])) == {
            "orders:1",
            "orders:2",
        }
        (record,) = (await stage.ledger.case_records(["orders:2"])).values()
        assert (record.case.state, record.case.writes) == ("done", 1)
        assert record.case.build == worker_build(fleet.agents["orders"].code)["build_id"]
        assert "+" in record.case.build  # its code is in its name


async def test_an_owner_is_told_once_of_what_lasts_and_of_each_week(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path, policy(alerts=ALERTS))
    async with run_fleet(fleet, trust=INBOX) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(300)))
        gate = await case.gate()

        async def waits() -> bool:
            return bool(await stage.ledger.old_questions("orders", datetime.now(UTC) - OLD))

        await eventually(waits)
        before = [await round_of(stage), await round_of(stage)]
        assert [each.failed for each in before] == [(), ()]
        news = {each["id"]: each for each in await told(stage)}
        (alert,) = await stage.ledger.alerts("orders")
        assert alert.told is not None
        assert news[alert.id]["title"] == "orders: waiting"
        assert "1 question" in news[alert.id]["lines"][0]
        await Human("ana@example.com").approve(case, gate)
        await case.outcome()
        assert (await round_of(stage)).failed == ()
        assert await stage.ledger.alerts("orders") == []
        # A case of this week is none of the last one's.
        assert set(news) == {alert.id}
        (record,) = (await stage.ledger.case_records([case.id])).values()
        now = datetime.now(UTC)
        ended = now - timedelta(days=now.weekday() + 1)
        row = replace(record.case, case="orders:0", begun=ended, ended=ended)
        await stage.ledger.record_cases([CaseRecord(row)])
        assert [(await round_of(stage)).failed for _ in range(2)] == [(), ()]
        (week,) = [each for each in await told(stage) if each["id"].startswith("week ")]
        assert week["id"] == f"week {week_of(now)}"
        assert week["lines"][0].startswith("cases: 1, 0 the week before")
        assert "/agents/orders or handrail report orders" in week["lines"][-1]


async def test_another_policy_is_shown_before_its_first_write(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        assert (await round_of(stage)).failed == ()
        (first,) = await stage.ledger.policies("orders")
        put_policy(tmp_path, policy(version=first.version + 1))
        assert [(await round_of(stage)).failed for _ in range(2)] == [(), ()]
        latest, before = await stage.ledger.policies("orders")
        assert (latest.version, before) == (first.version + 1, first)


async def test_an_owner_is_told_once_of_a_proposal_and_of_a_step_back(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    rows = [
        AlertRow("p", "orders", "promotion: pay", now - OLD, "pilot to full 5%", "95%"),
        AlertRow("b", "orders", "step back: pay", now, "full to full 5%: drift", "", ended=now),
        AlertRow("a", "orders", "agreed: pay", now, "full 5%: so", "", ended=now),
    ]
    async with run_fleet(orders(tmp_path), trust=INBOX) as stage:
        for row in rows:
            await stage.ledger.begin_alert(row)
        assert [(await round_of(stage)).failed for _ in range(2)] == [(), ()]
        news = {each["id"]: each["title"] for each in await told(stage)}
    assert news == {"p": "orders may do more", "b": "orders does less by itself"}


async def test_what_people_did_is_read_and_what_is_wrong_in_it_is_named(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    asked: list[datetime] = []
    at = datetime.now(UTC)

    @outcome
    async def did(since: datetime) -> list[dict[str, Any]]:
        asked.append(since)
        pay = {"order": "1", "amount": "50"}
        right = {"case": "1", "step": "pay", "at": at, "action": pay, "by": "ana@example.com"}
        return [right, right | {"case": "2", "step": "fly"}]

    steps: list[Any] = [each for each in vars(orders_steps).values() if isinstance(each, Step)]
    path = put_policy(tmp_path, policy(actions={"pay": {"autonomy": "pilot"}}))
    fleet = Fleet(Agent("orders", WORKFLOWS["orders"], steps=[*steps, did], policy=path))
    async with run_fleet(fleet) as stage:
        await (await stage.start("orders", Order(number="1"))).outcome()
        (failed,) = (await round_of(stage)).failed
        assert "@outcome did: outcome 2" in failed
        (row,) = await stage.ledger.outcomes("orders")
        assert (row.case, row.step, row.by, row.at) == ("orders:1", "pay", "ana@example.com", at)
        assert asked[0] < at - timedelta(days=80)
        assert asked[-1] == at - timedelta(days=1)
