"""Another ledger than the agent's, or one that went back: nothing is written until accepted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest

from handrail import Ledger, State
from handrail.actions import LedgerMark
from handrail.client import Operator, ensure_stewards, held_ledger
from handrail.ledger import OrderRow
from handrail.oversight import OrderBook, OrderState, Trust, steward_id
from handrail.testing import CaseHandle, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import orders_steps
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order
from tests.agents.tools import reset
from tests.integration.guardrails.faults_tools import at

pytestmark = pytest.mark.integration

OWNER = "boss@example.com"


async def held(stage: Stage, *, least: int = 0) -> LedgerMark:
    """What the steward holds, when it has looked."""

    async def look() -> LedgerMark | None:
        await ensure_stewards(stage.client, ["orders"])
        found = await held_ledger(stage.client, "orders", timedelta(seconds=1))
        return found if found is not None and found.height >= least else None

    return await eventually(look)


async def refused(case: CaseHandle, words: str) -> None:
    """Its write is tried again and again, and says why it is not made."""

    async def said() -> bool:
        pending = (await case.handle.describe()).raw_description.pending_activities
        return any(words in each.last_failure.message for each in pending)

    await eventually(said)


@contextlib.asynccontextmanager
async def at_work(stage: Stage, ledger: Ledger) -> AsyncGenerator[None]:
    options = {"graceful_shutdown_timeout": timedelta(seconds=1)}
    trust = Trust(proof="unproven")
    async with stage.fleet.running(stage.client, ledger, trust=trust, **options):
        yield


async def accepted(stage: Stage, ledger: Ledger, *, by: str = OWNER) -> OrderState | None:
    given = await Operator(stage.client, ledger, by=by).accept_ledger("orders", "it was put back")
    return given.stand


async def stops_while_strange(stage: Stage) -> list[str]:
    """The stops that the steward shows, once it has seen a ledger that is none of the agent's."""
    steward = stage.client.get_workflow_handle(steward_id("orders"))
    book = await steward.query("autonomy", result_type=OrderBook)
    if book.strange is None or book.picture is None:
        return []
    return [each.id for each in book.picture.stops]


def backup(from_: Path, to: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(from_)) as one,
        contextlib.closing(sqlite3.connect(to)) as two,
    ):
        one.backup(two)


async def test_a_worker_with_another_ledger_writes_nothing_until_a_person_accepts_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        async with at_work(stage, stage.ledger):
            case = await stage.start("orders", Order(number="1", parts=("tell", "pay")))
            await case.outcome()
            mine = await held(stage, least=1)
        async with Ledger(f"sqlite:///{tmp_path}/other.db") as other, at_work(stage, other):
            case = await stage.start("orders", Order(number="2", parts=("tell", "pay")))
            await refused(case, "another ledger than the agent's")
            assert outside.effects("pay") == ["orders:1/pay/1"]
            assert await held(stage) == mine
            assert await accepted(stage, other, by="eve@example.com") is OrderState.REFUSED
            assert await accepted(stage, other) is OrderState.DONE
            assert (await case.outcome()).status is State.DONE
            now = await held(stage)
            assert now.id == (await other.mark("orders")).id
            assert now.height > mine.height
    assert len(outside.effects("pay")) == 2


async def test_a_ledger_that_went_back_is_noticed_and_a_stop_that_it_lost_stands(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    file, night = tmp_path / "ledger.db", tmp_path / "night.db"
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        async with at_work(stage, stage.ledger):
            await (await stage.start("orders", Order(number="1", parts=("pay",)))).outcome()
            backup(file, night)
            await (await stage.start("orders", Order(number="2", parts=("pay",)))).outcome()
            stop = OrderRow("s" * 8, "stop", "orders", OWNER, datetime.now(UTC), step="ship")
            await stage.ledger.order(stop)
            await held(stage, least=2)
        shutil.copy(night, tmp_path / "back.db")
        async with Ledger(f"sqlite:///{tmp_path}/back.db") as back, at_work(stage, back):
            case = await stage.start("orders", Order(number="3", parts=("ship",)))
            await refused(case, "went back in time: its height is 1, and was 2")
            assert (await held(stage)).height == 2
            assert await eventually(lambda: stops_while_strange(stage)) == ["s" * 8]
            assert outside.effects("ship") == []
            assert await accepted(stage, back) is OrderState.DONE
            assert (await case.outcome()).status is State.DONE
    assert outside.doubled() == []


async def test_a_ledger_that_goes_back_under_a_worker_is_noticed_at_its_next_write(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        await (await stage.start("orders", Order(number="1", parts=("pay",)))).outcome()
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("update handrail_heights set height = 0")
            other.commit()
        case = await stage.start("orders", Order(number="2", parts=("pay",)))
        await refused(case, "went back in time")
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_what_was_sent_is_not_sent_again_though_the_ledger_forgot_it_and_it_was_stopped(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(orders_steps.call), "timeout", timedelta(seconds=2))
    stop = OrderRow("s" * 8, "stop", "orders", OWNER, datetime.now(UTC))

    def forget_and_break_off() -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("delete from handrail_effects")
            other.commit()
        asyncio.get_running_loop().create_task(stage.ledger.order(stop))
        raise OSError("the machine goes down")

    async with run_fleet(orders(tmp_path)) as stage:
        with at("write:after-effect", forget_and_break_off):
            case = await stage.start("orders", Order(number="1", parts=("call", "post")))
            await case.until(lambda view: view.state is State.PAUSED)
        await Operator(stage.client, stage.ledger, by=OWNER).lift("orders")
        await case.handle.signal("resume", {"by": OWNER})
        gate = await case.gate()
        assert gate.kind == "in_doubt"
        assert outside.effects("call") == ["orders:1/call/1"]


async def test_what_was_sent_is_not_sent_again_though_its_activity_was_reset_with_all_it_knew(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(orders_steps.post), "timeout", timedelta(seconds=2))

    def forget_and_break_off() -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("delete from handrail_effects")
            other.commit()
        raise OSError("the machine goes down")

    async def failed() -> str:
        described = await case.handle.describe()
        pending = described.raw_description.pending_activities
        return next((each.activity_id for each in pending if each.attempt > 1), "")

    async with run_fleet(orders(tmp_path)) as stage:
        with at("write:after-effect", forget_and_break_off):
            case = await stage.start("orders", Order(number="1", parts=("post",)))
            reset_now = ResetActivityRequest(
                namespace=stage.client.namespace,
                execution=WorkflowExecution(workflow_id=case.id),
                id=await eventually(failed),
                reset_heartbeat=True,
            )
            await stage.client.workflow_service.reset_activity(reset_now)
        assert (await case.gate()).kind == "in_doubt"
        assert outside.effects("post") == ["orders:1/post/1"]


async def test_an_undo_waits_for_what_was_sent_though_the_ledger_forgot_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(orders_steps.call), "timeout", timedelta(seconds=2))
    broke_off: list[float] = []

    def forget_and_break_off() -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("delete from handrail_effects")
            other.commit()
        if not broke_off:
            asyncio.get_running_loop().create_task(case.send("roll_back"))
        broke_off.append(time.monotonic())
        raise OSError("the machine goes down")

    async with run_fleet(orders(tmp_path)) as stage:
        case = stage.case("orders:1")
        with at("write:after-effect", forget_and_break_off):
            await stage.start("orders", Order(number="1", parts=("call",)))
            outcome = await case.outcome()
    assert outcome.status is State.ROLLED_BACK
    assert len(broke_off) == 1
    assert time.monotonic() - broke_off[0] > 2
    assert outside.effects("uncall") == ["orders:1/call/1/undo"]


async def test_a_case_knows_what_its_ledger_was_although_worker_and_steward_do_not(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        async with at_work(stage, stage.ledger):
            case = await stage.start("orders", Order(number="1", parts=("pay", "wait", "ship")))
            await case.until(lambda view: len(view.receipts) == 1)
            await asyncio.sleep(0.2)
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("update handrail_heights set height = 0")
            other.commit()
        async with at_work(stage, stage.ledger):
            await case.pass_time(timedelta(hours=1))
            await refused(case, "went back in time: its height is 0, and was 1")
    assert outside.effects("ship") == []


async def test_a_steward_that_is_ended_does_not_have_another_ledger_taken_for_the_agents(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    steward = steward_id("orders")
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        async with at_work(stage, stage.ledger):
            await (await stage.start("orders", Order(number="1", parts=("pay",)))).outcome()
            mine = await held(stage, least=1)
        async with Ledger(f"sqlite:///{tmp_path}/other.db") as other:
            await stage.client.get_workflow_handle(steward).terminate()
            async with at_work(stage, other):
                case = await stage.start("orders", Order(number="2", parts=("pay",)))
                await refused(case, "another ledger than the agent's")
                assert await held(stage) == mine
                assert await accepted(stage, other) is OrderState.DONE
                assert (await case.outcome()).status is State.DONE
                now = await held(stage)
            # Nor is it forgotten that it was accepted.
            await stage.client.get_workflow_handle(steward).terminate()
            async with at_work(stage, other):
                assert (await held(stage)).id == now.id

                async def shown() -> str:
                    found = await Operator(stage.client, other).autonomy("orders")
                    return found.agents[0].picture.accepted[0]  # pyright: ignore[reportOptionalMemberAccess]

                assert f"accepted by {OWNER}: it was put back" in await eventually(shown)
            (row,) = await other.orders("orders", kind="ledger")
            assert (row.by, row.ended is not None) == (OWNER, True)
    assert len(outside.effects("pay")) == 2


async def test_a_case_that_is_reset_writes_nothing_again_as_ledger_or_height_says(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """Its step is scheduled anew, as a first attempt, of which Temporal has kept nothing."""
    file, night, sent = tmp_path / "ledger.db", tmp_path / "night.db", ["orders:1/post/1"]
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        async with at_work(stage, stage.ledger):
            await (await stage.start("orders", Order(number="0", parts=("pay",)))).outcome()
            backup(file, night)
            case = await stage.start("orders", Order(number="1", parts=("post",)))
            await case.outcome()
            await held(stage, least=2)
            await reset(stage, case)
            assert (await stage.case(case.id).outcome()).status is State.DONE
            assert outside.effects("post") == sent
        async with Ledger(f"sqlite:///{night}") as back, at_work(stage, back):
            await reset(stage, stage.case(case.id))
            await refused(stage.case(case.id), "went back in time")
    assert outside.effects("post") == sent
