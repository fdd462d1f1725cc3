"""A steward lives as long as its agent: the code of today still does what it did."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from handrail.oversight import steward_id
from handrail.runtime.steward import AutonomyWorkflow
from tests.replay.stewards import HISTORIES, fleet

pytestmark = pytest.mark.replay


TURNED = HISTORIES / "turned.json"
BEGUN_BY_A_STOP = HISTORIES / "begun_by_a_stop.json"
"""Of a time when the order that began a steward was entered twice: such stewards live on."""


async def replayed(directory: Path, recorded: Path = TURNED) -> Exception | None:
    text = await asyncio.to_thread(recorded.read_text, encoding="utf-8")
    replayer = Replayer(workflows=[AutonomyWorkflow], plugins=[fleet(directory).plugin(directory)])
    history = WorkflowHistory.from_json(steward_id("orders"), text)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


@pytest.mark.parametrize("recorded", [TURNED, BEGUN_BY_A_STOP], ids=lambda path: path.stem)
async def test_a_steward_does_what_it_did(tmp_path: Path, recorded: Path) -> None:
    assert await replayed(tmp_path, recorded) is None


async def test_one_that_does_something_else_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.runtime.steward.LOOK_AT_AUTONOMY", "handrail.other")
    fault = await replayed(tmp_path)
    assert fault is not None
    assert "TMPRL1100" in str(fault)
