"""A budget that is used up: the decision waits where people can see that it does."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from handrail.guardrails.recorder import BUDGET_POLL, Recorder
from handrail.ledger import Ledger, SpendRow
from handrail.policy import load_policy, parse_policy
from workers.fleet import fleet

AGENT = fleet.agent("shipments")
OWN = load_policy(AGENT.policy, AGENT.shape)
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
