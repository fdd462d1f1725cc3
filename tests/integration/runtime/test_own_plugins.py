"""A fleet's own Temporal plugins: their activities and interceptors run with its workers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkerConfig,
)
from typing_extensions import override

from handrail import Agent, AgentWorkflow, Fleet, Outcome
from handrail.testing.fixtures import RunFleet
from tests.agents.careless_steps import Ask, choose, pay

pytestmark = pytest.mark.integration


@activity.defn
async def own_count(text: str) -> int:
    return len(text)


class Watching(Interceptor):
    def __init__(self) -> None:
        self.seen: list[str] = []

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        seen = self.seen

        class Inbound(ActivityInboundInterceptor):
            @override
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                seen.append(activity.info().activity_type)
                return await super().execute_activity(input)

        return Inbound(next)


class FewSlots(SimplePlugin):
    """Chooses slots, as a plugin may: Temporal takes no other choice beside that."""

    @override
    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config = super().configure_worker(config)
        config["max_concurrent_activities"] = 3
        return config


@workflow.defn
class CountingAgent(AgentWorkflow):
    """Counts by an activity of a plugin."""

    @workflow.run
    async def run(self, ask: Ask) -> Outcome:
        long = await workflow.execute_activity(
            own_count, ask.what, start_to_close_timeout=timedelta(seconds=10)
        )
        return self.done(f"{long} characters")


POLICY = """\
agent: counting
version: 1
owner: boss@example.com
actions:
  pay: {autonomy: full, irreversible: nothing is paid here, for: boss}
roles:
  boss: {people: [boss@example.com], deadline: {after: 1h, then: refuse}}
"""


async def test_they_run_beside_handrails_own(run_fleet: RunFleet, tmp_path: Path) -> None:
    policy = tmp_path / "counting.yaml"
    policy.write_text(POLICY)
    watching = Watching()
    own = FewSlots("own", activities=[own_count], interceptors=[watching])
    agent = Agent("counting", CountingAgent, steps=[choose, pay], policy=policy)
    fleet = Fleet(agent, passthrough=[__name__], plugins=[own])
    async with run_fleet(fleet) as stage:
        case = await stage.start("counting", Ask(number="1", what="seven"))
        assert (await case.outcome()).why == "5 characters"
    assert "own_count" in watching.seen
