"""A budget that is used up: the decision waits where people can see that it does."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from handrail.actions import Usage
from handrail.agent import charged, spent
from handrail.guardrails.recorder import BUDGET_POLL, Recorder
from handrail.ledger import Ledger, SpendRow
from handrail.policy import parse_policy
from handrail.testing import eventually
from workers.fleet import fleet

AGENT = fleet.agent("shipments")
OWN = AGENT.policy_file.current()
POLICY = parse_policy(
    OWN.text.replace("tokens: 2000000 per day", "tokens: 9 per day"), "x", AGENT.shape
)


@pytest.mark.parametrize(("local", "delay"), [(True, None), (False, BUDGET_POLL)])
async def test_inside_a_workflow_task_it_is_tried_again_at_once(
    tmp_path: Path,
    local: bool,  # noqa: FBT001
    delay: timedelta | None,
) -> None:
    running = ActivityEnvironment()
    running.info = dataclasses.replace(running.info, is_local=local)
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        books = Recorder("shipments", ledger)
        await running.run(books.require_budget, POLICY, "choose_flight")
        spent = SpendRow(
            id="1",
            agent="shipments",
            case="shipments:AWB-1",
            step="choose_flight",
            at=datetime.now(UTC),
            tokens=9,
        )
        await ledger.spend(spent)
        with pytest.raises(ApplicationError, match="9 of 9 per day is used") as raised:
            await running.run(books.require_budget, POLICY, "choose_flight")
    assert (raised.value.type, raised.value.next_retry_delay) == ("OverBudget", delay)
    assert not raised.value.non_retryable


@pytest.mark.parametrize("thread", [False, True])
async def test_what_is_spent_is_kept_in_that_moment_and_counts_once(
    tmp_path: Path,
    thread: bool,  # noqa: FBT001
) -> None:
    """The process may die before the step ends, and the model is paid all the same."""
    step = next(each for each in AGENT.steps if each.name == "choose_flight")
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:

        async def tokens() -> int:
            return (await ledger.spent("shipments", datetime.now(UTC) - timedelta(days=1))).tokens

        async def thinks() -> None:
            async with Recorder("shipments", ledger).metering(OWN, step, "shipments:1") as used:
                said = Usage(input_tokens=70, output_tokens=30)
                await (asyncio.to_thread(spent, said) if thread else _said(said))
                async with charged(Usage(input_tokens=1_000)) as known:
                    assert await tokens() >= 1_000
                    known.append(Usage(input_tokens=7))
                await eventually(lambda: _is(tokens, 107))
                assert sum(each.input_tokens + each.output_tokens for each in used) == 107

        running, now = ActivityEnvironment(), datetime.now(UTC)
        running.info = dataclasses.replace(running.info, current_attempt_scheduled_time=now)
        await running.run(thinks)
        assert await tokens() == 107


async def _said(usage: Usage) -> None:
    spent(usage)


async def _is(tokens: Callable[[], Awaitable[int]], number: int) -> bool:
    return await tokens() == number
