"""The agent of the nightly report."""

from temporalio import workflow

from activities.nightly import ReportDue, compose, mail_report, put_report, sum_up
from handrail import AgentWorkflow, Outcome


@workflow.defn
class NightlyAgent(AgentWorkflow):
    """Reports what the fleet did in a day or a month, and what of it does not add up."""

    @workflow.run
    async def run(self, due: ReportDue) -> Outcome:
        """Put the report where it is kept, then mail it."""
        decision = await self.decide(compose, await self.read(sum_up, due))
        name = await self.write(put_report, decision)
        await self.notify(mail_report, name, self.written(decision).text)
        return self.done(decision.rationale)
