"""An agent that has a model decide about mails."""

from __future__ import annotations

from typing import cast

from temporalio import workflow

from handrail import AgentWorkflow, Decision, Outcome
from tests.agents.clerk_steps import (
    Closed,
    Known,
    Mail,
    Refund,
    dither,
    help_customer,
    judge,
    orders_of,
    post_letter,
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
        if mail.customer == "ditherer":
            return self.done((await self.converse(dither, mail)).rationale)
        decision = await self.converse(help_customer, mail)
        if isinstance(decision.action, Closed):
            await self.write(post_letter, cast("Decision[Closed, Known]", decision))
        return self.done(decision.rationale)
