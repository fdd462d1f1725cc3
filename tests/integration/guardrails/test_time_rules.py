"""Working weeks at a gate, in seconds: what was foretold is compared with what happened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handrail import State
from handrail.oversight import GateView
from handrail.testing import CaseHandle, Human, Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

ANA, BO, CY = (Human(f"{who}@example.com") for who in ("ana", "bo", "cy"))
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
DAY, HOUR, MOMENT = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


@dataclass
class Clock:
    """The clock of one case, which can only be moved on."""

    case: CaseHandle
    ahead: timedelta = field(default=timedelta(0))

    async def to(self, at: datetime) -> None:
        length = at + MOMENT - (datetime.now(UTC) + self.ahead)
        await self.case.pass_time(length)
        self.ahead += length


def clocks_change(zone: ZoneInfo) -> date:
    """The next Sunday on which the clocks are changed there, ten days from now or later."""
    day = datetime.combine(datetime.now(UTC).date() + 10 * DAY, time(), tzinfo=zone)
    while day.utcoffset() == (day + DAY).utcoffset():
        day += DAY
    assert day.weekday() == 6
    return day.date()


def at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=zone)


async def opened_at(stage: Stage, when: datetime) -> tuple[Clock, GateView]:
    """A case whose gate opens at that time: until then it is paused."""
    order = Order(number="1", amount=Decimal(300), parts=("wait", "pay"))
    case = await stage.start("orders", order)
    await case.until(lambda view: any("decided" in line.text for line in view.log))
    await case.send("pause", {})
    await case.until(lambda view: view.state is State.PAUSED)
    clock = Clock(case)
    await clock.to(when)
    await case.send("resume", {})
    return clock, await case.gate()


def near(moment: datetime) -> Any:
    return pytest.approx(moment.timestamp(), abs=10)


async def happened(case: CaseHandle) -> list[tuple[str, float]]:
    """What time alone brought about, and when."""
    words = ("reminder for", "escalated for", "expired for")
    log = (await case.view()).log
    return [(e.text, e.at.timestamp()) for e in log if e.text.startswith(words)]


async def test_a_week_of_working_hours_a_holiday_and_a_change_of_clocks(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    sunday = clocks_change(BERLIN)
    friday, monday = sunday - 2 * DAY, sunday + DAY
    tuesday, wednesday, thursday = monday + DAY, monday + 2 * DAY, monday + 3 * DAY
    days: dict[str, Any] = {"days": "mon-fri"}
    berlin = {"zone": "Europe/Berlin", "from": "09:00", "to": "17:00", "holidays": [str(monday)]}
    new_york = {"zone": "America/New_York", "from": "10:00", "to": "16:00"}
    roles = {
        "lead": LEAD
        | {"remind": "4h", "hours": days | berlin}
        | {"deadline": {"after": "12h", "then": "escalate", "to": "boss"}},
        "boss": {"people": [CY.address], "hours": days | new_york}
        | {"deadline": {"after": "12h", "then": "refuse"}},
    }
    async with run_fleet(orders(tmp_path, policy(roles=roles))) as stage:
        clock, seen = await opened_at(stage, at(friday, 15, BERLIN))
        # Two hours on Friday, none on Monday, eight on Tuesday, two on Wednesday.
        lead, boss = (stage.until.timestamp() for stage in seen.stages)
        assert lead == near(at(wednesday, 11, BERLIN))
        assert boss == near(at(thursday, 16, NEW_YORK))
        assert [(s.role, s.asked) for s in seen.stages] == [("lead", True), ("boss", False)]
        assert seen.then[0].endswith("it goes to boss")
        assert seen.then[1].endswith("it expires: the write is not made")
        assert seen.next is not None
        assert seen.next.timestamp() == near(at(tuesday, 11, BERLIN))
        moments: list[datetime] = []
        while (gates := await clock.case.gates()) and (moment := gates[0].next):
            if moment in moments:  # its clock is there, and the case has not seen it yet
                await asyncio.sleep(0.02)
                continue
            moments.append(moment)
            await clock.to(moment)
        outcome = await clock.case.outcome()
        passed = await happened(clock.case)
    assert outcome.status is State.EXPIRED
    assert outside.effects("pay") == []
    assert passed == [
        ("reminder for lead", near(at(tuesday, 11, BERLIN))),
        ("reminder for lead", near(at(tuesday, 15, BERLIN))),
        ("escalated for lead to boss", pytest.approx(lead, abs=0.001)),
        ("expired for boss", pytest.approx(boss, abs=0.001)),
    ]
    assert [moment.timestamp() for moment in moments] == [
        pytest.approx(p, abs=10) for _, p in passed
    ]


async def test_nobody_is_reminded_at_night_and_the_morning_is_early_enough(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    hours = {"zone": "Europe/Berlin", "days": "mon-fri", "from": "09:00", "to": "17:00"}
    sunday = clocks_change(BERLIN)
    friday, monday = sunday - 2 * DAY, sunday + DAY
    async with run_fleet(
        orders(tmp_path, policy(roles={"lead": LEAD | {"hours": hours}}))
    ) as stage:
        clock, seen = await opened_at(stage, at(friday, 22, BERLIN))
        assert seen.stages[0].until.timestamp() == near(at(monday, 17, BERLIN))
        await clock.to(at(monday, 9, BERLIN))
        assert await happened(clock.case) == []
        assert (await ANA.approve(clock.case, seen)).accepted
        assert (await clock.case.outcome()).status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


STOPS = {"lead": LEAD | {"clock": "stops", "remind": "6h"}}


async def test_the_clock_stands_still_while_a_question_is_out(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(roles=STOPS))) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(300)))
        seen, clock = await case.gate(), Clock(case)
        assert seen.deadline == seen.opened + 8 * HOUR
        await clock.to(seen.opened + 3 * HOUR)
        assert (await ANA.ask(case, "is it right?", BO.address, seen)).accepted
        [asked] = await case.gates()
        assert "the clock stands still" in asked.then[-1]
        assert asked.deadline is not None
        assert asked.deadline <= seen.opened + 16 * HOUR
        # The reminder of the sixth hour would come now, and does not.
        await clock.to(seen.opened + 8 * HOUR + HOUR / 2)
        assert await happened(case) == []
        assert (await BO.answer(case, "yes", asked, question="q1")).accepted
        [told] = await case.gates()
        assert told.deadline is not None
        foretold = told.deadline.timestamp()
        assert foretold == near(seen.opened + 13 * HOUR + HOUR / 2)
        await clock.to(told.deadline)
        assert (await case.outcome()).status is State.EXPIRED
        passed = await happened(case)
    assert passed[0] == ("reminder for lead", near(seen.opened + 11 * HOUR + HOUR / 2))
    assert passed[1:] == [("expired for lead", pytest.approx(foretold, abs=0.001))]
    assert outside.effects("pay") == []


async def test_a_question_that_nobody_answers_keeps_no_gate_open_for_ever(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(roles=STOPS))) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(300)))
        seen, clock = await case.gate(), Clock(case)
        await clock.to(seen.opened + 3 * HOUR)
        assert (await ANA.ask(case, "is it right?", BO.address, seen)).accepted
        [asked] = await case.gates()
        assert asked.deadline is not None
        await clock.to(asked.deadline)
        assert (await case.outcome()).status is State.EXPIRED
        passed = await happened(case)
    assert passed == [("expired for lead", pytest.approx(asked.deadline.timestamp(), abs=0.001))]
    assert outside.effects("pay") == []
