"""The record of each recorded history: made by a replay alone, and always the same one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from handrail.runtime import recorded
from tests.replay.record import HISTORIES, SHORT_RUN, fleet
from tests.replay.scenes import SCENES, SHORT

pytestmark = pytest.mark.replay

RECORDED = sorted(HISTORIES.glob("*.json"))
SHORT_RUNS = tuple(name for name, (_, _, kind) in SCENES.items() if kind == SHORT)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_each_history_has_its_record(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path.stem.startswith(SHORT_RUNS):
        monkeypatch.setattr("handrail.agent.verbs.LONG_RUN", SHORT_RUN)
    text = path.read_text(encoding="utf-8")  # noqa: ASYNC240  # nothing else runs
    id_ = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]["workflowId"]
    history = WorkflowHistory.from_json(id_, text)
    found = recorded(id_.partition(":")[0], history, await fleet(tmp_path).replayed(text, tmp_path))
    last = str(history.events[-1].WhichOneof("attributes"))
    ends = ("completed", "failed", "canceled", "terminated")
    over = any(f"workflow_execution_{end}_event" in last for end in ends)
    assert (found is not None and found.case.ended is not None) is over
    if found is None:
        return
    assert found.case.case == history.workflow_id
    assert found.case.questions >= sum(each.how is None for each in found.questions)
    if over:
        assert all(each.how is not None for each in found.questions)
        moments = [found.case.begun, found.case.ended]
        assert moments == sorted(moments, key=lambda each: each or found.case.begun)
