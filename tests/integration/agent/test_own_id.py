"""One event is one case: under no other id, and another event under its key is said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from handrail import State
from handrail.client import Operator, StartedCase
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_flow import Handing, OrderAgent
from tests.agents.orders_steps import Order
from tests.agents.tools import raw

pytestmark = pytest.mark.integration

ORDER = Order(number="1")
OTHERS = ("8f14e45f", "orders:1-retry", "orders:1 ", "Orders:1", "1", "orders:orders:1", "pay:1")
NO_SIGNAL = (raw(b"{"), raw(b"[]"), raw(b'{"number": 1}'), raw(b"x", "binary/plain"))


async def refusal(client: Client, case: str) -> str:
    with pytest.raises(WorkflowFailureError) as failed:
        await client.execute_workflow(OrderAgent.run, ORDER, id=case, task_queue="orders")
    return str(failed.value.cause)


async def test_under_another_id_nothing_is_begun(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        await case.outcome()
        for other in OTHERS:
            assert "the case of its event is 'orders:1'" in await refusal(stage.client, other)
        await stage.case(OTHERS[0]).view()  # its history replays
        await stage.client.start_workflow(
            OrderAgent.run, Order(number="2"), id="orders:2", task_queue="orders"
        )
        assert (await stage.case("orders:2").outcome()).status is State.DONE
        found = await Operator(stage.client).cases(state="failed")
    assert outside.effects("pay") == ["orders:1/pay/1", "orders:2/pay/1"]
    assert {each.case for each in found.cases} == set(OTHERS)


async def test_nor_by_the_later_runs_of_a_cron_schedule(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    runs: set[str] = set()
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.client.start_workflow(
            OrderAgent.run, ORDER, id="orders:cron", task_queue="orders", cron_schedule="@every 1s"
        )
        latest = stage.client.get_workflow_handle(case.id)

        async def third() -> bool:
            runs.add((await latest.describe()).run_id)
            return len(runs) > 2

        await eventually(third)
        await latest.terminate()
    assert outside.effects("pay") == []


async def test_a_child_is_the_case_of_its_event_or_none(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with (
        run_fleet(orders(tmp_path)) as stage,
        Worker(
            stage.client,
            task_queue="others",
            workflows=[Handing],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        for case in ("orders:1", "by chance"):
            run = stage.client.execute_workflow(
                Handing.run, args=[ORDER, case], id=f"parent of {case}", task_queue="others"
            )
            if case == "orders:1":
                assert (await run)["status"] == "done"
            else:
                with pytest.raises(WorkflowFailureError):
                    await run
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def start(stage: Stage, order: Order, agent: str = "orders") -> StartedCase:
    return await stage.fleet.start(stage.client, agent, order, ledger=stage.ledger)


async def test_another_event_under_its_key_is_said(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    first, other = Order(number="1", amount=Decimal(300)), Order(number="1", amount=Decimal(900))
    same = Order(number="1", amount=Decimal("300.00"))
    async with run_fleet(orders(tmp_path)) as stage:
        assert not (await start(stage, first)).duplicate
        assert await start(stage, same) == StartedCase(case="orders:1", duplicate=True)
        seen = await stage.case("orders:1").gate()
        said = StartedCase(case="orders:1", duplicate=True, changed=True)
        assert [await start(stage, other) for _ in range(3)] == [said] * 3
        for garbage in NO_SIGNAL:
            await stage.case("orders:1").send("another_event", garbage)
        await stage.case("orders:1").send("another_event")
        await stage.case("orders:1").send("another_event", "two", "values")
        view = await stage.case("orders:1").until(lambda v: "not taken" in v.log[-1].text)
        assert [gate.gate for gate in view.gates] == [seen.gate]
        bo = Operator(stage.client, stage.ledger, by="bo@example.com")
        document = {"number": "1", "amount": "900"}
        assert (await bo.start("orders", document, key="1", workflow="OrderAgent")).changed
        # Who asked for it, in whatever words, does not approve it.
        assert not (await bo.approve(seen.gate)).accepted
        await Operator(stage.client, stage.ledger, by="ana@example.com").approve(seen.gate)
        await stage.case("orders:1").outcome()
        # It has ended: nobody can be told, and that is said too.
        assert await start(stage, other) == said
    told = [line.text for line in view.log if line.text.startswith("another event came")]
    assert len(told) == 1
    assert "takes no changes" in told[0]
    assert "900" in told[0]
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_an_agent_may_take_it_as_a_change(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    first, bad, other = (Order(number="1", amount=Decimal(n)) for n in (50, -1, 70))
    fleet = orders(tmp_path, policy(agent="changing"))
    # It comes before any worker has begun the case.
    async with run_fleet(fleet, workers=False) as stage:
        await start(stage, first, "changing")
        assert (await start(stage, bad, "changing")).taken
        assert (await start(stage, other, "changing")).taken
        async with stage.fleet.running(stage.client, stage.ledger):
            case = stage.case("changing:1")
            assert (await case.outcome()).status is State.DONE
            view = await case.view()
    assert any("not taken: nobody pays less" in line.text for line in view.log)
    [paid] = outside.calls("pay")
    assert "70" in str(paid)


async def test_a_field_that_has_come_since_makes_no_other_event(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path), workers=False) as stage:
        await stage.client.start_workflow(
            "OrderAgent", raw(b'{"number": "1"}'), id="orders:1", task_queue="orders"
        )
        assert await start(stage, ORDER) == StartedCase(case="orders:1", duplicate=True)
