"""The workflow of the small agent."""

from __future__ import annotations

from paying import Cash, Invoice, cash, choose, look, pay, tell
from temporalio import workflow

from handrail import AgentWorkflow, Outcome


@workflow.defn
class PayAgent(AgentWorkflow):
    """Pays invoices."""

    @workflow.run
    async def run(self, invoice: Invoice) -> Outcome:
        await self.read(look, invoice)
        if invoice.text == "cash":
            return self.done(await self.write(cash, Cash(invoice=invoice.id)))
        paid = await self.write(pay, await self.decide(choose, invoice))
        await self.notify(tell, paid)
        return self.done("paid")
