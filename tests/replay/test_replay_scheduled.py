"""What a schedule starts may wait for days: the code of today still does what it did."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from handrail.runtime.schedules import ScheduledStart
from tests.replay.scheduled import HISTORIES, fleet

pytestmark = pytest.mark.replay


async def replayed(directory: Path, kind: type) -> Exception | None:
    text = await asyncio.to_thread((HISTORIES / "two_nights.json").read_text, encoding="utf-8")
    replayer = Replayer(workflows=[kind], plugins=[fleet(directory).plugin(directory)])
    history = WorkflowHistory.from_json("orders/nightly-two", text)
    return (await replayer.replay_workflow(history, raise_on_replay_failure=False)).replay_failure


async def test_it_does_what_it_did(tmp_path: Path) -> None:
    assert await replayed(tmp_path, ScheduledStart) is None


@workflow.defn(name="ScheduledStart", sandboxed=False)
class Other:
    """Of another time: it starts nothing."""

    @workflow.run
    async def run(self, asked: object) -> None:
        """End at once."""


async def test_another_order_of_commands_would_be_found(tmp_path: Path) -> None:
    assert await replayed(tmp_path, Other) is not None
