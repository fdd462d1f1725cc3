"""What time does to a case: reminders, escalation, expiry; on the real server, skipping time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import State
from handrail.agent.visibility import DEADLINE_ATTRIBUTE, WAITING_FOR_ATTRIBUTE
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
CY = Human("cy@example.com")
ORDER = Order(number="1", amount=Decimal(300))
ROLES: dict[str, Any] = {
    "lead": LEAD | {"deadline": {"after": "8h", "then": "escalate", "to": "operations"}},
    "operations": {
        "people": [CY.address],
        "deadline": {"after": "24h", "then": "refuse"},
    },
}


async def test_nobody_answers_and_it_expires_never_approved_and_not_called_rejected(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        assert "it expires: the write is not made" in seen.then[-1]
        await case.pass_time(timedelta(hours=8))
        outcome = await case.outcome()
    assert outcome.status is State.EXPIRED
    assert "nobody of lead answered in time" in outcome.why
    assert outside.effects("pay") == []
    assert outcome.seconds[State.WAITING] == pytest.approx(8 * 3600, abs=60)


async def test_reminders_come_before_the_deadline(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        await case.gate()
        await case.pass_time(timedelta(hours=8))
        await case.outcome()
        log = [line.text for line in (await case.view()).log]
    assert log.count("reminder for lead") == 3
    assert log.index("reminder for lead") < log.index("expired for lead")


async def test_an_unanswered_question_goes_to_the_next_role_and_both_may_answer(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(roles=ROLES))) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        too_soon = await CY.approve(case, seen)
        assert not too_soon.accepted
        await case.pass_time(timedelta(hours=9))
        view = await case.until(lambda view: view.gates[0].waiting_for == ("operations",))
        assert view.gates[0].gate == seen.gate
        shown = (await case.handle.describe()).typed_search_attributes
        assert shown.get(WAITING_FOR_ATTRIBUTE) == ["operations"]
        assert shown.get(DEADLINE_ATTRIBUTE) == view.gates[0].deadline
        assert view.gates[0].deadline == seen.opened + timedelta(hours=32)
        assert (await CY.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_after_the_last_stage_it_expires(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, policy(roles=ROLES))) as stage:
        case = await stage.start("orders", ORDER)
        await case.gate()
        await case.pass_time(timedelta(hours=32))
        outcome = await case.outcome()
    assert outcome.status is State.EXPIRED
    assert "nobody of operations answered" in outcome.why


async def test_a_ruling_that_comes_late_is_refused_and_recorded(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    parts = ("post", "pay")
    fleet = orders(tmp_path, policy(agent="patient"))
    async with run_fleet(fleet) as stage:
        case = await stage.start("patient", Order(number="1", amount=Decimal(300), parts=parts))
        seen = await case.gate()
        assert seen.deadline is not None
        await case.send("pause")
        await case.pass_time(timedelta(hours=8))
        late = await ANA.approve(case, seen)
        assert not late.accepted
        assert "the gate is closed: expired" in late.note
        await case.send("resume")
        assert (await case.outcome()).status is State.EXPIRED
    assert outside.effects("pay") == []


async def test_a_ruling_in_the_last_minute_counts(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        await case.pass_time(timedelta(hours=7, minutes=59))
        assert (await ANA.approve(case, seen)).accepted
        assert (await case.outcome()).status is State.DONE


async def test_a_long_wait_with_many_reminders_keeps_its_history_small(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    roles = {"lead": LEAD | {"remind": "12h", "deadline": {"after": "4d", "then": "refuse"}}}
    async with run_fleet(orders(tmp_path, policy(roles=roles))) as stage:
        case = await stage.start("orders", ORDER)
        await case.gate()
        await case.pass_time(timedelta(days=4))
        assert (await case.outcome()).status is State.EXPIRED
        events = (await case.history()).events
    assert len(events) < 80


async def test_a_clock_that_stands_still_is_said(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        with outside.kept_waiting("pay"):
            case = await stage.start("orders", Order(number="1"))
            await outside.arrived("pay")
            with pytest.raises(TimeoutError, match=r"1:00:00 of orders:1 do not pass.*working"):
                await case.pass_time(timedelta(hours=1), within=timedelta(seconds=1))
        assert (await case.outcome()).status is State.DONE
