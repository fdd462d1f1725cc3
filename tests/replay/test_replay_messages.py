"""What tells people of gates and owners of events: the code of today still does what it did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from handrail.inbox.channels.alerts import ApproverAlert, OwnerAlert
from handrail.inbox.channels.workflow import GateNotifications
from handrail.runtime import ContextFreeSandbox
from tests.agents.fleets import orders
from tests.replay.bursts import with_signals
from tests.replay.messages import HISTORIES, SCENES

pytestmark = pytest.mark.replay


async def replayed(
    name: str, directory: Path, signals: Iterable[tuple[str, Any]] = ()
) -> Exception | None:
    text = await asyncio.to_thread((HISTORIES / f"{name}.json").read_text, encoding="utf-8")
    signals = list(signals)
    text = with_signals(text, signals)
    replayer = Replayer(
        workflows=[GateNotifications, OwnerAlert, ApproverAlert],
        workflow_runner=ContextFreeSandbox(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("handrail")
        ),
        plugins=[orders(directory).plugin(directory)],
        debug_mode=bool(signals),  # or a busy machine breaks it off: test_bursts.py has its CPU
    )
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    history = WorkflowHistory.from_json(started["workflowId"], text)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


@pytest.mark.parametrize("name", SCENES)
async def test_what_tells_people_does_what_it_did(name: str, tmp_path: Path) -> None:
    assert await replayed(name, tmp_path) is None


@pytest.mark.parametrize(
    ("signal", "body"),
    [
        ("look", {}),
        ("bounced", {"tag": "0123456789abcdef", "code": "5.1.1", "why": "x" * 500}),
        ("bounced", {"tag": "x"}),
        ("nothing", {}),
    ],
)
async def test_a_burst_of_signals_does_not_wedge_it(
    tmp_path: Path, signal: str, body: dict[str, Any]
) -> None:
    signals = [(signal, body)] * 1_000
    waits = "gate_waiting_and_one_is_not_reached"
    assert await replayed(waits, tmp_path, signals) is None


def test_every_history_is_replayed() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == set(SCENES)


async def test_one_that_does_something_else_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.inbox.channels.alerts.ROUNDS", 0)
    fault = await replayed("owner_told", tmp_path)
    assert fault is not None
    assert "TMPRL1100" in str(fault)
