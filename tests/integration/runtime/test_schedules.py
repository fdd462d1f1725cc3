"""Schedules: Temporal's own fire, and one time is one case, however often it is asked for."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from handrail import Fleet, Schedule
from handrail.client import Operator, ScheduleView
from handrail.exceptions import InvalidRequest, NotFound
from handrail.runtime import EmbeddedServer, keep_in_step, schedules
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order
from tests.agents.poison import MEMOS, forge, plain, until_listed

pytestmark = pytest.mark.integration

ANA = "ana@example.com"


@pytest.fixture(scope="module")
def handrail_server(scheduling_server: EmbeddedServer) -> EmbeddedServer:
    return scheduling_server


def order_at(at: datetime) -> Order:
    return Order(number=f"{at:%Y-%m-%dT%H:%M:%S%z}")


SECONDS = Schedule(name="seconds", event=order_at, every=timedelta(seconds=1), overlap="allow_all")
MORNINGS = Schedule(name="mornings", event=order_at, cron="30 7 * * *", time_zone="Europe/Vienna")


def declaring(directory: Path, *schedules: Schedule, **more: Any) -> Fleet:
    return orders(directory, triggers=schedules, **more)


async def in_step(stage: Stage, *schedules: Schedule) -> None:
    """As a worker with these declarations does at its start."""
    agent = declaring(stage.directory, *schedules).agents["orders"]
    await keep_in_step(stage.client, agent)


async def test_a_schedule_fires_and_a_time_is_one_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(declaring(tmp_path, SECONDS, MORNINGS)) as stage:
        # Two workers that start at once.
        agent = stage.fleet.agents["orders"]
        await asyncio.gather(*(keep_in_step(stage.client, agent) for _ in range(2)))
        ana = Operator(stage.client, stage.ledger, by=ANA)

        async def fired() -> list[str]:
            found = (await ana.schedules("orders")).schedules
            return [run.case for each in found for run in each.runs if run.case]

        fired_first: list[str] = await eventually(fired)
        paused = await ana.pause_schedule("orders/seconds", "enough")
        assert paused.paused
        assert paused.note == f"paused by {ANA}: enough"
        first = stage.case(fired_first[0])
        await first.outcome()
        assert (await first.view()).requester == "schedule:seconds"
        [seconds] = [
            each for each in (await ana.schedules()).schedules if each.schedule == "orders/seconds"
        ]
        assert seconds.spec == "every 1s"
        # The same time again, by hand and by back-fill, is the same case.
        at = seconds.runs[-1].at
        again = await ana.trigger_schedule("orders/seconds", at)
        assert [run.case for run in again.runs] == [seconds.runs[-1].case]
        since = at - timedelta(seconds=3)
        filled = await ana.backfill_schedule("orders/seconds", since, at)
        assert [run.at for run in filled.runs] == [since + timedelta(seconds=n) for n in range(4)]

        async def all_there() -> bool:
            listed = {each.case for each in (await ana.cases("orders")).cases}
            return {f"orders:{order_at(run.at).key}" for run in filled.runs} <= listed

        assert await eventually(all_there)
        with pytest.raises(InvalidRequest, match="has no time"):
            await ana.trigger_schedule("orders/mornings", at)
        now = await ana.trigger_schedule("orders/mornings")
        assert (await stage.case(now.runs[0].case).view()).requester == ANA
        # What others start under its name, with anything in its memo, hides no schedule.
        odd = {**MEMOS, "naive": plain(b'{"2026-01-01": "x"}'), "2026-01-01": plain(b"{}")}
        for what, memo in odd.items():
            made = f"orders/mornings-{what}"
            await forge(stage.client, made, memo, kind="ScheduledStart", name="cases")
        await until_listed(stage.client, len(odd))
        mornings = (await ana.schedules("orders")).schedules[0]
        assert [each.astimezone(UTC).minute for each in mornings.next] == [30] * 5
        with pytest.raises(NotFound):
            await ana.pause_schedule("orders/evenings")
    started = outside.effects("pay")
    assert len(started) == len(set(started))


async def test_what_is_declared_is_what_there_is_and_a_persons_pause_stays(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(declaring(tmp_path, MORNINGS), workers=False) as stage:
        ana = Operator(stage.client, stage.ledger, by=ANA)
        hourly = dataclasses.replace(SECONDS, name="hourly", every=timedelta(hours=1))
        await in_step(stage, MORNINGS, hourly)
        await ana.pause_schedule("orders/mornings", "holidays")
        later = dataclasses.replace(MORNINGS, cron="0 9 * * *", catch_up=timedelta(hours=1))
        await in_step(stage, later)

        async def retired() -> bool:
            # The list of the server is a moment late.
            await in_step(stage, later)
            return (await ana.schedules("orders")).schedules[0].paused

        await eventually(retired)
        gone, kept = (await ana.schedules("orders")).schedules
        assert (gone.note, gone.paused) == ("no worker declares it any more", True)
        assert (kept.note, kept.paused) == (f"paused by {ANA}: holidays", True)
        assert kept.spec == "cron 0 9 * * *, Europe/Vienna"
        await in_step(stage, later, hourly)
        again, kept = (await ana.schedules("orders")).schedules
        assert not again.paused
        assert kept.paused
        await ana.resume_schedule("orders/mornings")
        await in_step(stage, later, hourly)
        assert not (await ana.schedules("orders")).schedules[1].paused


async def test_cases_that_shall_not_overlap_wait_for_each_other(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    held = policy(actions={"pay": {"autonomy": "supervised"}})
    one_by_one = dataclasses.replace(SECONDS, overlap="skip")
    async with run_fleet(orders(tmp_path, held, triggers=[one_by_one])) as stage:
        ana = Operator(stage.client, stage.ledger, by=ANA)
        await keep_in_step(stage.client, stage.fleet.agents["orders"])

        async def skipped() -> ScheduleView | None:
            # The server lists a new schedule a moment after it was made.
            for found in (await ana.schedules("orders")).schedules:
                return found if found.skipped >= 2 and found.runs and found.runs[0].case else None
            return None

        found: ScheduleView = await eventually(skipped)
        assert len(found.runs) == 1
        await stage.case(found.runs[0].case).gate()
        await ana.reject(found.runs[0].case, "no")

        async def next_one() -> bool:
            [later] = (await ana.schedules("orders")).schedules
            return len(later.runs) > 1

        await eventually(next_one)


async def test_a_time_that_makes_no_event_keeps_no_other_from_its_case(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "_MOST_TRIES", 2)
    bad = list[datetime]()

    def event(at: datetime) -> Order:
        bad[:] = bad or [at]
        if at in bad:
            raise LookupError("no price of that day")
        return order_at(at)

    each = dataclasses.replace(SECONDS, event=event, overlap="skip")
    async with run_fleet(orders(tmp_path, triggers=[each])) as stage:
        ana = Operator(stage.client, stage.ledger, by=ANA)
        await keep_in_step(stage.client, stage.fleet.agents["orders"])

        async def missed() -> ScheduleView | None:
            for found in (await ana.schedules("orders")).schedules:
                others = any(run.case for run in found.runs)
                return found if others and bad[0] in found.missed else None
            return None

        await eventually(missed)
        await ana.pause_schedule("orders/seconds")
        failed = stage.client.get_workflow_handle(f"orders/seconds-{bad[0]:%Y-%m-%dT%H:%M:%SZ}")
        with pytest.raises(WorkflowFailureError) as raised:
            await failed.result()
        assert "LookupError: no price of that day" in str(raised.value.cause)
        # Once it is mended, by hand.
        time, bad[0] = bad[0], datetime.max.replace(tzinfo=UTC)
        again = await ana.trigger_schedule("orders/seconds", time)
        await stage.case(again.runs[0].case).outcome()
        assert time not in (await ana.schedules("orders")).schedules[0].missed


async def test_a_time_that_clocks_leave_out_is_none_and_one_that_they_repeat_is_one(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    nightly = Schedule(name="night", event=order_at, cron="30 2 * * *", time_zone="Europe/Vienna")
    async with run_fleet(declaring(tmp_path, nightly)) as stage:
        await in_step(stage, nightly)
        ana = Operator(stage.client, stage.ledger, by=ANA)

        async def times(first: datetime, last: datetime) -> list[str]:
            filled = await ana.backfill_schedule("orders/night", first, last)
            return [f"{run.at:%d %H:%M}" for run in filled.runs]

        spring = await times(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))
        assert spring == ["28 01:30", "30 00:30"]
        fall = await times(datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 27, tzinfo=UTC))
        assert fall == ["24 00:30", "25 01:30", "26 01:30"]
