"""Every agent at a glance: fifteen of them on three workers, read by a few calls each."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import Client

from handrail import Agent, Fleet
from handrail.client import Operator, saved_views
from handrail.oversight import STEWARD_WORKFLOW
from handrail.testing import UNPROVEN, Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import orders_steps
from tests.agents.fleets import WORKFLOWS, orders, policy, put_policy
from tests.agents.orders_steps import Order
from tests.agents.poison import forge, until_listed

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")


def five(directory: Path, first: int) -> Fleet:
    names = [f"agent{n:02}" for n in range(first, first + 5)]
    flow = WORKFLOWS["orders"]
    paths = {name: put_policy(directory, policy(agent=name)) for name in names}
    return Fleet(*(Agent(n, flow, steps=orders_steps, policy=p) for n, p in paths.items()))


async def test_fifteen_agents_on_three_workers_are_one_list(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleets = [five(tmp_path, first) for first in (0, 5, 10)]
    async with run_fleet(fleets[0], workers=False) as stage, contextlib.AsyncExitStack() as stack:
        for number, fleet in enumerate(fleets):
            config = stage.client.config()
            address = stage.client.service_client.config.target_host
            client = await Client.connect(
                address,
                namespace=config["namespace"],
                identity=f"worker{number}",
                plugins=[fleet.plugin(tmp_path / "payloads")],
            )
            await stack.enter_async_context(fleet.running(client, stage.ledger, trust=UNPROVEN))
        agents = {name: agent for fleet in fleets for name, agent in fleet.agents.items()}
        ana = Operator(stage.client, stage.ledger, by=ANA.address, agents=agents)
        held = await stage.start("agent00", Order(number="1", amount=Decimal(300)))
        await held.gate()
        await (await stage.start("agent01", Order(number="1"))).outcome()
        await ana.stop("agent02", why="enough")

        async def seen() -> bool:
            found = (await ana.agents()).agents
            return all(each.workers for each in found) and found[0].waiting == 1

        await eventually(seen)
        found = (await ana.agents()).agents
        alone = await Operator(stage.client, by=ANA.address, agents=agents).agents()
    assert [each.agent for each in found] == [f"agent{n:02}" for n in range(15)]
    assert {each.workers[0].identity for each in found} == {"worker0", "worker1", "worker2"}
    assert all(each.workers[0].build.startswith("handrail-") for each in found)
    first, second, third, *_ = found
    assert (first.open, first.waiting, first.incidents, first.last_write) == (1, 1, 0, None)
    assert (second.open, second.state) == (0, "working")
    assert second.last_write is not None
    assert (third.state, third.stopped) == ("stopped", ANA.address)
    assert alone.agents[0].incidents is None
    assert "ledger" in alone.lacking[0]


async def test_a_worker_that_answers_nothing_is_told_from_one_that_does(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path)
    async with run_fleet(fleet, workers=False) as stage:
        ops = Operator(stage.client, stage.ledger, by=ANA.address, agents=fleet.agents)
        assert (await ops.workers()).away == ("orders",)
        async with fleet.running(stage.client, stage.ledger, trust=UNPROVEN):
            await (await stage.start("orders", Order(number="1"))).outcome()
            await ops.stop("orders/ship", why="to have a steward")
            await eventually(lambda: _well(ops))
            (one,) = (await ops.workers()).workers
        # Its last poll was a moment ago, so that Temporal lists it for some minutes more.
        after = await ops.workers()
        for view in saved_views(datetime.now(UTC), "orders"):
            await stage.client.count_workflows(view.query)
        done = await stage.client.count_workflows(saved_views(datetime.now(UTC), "orders")[0].query)
    assert (one.agents, one.silent) == (("orders",), ())
    assert not after.well
    assert [each.silent for each in after.workers] == [("orders",)]
    assert done.count == 1


async def _well(ops: Operator) -> bool:
    return (await ops.workers()).well


async def test_what_calls_itself_a_steward_hides_no_agent_and_keeps_no_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = orders(tmp_path)
    odd = ["autonomy:", "autonomy:it's", "autonomy:0", "nobody", "autonomy:nobody"]
    async with run_fleet(fleet) as stage:
        ops = Operator(stage.client, stage.ledger, by="boss@example.com", agents=fleet.agents)
        for case in odd:
            queue = case.partition(":")[2] or "nobody"
            await forge(stage.client, case, kind=STEWARD_WORKFLOW, queue=queue)
        await ops.stop("orders/ship", why="to have a steward")
        await until_listed(stage.client, len(odd) + 1)
        await ops.stop("*", why="enough")
        found = await ops.agents()
        lifted = await ops.lift("*", why="over")
    assert {each.agent for each in found.agents} == {"0", "nobody", "orders"}
    assert any("it's" in each for each in found.lacking)
    assert [each.stand for each in lifted.lifted] == ["done"]
