"""When a step that has failed is stuck: by its policy's time, and also without policy or ledger."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from handrail import Final, Ledger
from handrail.guardrails.recorder import FAILURES, Recorder
from handrail.policy import AgentShape, PolicyFile
from tests.agents.orders_steps import pay

NOW = datetime.now(UTC)
ERROR = RuntimeError("502 Bad Gateway")
POLICY = """
agent: a
version: 1
owner: boss@example.com
stuck: {after: 5m}
actions: {}
roles: {lead: {people: [ana@example.com], deadline: {after: 8h, then: refuse}}}
"""


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> PolicyFile:
    path = tmp_path / "a.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return PolicyFile(path, AgentShape("a", {}))


async def fails(
    recorder: Recorder,
    file: PolicyFile,
    *,
    minutes: float,
    error: Exception = ERROR,
    **more: Any,
) -> None:
    env = ActivityEnvironment()
    began = NOW - timedelta(minutes=minutes)
    given = {
        "attempt": 9,
        "workflow_id": "a:1",
        "scheduled_time": began,
        "current_attempt_scheduled_time": NOW,
    } | more
    env.info = dataclasses.replace(env.info, **given)
    await env.run(recorder.failed, "pay", error, file)


@pytest.mark.parametrize(
    ("minutes", "more", "stuck"),
    [
        (6, {}, True),
        (4, {}, False),
        (6, {"attempt": FAILURES - 1}, False),
        (6, {"is_local": True}, False),
        (6, {"error": Final("no")}, False),
        (6, {"error": ApplicationError("503")}, True),
        (6, {"error": ApplicationError("no", non_retryable=True)}, False),
        (6, {"error": ApplicationError("bad answer", type="Undecided")}, False),
        (6, {"error": ApplicationError("over its budget", type="OverBudget")}, False),
    ],
)
async def test_a_step_is_stuck_after_the_time_of_its_policy(
    minutes: float, more: dict[str, Any], *, stuck: bool, ledger: Ledger, file: PolicyFile
) -> None:
    recorder = Recorder("a", ledger)
    for _ in range(2):
        await fails(recorder, file, minutes=minutes, **more)
    found = [(row.kind, row.case, row.step) for row in await ledger.incidents("a")]
    assert found == ([("stuck", "a:1", "pay")] if stuck else [])


@pytest.mark.parametrize(("minutes", "stuck"), [(9, False), (11, True)])
async def test_tries_that_die_with_their_worker_are_seen_as_the_next_one_begins(
    minutes: int, *, stuck: bool, ledger: Ledger, file: PolicyFile
) -> None:
    recorder = Recorder("a", ledger)

    async def well(*_: object) -> str:
        return "well"

    env = ActivityEnvironment()
    began = NOW - timedelta(minutes=minutes)
    env.info = dataclasses.replace(
        env.info, attempt=9, scheduled_time=began, current_attempt_scheduled_time=NOW
    )
    assert await env.run(recorder.watched(pay, well, file)) == "well"
    assert ["died" in row.what for row in await ledger.incidents("a")] == [True] * stuck


async def test_a_broken_policy_leaves_ten_minutes(ledger: Ledger, file: PolicyFile) -> None:
    file.path.write_text("nonsense", encoding="utf-8")
    await fails(Recorder("a", ledger), file, minutes=9)
    assert await ledger.incidents("a") == []
    await fails(Recorder("a", ledger), file, minutes=11)
    assert len(await ledger.incidents("a")) == 1


async def test_without_a_ledger_the_log_says_it_once(
    file: PolicyFile, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder("a", Ledger("postgresql://nobody@127.0.0.1:1/none"))
    for _ in range(2):
        await fails(recorder, file, minutes=6)
    said = [record for record in caplog.records if "502 Bad Gateway" in str(vars(record))]
    assert len(said) == 1
