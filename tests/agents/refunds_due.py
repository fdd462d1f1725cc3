"""The support agent beside an `invoices` agent that takes every refund, as a stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from temporalio import workflow

import activities.support
import guardrails.support
from activities.support_facts import RefundDue
from handrail import Agent, AgentWorkflow, Fleet, HandsTo, Outcome, read
from workflows.support import SupportAgent

POLICY: dict[str, Any] = {
    "agent": "invoices",
    "version": 1,
    "owner": "owner@example.com",
    "actions": {},
}


@read
async def is_due(due: RefundDue) -> bool:
    """Look whether it is more than nothing."""
    return due.amount > 0


@workflow.defn
class RefundingAgent(AgentWorkflow):
    """Takes a refund, and says so."""

    @workflow.run
    async def run(self, due: RefundDue) -> Outcome:
        """Handle one refund."""
        return self.done("refunded" if await self.read(is_due, due) else "nothing to refund")


def with_invoices(directory: Path) -> Fleet:
    """Both agents in one fleet."""
    path = directory / "invoices.yaml"
    path.write_text(json.dumps(POLICY), encoding="utf-8")
    return Fleet(
        Agent(
            "support",
            SupportAgent,
            steps=activities.support,
            policy=Path(guardrails.support.__file__).with_name("support.yaml"),
            checks=guardrails.support,
            hands_to=[HandsTo("invoices", RefundDue)],
        ),
        Agent("invoices", RefundingAgent, steps=[is_due], policy=path),
    )
