"""An agent that pays invoices, by steps that nobody wrote."""

from __future__ import annotations

import json
from pathlib import Path

from temporalio import workflow

from handrail import Agent, AgentWorkflow, Fleet, Outcome
from tests.agents import billing


@workflow.defn
class BillingAgent(AgentWorkflow):
    """Pays invoices."""

    @workflow.run
    async def run(self, bill: billing.Bill) -> Outcome:
        """Look the invoice up, and pay what it says."""
        invoice = await self.read(billing.get_invoice, id=bill.number)
        decision = await self.decide(billing.choose, bill, invoice)
        await self.write(billing.transfer if bill.transferred else billing.pay, decision)
        return self.done("paid")


def fleet_in(directory: str) -> Fleet:
    """A fleet of this agent alone, with a policy in a directory."""
    alone = {"autonomy": "full"}
    policy = Path(directory) / "billing.yaml"
    policy.write_text(
        json.dumps(
            {
                "agent": "billing",
                "version": 1,
                "owner": "boss@example.com",
                "actions": {
                    "create_payment": alone
                    | {"hold": [{"when": "action.amount > 500", "why": "a large one"}]},
                    "create_transfer": alone | {"irreversible": "transfers are small enough"},
                },
                "roles": {
                    "lead": {
                        "people": ["ana@example.com"],
                        "deadline": {"after": "8h", "then": "refuse"},
                    }
                },
            }
        ),
        "utf-8",
    )
    return Fleet(Agent("billing", BillingAgent, steps=billing, policy=policy))
