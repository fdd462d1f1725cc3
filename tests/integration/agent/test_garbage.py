"""Whatever comes in by signal or update is recorded, and never wedges, closes or kills a case."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import RawValue

from handrail import State
from handrail.agent.case import MAX_RECORDED
from handrail.oversight import GateView
from handrail.testing import CaseHandle, Human, Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order
from tests.agents.tools import raw, reported_problems

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
RULINGS = ("approve", "reject", "amend", "answer")
ORDER = Order(number="1", amount=Decimal(300))


def payloads(seen: GateView) -> dict[str, list[RawValue]]:
    """Everything that a hand, a broken program or an attacker may put into a signal."""
    good = json.dumps(ANA.ruling(seen)).encode()
    return {
        "no input": [],
        "empty": [raw(b"")],
        "null": [raw(b"", "binary/null")],
        "json null": [raw(b"null")],
        "two inputs": [raw(good), raw(good)],
        "five inputs": [raw(good)] * 5,
        "not JSON": [raw(b"yes, do it")],
        "half of a JSON": [raw(good[:-3])],
        "not UTF-8": [raw(b'{"gate": "\xff"}')],
        "a text": [raw(b'"approve"')],
        "a number": [raw(b"1")],
        "a list": [raw(b"[" + good + b"]")],
        "true": [raw(b"true")],
        "an empty object": [raw(b"{}")],
        "other fields": [raw(b'{"approved": true, "approver": "ana"}')],
        "an unknown field": [raw(json.dumps(ANA.ruling(seen, force=True)).encode())],
        "no digest": [raw(json.dumps({"gate": seen.gate, "by": ANA.address}).encode())],
        "no person": [raw(json.dumps({"gate": seen.gate, "digest": seen.digest}).encode())],
        "wrong types": [raw(b'{"gate": 1, "digest": 2, "by": 3}')],
        "a lone surrogate": [raw(json.dumps(ANA.ruling(seen, why="\ud800", by="\ud800")).encode())],
        "NaN": [raw(b'{"gate": NaN, "digest": Infinity}')],
        "a huge number": [raw(b'{"gate": ' + b"9" * 10_000 + b"}")],
        "deeply nested": [raw(b"[" * 50_000)],
        "plain bytes": [raw(good, "binary/plain")],
        "protobuf": [raw(good, "binary/protobuf", messageType="temporal.api.common.v1.Payload")],
        "JSON protobuf": [raw(good, "json/protobuf", messageType="nonsense")],
        "an encoding of its own": [raw(good, "äöü")],
        "no encoding": [RawValue(Payload(data=good))],
        "encrypted": [raw(good, "binary/encrypted")],
        "a megabyte": [raw(json.dumps(ANA.ruling(seen, why="x" * 1_000_000)).encode())],
        "another gate": [raw(json.dumps(ANA.ruling(seen, gate="f" * 16)).encode())],
        "another action": [raw(json.dumps(ANA.ruling(seen, digest="0" * 64)).encode())],
        "a digest too short": [raw(json.dumps(ANA.ruling(seen, digest=seen.digest[:11])).encode())],
        "a stranger": [raw(json.dumps(ANA.ruling(seen, by="eve@example.com")).encode())],
        "markdown": [raw(json.dumps(ANA.ruling(seen, by="`**ana**`\n# x", why="```")).encode())],
    }


async def put_in(client: Client, case: CaseHandle, signal: str, values: list[RawValue]) -> None:
    """Send a signal byte by byte, as any client of the server may."""
    sent = Payloads(payloads=[value.payload for value in values]) if values else None
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=case.id),
            signal_name=signal,
            input=sent,
        )
    )


async def still_well(stage: Stage, case: CaseHandle, seen: GateView, outside: Outside) -> None:
    """The case still waits for the same answer; the true one, and only it, lets it go on."""
    assert [gate.gate for gate in await case.gates()] == [seen.gate]
    assert await reported_problems(case) == []
    assert outside.effects("pay") == []
    assert (await ANA.approve(case, seen)).accepted
    outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert [ruling.accepted for ruling in outcome.rulings].count(True) == 1
    assert outside.effects("pay") == ["orders:1/pay/1"]


@pytest.mark.parametrize("signal", RULINGS)
async def test_every_bad_ruling_is_recorded_and_harmless(
    signal: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        bad = payloads(seen)
        for values in bad.values():
            await put_in(stage.client, case, signal, values)
        view = await case.until(lambda view: len(view.rulings) == len(bad))
        assert [r.note for r in view.rulings if r.accepted] == []
        assert all(ruling.note for ruling in view.rulings)
        await still_well(stage, case, seen, outside)


async def test_bad_orders_are_noted_and_harmless(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        harmless = {"no input", "empty", "null", "json null", "an empty object"}
        bad = {k: v for k, v in payloads(seen).items() if k not in harmless}
        for values in bad.values():
            for signal in ("roll_back", "resume"):
                await put_in(stage.client, case, signal, values)
        view = await case.until(lambda view: len(view.log) > 2 * len(bad))
        assert view.state is State.WAITING
        assert sum("ignored a signal" in line.text for line in view.log) == 2 * len(bad)
        await still_well(stage, case, seen, outside)


async def test_unknown_signals_are_noted_and_harmless(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    names = ["Approve", "APPROVE", "aprove", "x" * 900, "case", "rule", "`# **`", "ä", "__x"]
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        for name in names:
            for values in ([], [raw(b"junk", "nonsense")], [raw(b"{}"), raw(b"{}")]):
                await put_in(stage.client, case, name, values)

        view = await case.until(lambda view: len(view.log) >= 3 * len(names))
        assert sum("unknown signal" in line.text for line in view.log) == 3 * len(names)
        await still_well(stage, case, seen, outside)


async def test_early_late_and_double_rulings_change_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    parts = ("pay", "wait")
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(300), parts=parts))
        seen = await case.gate()
        early = await ANA.approve(case, seen, gate="0" * 16)
        assert "no gate" in early.note
        assert (await ANA.approve(case, seen)).accepted
        double = await ANA.approve(case, seen)
        late = await Human("bo@example.com").reject(case, seen)
        assert "the gate is closed: approved" in double.note
        assert "the gate is closed: approved" in late.note
        await case.until(lambda view: view.receipts)
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_bad_updates_are_refused_and_harmless(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        before = len((await case.history()).events)
        for name, values in payloads(seen).items():
            with pytest.raises(WorkflowUpdateFailedError):
                pytest.fail(f"{name}: {await case.update(*values)}")
        assert len((await case.history()).events) == before
        await still_well(stage, case, seen, outside)


async def test_a_flood_of_bad_rulings_is_counted_and_not_kept(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        bad = (
            put_in(stage.client, case, "approve", [raw(b"{}")]) for _ in range(MAX_RECORDED + 100)
        )
        await asyncio.gather(*bad)
        view = await case.view()
        assert len(view.rulings) == MAX_RECORDED
        await case.send("approve", ANA.ruling(seen))
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert outcome.rulings[-1].accepted
