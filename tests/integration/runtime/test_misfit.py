"""One open case that does not replay: it is named and left alone, and every other one goes on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from handrail import State
from handrail.client import Operator
from handrail.ledger import IncidentRow
from handrail.oversight import Alert, Trust
from handrail.runtime import ReplayedCase, Settings, UnreplayableCases, failing_cases
from handrail.runtime.failing_cases import look_for_failing
from handrail.runtime.replays import AgentReplays
from handrail.runtime.worker import look_at_misfits
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

GOOD = 4
UNPROVEN = Trust(proof="unproven")


@workflow.defn(name="OrderAgent", sandboxed=False)
class Other:
    """What an old worker, or whoever may poll the queue, does with a case."""

    @workflow.run
    async def run(self, order: dict[str, object]) -> None:
        del order
        await workflow.sleep(timedelta(hours=5))


async def mislead(stage: Stage, *numbers: str) -> None:
    """Have cases go another way than their agent's."""
    async with Worker(
        stage.client,
        task_queue="orders",
        workflows=[Other],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="x",
    ):
        for number in numbers:
            case = await stage.start("orders", Order(number=number, amount=Decimal(300)))

            async def moved(case: str = case.id) -> bool:
                history = await stage.client.get_workflow_handle(case).fetch_history()
                return any(e.HasField("timer_started_event_attributes") for e in history.events)

            await eventually(moved)


async def test_one_case_that_does_not_replay_stops_no_worker(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet, settings = orders(tmp_path), Settings(home=tmp_path, payload_dir=tmp_path / "payloads")
    async with run_fleet(fleet, workers=False) as stage:
        client, ledger = stage.client, stage.ledger
        async with fleet.running(client, ledger, trust=UNPROVEN):
            good = [
                await stage.start("orders", Order(number=str(n), amount=Decimal(300)))
                for n in range(GOOD)
            ]
            gates = [await case.gate() for case in good]
        await mislead(stage, "bad")
        assert await look_at_misfits(client, fleet, settings, ledger) == frozenset()
        await look_at_misfits(client, fleet, settings, ledger)  # as at the next start
        (incident,) = await ledger.incidents("orders")
        assert (incident.case, incident.kind) == ("orders:bad", "misfit")
        assert "does not replay" in incident.what
        async with fleet.running(client, ledger, trust=UNPROVEN):
            for gate in gates:
                await Operator(client, ledger, by="ana@example.com").approve(gate)
            for case in good:
                assert (await case.outcome()).status is State.DONE
        # Now it is all there is, so it may be the code: no worker, unless somebody wants it.
        with pytest.raises(UnreplayableCases, match="orders:bad"):
            await look_at_misfits(client, fleet, settings, ledger)
        assert await look_at_misfits(client, fleet, settings, ledger, anyway=True) == frozenset()


async def test_a_case_whose_code_fails_again_and_again_is_an_incident_and_its_owner_told_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []

    async def tell(news: Alert, inbox: str, client: Client) -> None:
        told.append((news.id, inbox))

    monkeypatch.setattr(failing_cases, "alert_owner", tell)
    # The server reports such a case when its task has failed five times, ever more seldom.
    monkeypatch.setattr(failing_cases, "REPORTED", "HandrailState = 'working'")
    fleet = orders(tmp_path, policy(stuck={"after": "1s"}))
    async with run_fleet(fleet, workers=False) as stage:
        client, ledger, agent = stage.client, stage.ledger, fleet.agents["orders"]
        await mislead(stage, "bad")
        async with fleet.running(client, ledger, trust=UNPROVEN):
            good = await stage.start("orders", Order(number="good", parts=("wait",)))

            async def seen() -> list[IncidentRow]:
                await look_for_failing(client, agent, ledger, "http://inbox")
                return await ledger.incidents("orders")

            await stage.case("orders:bad").send("pause")
            (incident,) = await eventually(seen, within=timedelta(seconds=20))
            await seen()
            assert len(await ledger.incidents("orders")) == 1
            (stuck,) = (await Operator(client, ledger).stuck_cases("orders")).cases
            await good.send("stop")
    assert (incident.case, incident.kind) == ("orders:bad", "stuck")
    assert "its code fails again and again since" in incident.what
    assert "Nondeterminism" in incident.what or "TMPRL1100" in incident.what
    assert (stuck.case, stuck.failing[0].step) == ("orders:bad", "workflow task")
    assert set(told) == {(incident.id, "http://inbox")}


@pytest.mark.parametrize(
    ("looked", "misfits", "mostly"), [(0, 0, False), (10, 1, False), (2, 1, False), (3, 2, True)]
)
def test_the_code_does_not_fit_where_most_cases_do_not(
    looked: int, misfits: int, *, mostly: bool
) -> None:
    found = AgentReplays(looked, [("orders:1", "x")] * misfits)
    assert found.mostly_misfits is mostly


def test_a_busy_machine_does_not_make_the_code_one_that_does_not_fit() -> None:
    found = AgentReplays()
    found.add(ReplayedCase("orders:1", "it does not replay within 0:00:30", unknown=True))
    assert found.misfits
    assert not found.mostly_misfits
    found.add(ReplayedCase("orders:2", "[TMPRL1100] another step"))
    assert found.mostly_misfits
