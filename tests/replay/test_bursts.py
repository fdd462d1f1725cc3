"""10,000 signals at once, more than which no run takes, are worked off in one workflow task.

Measured by the CPU of the task, since the machine of a test is busy: the SDK gives a task two
seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from handrail.inbox.channels.workflow import GateNotifications
from handrail.runtime.steward import AutonomyWorkflow
from tests.agents.orders_flow import OrderAgent
from tests.replay import messages, record, stewards
from tests.replay.bursts import with_signals

pytestmark = pytest.mark.replay

BY = {"by": "x@example.com"}
BURSTS: dict[str, tuple[type, Path, Callable[[int], tuple[str, Any]]]] = {
    "pauses of a case": (
        OrderAgent,
        record.HISTORIES / "waiting.json",
        lambda n: (("pause", "resume")[n % 2], BY),
    ),
    "approvals of a case": (
        OrderAgent,
        record.HISTORIES / "waiting.json",
        lambda n: ("approve", BY | {"gate": f"g{n}", "proof": f"a.b.{n}"}),
    ),
    "stops of a steward": (
        AutonomyWorkflow,
        stewards.HISTORIES / "turned.json",
        lambda n: ("stop", {"step": f"nothing{n}", "why": "y" * 900}),
    ),
    "bounces": (
        GateNotifications,
        messages.HISTORIES / "gate_waiting_and_one_is_not_reached.json",
        lambda n: ("bounced", {"tag": f"{n:016x}", "code": "5.1.1", "why": "y" * 500}),
    ),
}


@pytest.mark.parametrize("burst", BURSTS)
async def test_ten_thousand_signals_are_one_task(
    burst: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, recorded, signal = BURSTS[burst]
    tasks = _timed(monkeypatch)
    text = await asyncio.to_thread(recorded.read_text, encoding="utf-8")
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    text = with_signals(text, (signal(n) for n in range(10_000)))
    plugin = record.fleet(tmp_path).plugin(tmp_path)
    replayer = Replayer(workflows=[kind], plugins=[plugin], debug_mode=True)
    history = WorkflowHistory.from_json(started["workflowId"], text)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None
    signals, seconds = max(tasks)
    assert signals >= 10_000
    assert seconds < 2


def _timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Of each workflow task that is run from now on, what it has to do, and the CPU it took."""
    module = importlib.import_module("temporalio.worker._workflow_instance")
    kind: Any = vars(module)["_WorkflowInstanceImpl"]
    activate, took = kind.activate, list[tuple[int, float]]()

    def timed(self: Any, given: Any) -> Any:
        began = time.thread_time()
        try:
            return activate(self, given)
        finally:
            took.append((len(given.jobs), time.thread_time() - began))

    monkeypatch.setattr(kind, "activate", timed)
    return took
