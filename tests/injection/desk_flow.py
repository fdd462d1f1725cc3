"""An agent that gives money back, and obeys whatever it reads."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from handrail import AgentWorkflow, Decision, Outcome
from tests.injection.desk_steps import (
    Mail,
    SetIban,
    find_customer,
    find_orders,
    judge,
    judge_again,
    judge_plain,
    refund,
    search,
    set_iban,
    stripped,
)


@workflow.defn
class DeskAgent(AgentWorkflow):
    """Answers mails of customers who want their money back."""

    @workflow.run
    async def run(self, mail: Mail) -> Outcome:
        customer = await self.read(find_customer, mail.account)
        orders = await self.read(find_orders, mail.account)
        pages = await self.read(search, mail.account)
        decision: Decision[Any, Any]
        if mail.route == "stripped":
            plain = stripped(mail, customer, orders, pages)
            decision = await self.decide(judge_plain, *plain)
        else:
            decision = await self.decide(judge, mail, customer, orders, pages)
        if mail.route == "twice":
            decision = await self.decide(judge_again, decision, customer, orders)
        action: Any = decision.action
        if action is None:
            return self.done("nothing to do")
        what: Any = decision
        if mail.route == "bare":
            # A careless agent: it builds the action anew, and hands it over without its reasons.
            what = action.model_copy()
        step: Any = set_iban if isinstance(action, SetIban) else refund
        await self.write(step, what)
        return self.done("done")
