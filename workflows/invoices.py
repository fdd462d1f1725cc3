"""The invoices agent."""

from temporalio import workflow

from activities.invoices import InvoiceReceived, check_invoice, match, pay, settle
from handrail import AgentWorkflow, Outcome


@workflow.defn
class InvoiceAgent(AgentWorkflow):
    """Pays invoices that ask for what was ordered, and sends back what is wrong."""

    @workflow.run
    async def run(self, invoice: InvoiceReceived) -> Outcome:
        """Settle one invoice."""
        checked = await self.read(check_invoice, invoice)
        matched = await self.read(match, invoice, checked)
        decision = await self.decide(settle, matched)
        if decision.action is None:
            return self.done(decision.rationale)
        payment = await self.write(pay, decision)
        return self.done(f"paid {payment.amount} EUR for {payment.order}")
