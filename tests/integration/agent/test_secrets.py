"""Secrets on the whole of Handrail: no byte of a history or of the ledger has one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError

from handrail import Agent, Fleet
from handrail.actions import Outcome
from handrail.agent import secrets
from handrail.agent.secrets import forms
from handrail.states import State
from handrail.testing import CaseHandle, Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import secret_flow, secret_steps
from tests.agents.fleets import LEAD, NO_UNDO, put_policy
from tests.agents.secret_steps import Leak

pytestmark = pytest.mark.integration

VALUE = "tk_live-4f/9a+7c21&b0=e8"
FORMS = [form.encode() for form in forms(VALUE)]

HOWS = ("result", "base64", "url", "error", "cause", "details")


def fleet(directory: Path) -> Fleet:
    document = {
        "agent": "secrets",
        "version": 1,
        "owner": "boss@example.com",
        "actions": {"book": NO_UNDO},
        "roles": {"lead": LEAD},
    }
    path = put_policy(directory, document)
    return Fleet(Agent("secrets", secret_flow.SecretAgent, steps=secret_steps, policy=path))


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_CARRIER_TOKEN", VALUE)


async def kept(stage: Stage, case: CaseHandle) -> bytes:
    """All that is kept of a case: its history, and the ledger's file."""
    # As JSON too, where quotes and slashes are written otherwise.
    history = await case.history()
    whole = b"".join(event.SerializeToString() for event in history.events)
    files = [path for path in stage.directory.glob("ledger.db*") if path.is_file()]
    return whole + history.to_json().encode() + b"".join(path.read_bytes() for path in files)


def shown(data: bytes) -> list[str]:
    """In which forms the secret is there."""
    return [form.decode(errors="replace") for form in FORMS if form in data]


async def ended(case: CaseHandle) -> Outcome | WorkflowFailureError:
    try:
        return await case.outcome()
    except WorkflowFailureError as error:
        return error


@pytest.mark.parametrize("step", ["look", "look_openly", "choose", "tell"])
async def test_nothing_of_a_secret_is_kept_however_a_step_gives_it_away(
    step: str, run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    async with run_fleet(fleet(tmp_path)) as stage:
        cases = [
            await stage.start("secrets", Leak(number=f"{step}-{how}", step=step, how=how))
            for how in HOWS
        ]
        for case in cases:
            outcome = await ended(case)
            assert isinstance(outcome, Outcome)
            if step == "tell":
                (unsent,) = outcome.unsent
                assert "CARRIER_TOKEN" in unsent or "401" in unsent
            else:
                assert outcome.status is State.FAILED
            data = await kept(stage, case)
            assert shown(data) == []
            assert b"CARRIER_TOKEN" in data or b"401" in data


async def test_a_step_may_use_its_secret(
    run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    async with run_fleet(fleet(tmp_path)) as stage:
        for step in ("look", "choose", "tell"):
            case = await stage.start("secrets", Leak(number=f"ok-{step}", step=step, how="fine"))
            assert (await case.outcome()).why == "24 characters"
        case = await stage.start("secrets", Leak(number="w-fine"))
        outcome = await case.outcome()
        assert (outcome.status, outcome.why) == (State.DONE, "24 characters")


async def test_a_step_that_does_not_declare_it_has_none(
    run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    async with run_fleet(fleet(tmp_path)) as stage:
        case = await stage.start("secrets", Leak(number="pry", step="pry"))
        outcome = await case.outcome()
        assert outcome.status is State.FAILED
        assert "this step may not have CARRIER_TOKEN" in outcome.why
        assert shown(await kept(stage, case)) == []


@pytest.mark.parametrize("how", ["result", "base64", "url"])
async def test_a_write_that_happened_keeps_its_receipt_with_the_value_masked(
    how: str, run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    async with run_fleet(fleet(tmp_path)) as stage:
        case = await stage.start("secrets", Leak(number=f"w-{how}"))
        outcome = await case.outcome()
        assert outcome.status is State.FAILED
        assert "it happened" in outcome.why.lower() or "happened (receipt" in outcome.why
        (effect,) = await stage.ledger.effects(case.id)
        assert effect.receipt is not None
        assert "[secret CARRIER_TOKEN]" in str(effect.receipt.result)
        assert shown(await kept(stage, case)) == []
        assert len(outside.effects()) == 1


@pytest.mark.parametrize("how", ["error", "cause", "details"])
async def test_a_write_that_fails_says_so_without_it(
    how: str, run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    async with run_fleet(fleet(tmp_path)) as stage:
        case = await stage.start("secrets", Leak(number=f"w-{how}"))
        data = b""

        async def tried() -> Any:
            nonlocal data
            data = await kept(stage, case)
            return b"401" in data or await pending(stage, case)

        await eventually(tried)
        assert shown(data + str(await pending(stage, case)).encode()) == []


async def pending(stage: Stage, case: CaseHandle) -> str:
    """What the server shows of the activities that run or are tried again."""
    described = await stage.client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=stage.client.namespace, execution=WorkflowExecution(workflow_id=case.id)
        )
    )
    return "".join(str(each) for each in described.pending_activities)


async def test_a_heartbeat_has_none(run_fleet: RunFleet, tmp_path: Path, outside: Outside) -> None:
    beats: list[Any] = []
    async with run_fleet(fleet(tmp_path)) as stage:
        event = Leak(number="beat", step="look_openly", how="heartbeat")
        case = await stage.start("secrets", event)

        async def watch() -> None:
            while True:
                beats.append(await pending(stage, case))
                await asyncio.sleep(0.01)

        watching = asyncio.create_task(watch())
        assert (await case.outcome()).why == "beaten"
        watching.cancel()
    assert any("[secret CARRIER_TOKEN]" in beat for beat in beats)
    assert shown("".join(beats).encode()) == []


@pytest.mark.parametrize("step", ["look", "look_openly", "choose", "tell", "book"])
async def test_it_would_be_seen_if_nothing_masked_it(
    step: str, run_fleet: RunFleet, tmp_path: Path, outside: Outside
) -> None:
    with mock.patch.object(secrets, "forms", return_value=()):
        async with run_fleet(fleet(tmp_path)) as stage:
            for how in ("result", "error", "base64"):
                number = f"{step}-{how}"
                case = await stage.start("secrets", Leak(number=number, step=step, how=how))
                await ended(case)
                assert shown(await kept(stage, case)) != []


def test_a_worker_does_not_start_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fleet(tmp_path).agent("secrets")
    assert made.faults() == []
    monkeypatch.delenv("HANDRAIL_SECRET_CARRIER_TOKEN")
    (lacking,) = made.faults()
    assert lacking.partition(":")[0] == "look, look_openly, choose, book, tell"
    assert "fix: set HANDRAIL_SECRET_CARRIER_TOKEN" in lacking
