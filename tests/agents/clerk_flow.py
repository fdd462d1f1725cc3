"""An agent that has a model decide about mails."""

from __future__ import annotations

from typing import cast

from temporalio import workflow

from handrail import AgentWorkflow, Decision, Outcome
from tests.agents.clerk_steps import (
    Known,
    Mail,
    Refund,
    dither,
    help_customer,
    judge,
    orders_of,
    refund,
)


@workflow.defn
class ClerkAgent(AgentWorkflow):
    """Gives customers their money back, as a model decides."""

    @workflow.run
    async def run(self, mail: Mail) -> Outcome:
        orders = await self.read(orders_of, mail.customer)
        decision = await self.decide(judge, mail, orders)
        if isinstance(decision.action, Refund):
            await self.write(refund, cast("Decision[Refund, Known]", decision))
        return self.done(decision.rationale)


@workflow.defn
class HelperAgent(AgentWorkflow):
    """Has a model call tools until it has done what a mail wants."""

    @workflow.run
    async def run(self, mail: Mail) -> Outcome:
        step = dither if mail.customer == "ditherer" else help_customer
        decision = await self.converse(step, mail)
        return self.done(decision.rationale)
