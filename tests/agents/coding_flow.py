"""An agent that rules on packages of hospital bills."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome

with workflow.unsafe.imports_passed_through():
    from tests.agents.coding_steps import Package, code, rule


@workflow.defn
class CodingAgent(AgentWorkflow):
    """Rules on packages of hospital bills."""

    @workflow.run
    async def run(self, package: Package) -> Outcome:
        decision = await self.decide(code, package)
        await self.write(rule, decision)
        return self.done("ruled")
