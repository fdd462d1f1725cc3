"""What people are shown is what they sign for, whoever may start workflows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from handrail.actions import digest_of
from handrail.agent.visibility import WAITING_FOR_ATTRIBUTE
from handrail.client import Operator
from handrail.client import gates as desk
from handrail.exceptions import CaseError
from handrail.oversight import GateKind, GateView
from handrail.testing import Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order, Pay

pytestmark = pytest.mark.integration

CASE, GATE = "orders:7", "f" * 16
NOW = datetime.now(UTC)
HARMLESS = Pay(order="7", amount=Decimal(201)).model_dump(mode="json")
HARMFUL = Pay(order="thief", amount=Decimal(999)).model_dump(mode="json")


@workflow.defn(sandboxed=False)
class Impostor:
    """A workflow that is no case, and says what it was told to."""

    @workflow.run
    async def run(self, views: list[Any]) -> None:
        self._views = views
        await workflow.wait_condition(lambda: False)

    @workflow.query(name="gates")
    def gates(self) -> list[Any]:
        return self._views

    @workflow.query(name="case")
    def case(self) -> dict[str, Any]:
        moment = NOW.isoformat()
        nothing: dict[str, Any] = {key: [] for key in ("receipts", "rulings", "moves", "log")}
        case = {"case": CASE, "agent": "orders", "title": "", "state": "waiting", "since": moment}
        return case | nothing | {"why": "", "requester": None, "gates": self._views, "usage": {}}


def view(*, shown: dict[str, Any], meant: dict[str, Any], case: str = CASE) -> GateView:
    """A gate that shows one action, and has the digest of another or the same."""
    return GateView(
        gate=GATE,
        case=case,
        kind=GateKind.WRITE,
        step="pay",
        title="Pay for an order.",
        action=shown,
        digest=digest_of("pay", meant),
        why="costs more than 200 EUR",
        waiting_for=("lead",),
        people=("ana@example.com",),
        opened=NOW,
        deadline=NOW + timedelta(hours=8),
        then=(),
    )


@pytest.fixture
async def stage(run_fleet: RunFleet, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with (
        run_fleet(orders(tmp_path), workers=False) as stage,
        Worker(
            stage.client,
            task_queue="elsewhere",
            workflows=[Impostor],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        yield stage


async def pretend(client: Client, shown: GateView, case: str = CASE) -> None:
    said = shown.model_dump(mode="json")
    await client.start_workflow(
        Impostor.run,
        [said],
        id=case,
        task_queue="elsewhere",
        memo={"gates": [said]},
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(WAITING_FOR_ATTRIBUTE, ["lead"])]
        ),
    )


async def test_a_workflow_that_shows_what_its_digest_is_of_can_be_ruled_on(stage: Stage) -> None:
    # The control: nothing but the two actions differs in the next test.
    true = view(shown=HARMLESS, meant=HARMLESS)
    await pretend(stage.client, true)
    assert await Operator(stage.client).gate(CASE, GATE) == true
    seen = await desk.case_view(stage.client, CASE)
    assert seen is not None
    assert seen.gates == (true,)


async def test_a_workflow_that_shows_another_action_than_it_names_is_not_ruled_on(
    stage: Stage,
) -> None:
    false = view(shown=HARMLESS, meant=HARMFUL)
    await pretend(stage.client, false)
    for ask in (Operator(stage.client).gate(CASE, GATE), desk.fresh(stage.client, false)):
        with pytest.raises(CaseError, match="is not what would be done"):
            await ask
    assert await desk.case_view(stage.client, CASE) is None


async def test_a_workflow_that_speaks_for_another_case_is_not_ruled_on(stage: Stage) -> None:
    await pretend(stage.client, view(shown=HARMLESS, meant=HARMLESS, case="orders:8"))
    with pytest.raises(CaseError, match="is not what would be done"):
        await Operator(stage.client).gate(CASE, GATE)


@pytest.mark.parametrize(("meant", "found"), [(HARMLESS, 1), (HARMFUL, 0)])
async def test_a_memo_that_shows_another_action_than_it_names_is_not_listed(
    stage: Stage, meant: dict[str, Any], found: int
) -> None:
    await pretend(stage.client, view(shown=HARMLESS, meant=meant))
    described = await desk.existing_case(stage.client, CASE)
    assert len(await desk.gates_of(described)) == found


@pytest.mark.usefixtures("outside")
async def test_what_the_engine_shows_can_always_be_ruled_on(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal("300.10")))
        seen = await case.gate()
        assert await Operator(stage.client).gate(case.id, seen.gate) == seen
        described = await desk.existing_case(stage.client, case.id)
        assert [each.gate for each in await desk.gates_of(described)] == [seen.gate]
