"""What `check` says of an agent before it runs: each mistake, and its cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from handrail.cli.mistakes import mistakes, remarks
from handrail.runtime import Agent
from tests.agents import careless_steps, mistaken_steps
from tests.agents.careless_flow import SoundAgent
from tests.agents.mistaken_flow import MistakenAgent
from workers.fleet import fleet

MISTAKES = {
    "Claim does not say in `key`": "return self.number",
    "Payout.total_amount is money in a float": "fix: Decimal",
    "MistakenAgent.run returns no Outcome": "self.done",
    "`datetime.now` answers otherwise at each replay": "workflow.now()",
    "`random.random` answers otherwise": "workflow.random()",
    "find_plain is no step": "put @read on it",
    "judge_claim is a decide step, and called by self.read": "self.decide(judge_claim, ...)",
    "find_claim: missing a required argument: 'number'": "it takes (number)",
    "judge_claim: 'many' is no count": "int",
    "pay_out writes a Payout, and is given the event": "Payout(...)",
    "loaded in Temporal's workflow sandbox (RestrictedWorkflowAccessError": "passthrough=",
}


def runner(*modules: str) -> WorkflowRunner:
    known = SandboxRestrictions.default.with_passthrough_modules("handrail", "pydantic", *modules)
    return SandboxedWorkflowRunner(restrictions=known)


async def test_each_mistake_is_said_with_its_cure() -> None:
    steps = mistaken_steps.__name__
    agent = Agent("mistaken", MistakenAgent, steps=mistaken_steps, policy=Path("none.yaml"))
    found = list(mistakes(agent, runner(steps)))
    for what, cure in MISTAKES.items():
        (said,) = [each for each in found if what in each]
        assert cure in said
    assert len(found) == len(MISTAKES)


def test_a_module_without_a_step_is_named() -> None:
    agent = Agent("mistaken", SoundAgent, steps=[], policy=Path("none.yaml"))
    found = list(mistakes(agent, runner(careless_steps.__name__, "tests")))
    assert any("there is no step" in each for each in found)


def test_what_a_step_lacks_here_is_worth_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent("mistaken", MistakenAgent, steps=mistaken_steps, policy=Path("none.yaml"))
    found = list(remarks(agent))
    (zone,) = (each for each in found if "a time without a zone" in each)
    assert zone.startswith("Payout.due")
    asked, blocks = sorted((each for each in found if each != zone), key=lambda e: "wait" in e)
    assert "find_claim reads NOBODY_SET_THIS" in asked
    assert "plain `def find_claim`" in blocks
    monkeypatch.setenv("NOBODY_SET_THIS", "1")
    assert set(remarks(agent)) == {zone, blocks}


async def test_agents_that_run_have_none(tmp_path: Path) -> None:
    making = fleet.plugin(tmp_path).workflow_runner
    assert callable(making)
    for agent in fleet.agents.values():
        assert list(mistakes(agent, making(None))) == []
