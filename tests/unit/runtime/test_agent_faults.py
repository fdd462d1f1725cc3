"""What `check` sees in an agent's own code, before anything runs."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from handrail import (
    Action,
    ConfigurationError,
    Decision,
    Effect,
    HandsTo,
    NoEvidence,
    decide,
    write,
)
from handrail.runtime import Agent
from handrail.runtime.agent_faults import code_faults
from tests.agents import careless_flow
from tests.agents.careless_flow import CarelessAgent, DispatchingAgent, ForgetfulAgent, SoundAgent
from tests.agents.careless_steps import LISTED, Base, pay_later
from tests.agents.handing_steps import Job
from tests.agents.hasty_flow import HastyAgent


@decide
async def vague(number: str) -> Decision[Base, NoEvidence]:
    """Choose anything."""
    raise NotImplementedError


@decide
async def vaguer(number: str) -> Decision[Action, NoEvidence]:
    """Choose anything at all."""
    raise NotImplementedError


@write(idempotent=True)
async def anything(action: Action, effect: Effect) -> str:
    """Do anything."""
    return ""


def test_what_is_sound_has_no_fault() -> None:
    assert code_faults(SoundAgent, LISTED) == []


def test_a_coroutine_that_nobody_awaits_and_a_step_that_is_called_are_faults() -> None:
    found = code_faults(CarelessAgent, LISTED)
    never = [fault.split("`")[1] for fault in found if "never awaited" in fault]
    written = ["self.write(...)"] * 2
    gathered = ["self.decide(...)", "self.write(...)", "self.write(...)"]
    assert never == [*written, *gathered, "self.pay_aside(...)", "self.again(...)"]
    past = [fault for fault in found if "past the case" in fault]
    assert len(past) == len(found) - len(never) == 2
    assert all("use `await self.read(look, ...)`" in fault for fault in past)
    lines = inspect.getsource(careless_flow).splitlines()
    for fault in found:
        file, line, _ = fault.split(":", 2)
        assert file == "tests/agents/careless_flow.py"
        assert any(name in lines[int(line) - 1] for name in ("self.", "look"))


def test_whatever_way_a_coroutine_is_dropped_it_is_a_fault() -> None:
    found = code_faults(ForgetfulAgent, LISTED)
    assert all("is never awaited, and never done" in fault for fault in found)
    lines = inspect.getsource(careless_flow).splitlines()
    said = [lines[int(fault.split(":")[1]) - 1].strip() for fault in found]
    in_source = [line.strip() for line in inspect.getsource(ForgetfulAgent).splitlines()]
    assert {line for line in in_source if "self.write(" in line} == set(said)
    assert len(found) == 11


def test_a_write_step_that_is_not_listed_is_a_fault() -> None:
    found = code_faults(DispatchingAgent, LISTED)
    assert [fault.split(": ", 1)[1].split(" ")[0] for fault in found] == ["pay_later"] * 2
    assert all("add it to `steps=`" in fault for fault in found)
    assert code_faults(DispatchingAgent, [*LISTED, pay_later]) == []


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (vague, "vague: it decides on Base, which no write takes"),
        (vaguer, "vaguer: it decides on Action, which no write takes"),
        (anything, "anything: it takes any Action"),
    ],
)
def test_a_base_class_says_not_what_is_to_be_done(tmp_path: Path, step: Any, says: str) -> None:
    (tmp_path / "p.yaml").write_text("")
    agent = Agent("payers", SoundAgent, steps=[*LISTED, step], policy=tmp_path / "p.yaml")
    assert any(fault.startswith(says) for fault in agent.faults())


def test_the_source_of_a_workflow_is_held_against_what_is_declared() -> None:
    found = code_faults(HastyAgent, (), [HandsTo("payer", Job)])
    assert ["never awaited" in each for each in found].count(True) == 1
    assert any("hands work to clerk, which the Agent does not declare" in each for each in found)
    assert any("hands Order to payer, which is declared to take Job" in each for each in found)
    assert len(found) == 3


def test_what_is_listed_and_is_no_step_is_named_with_its_cure() -> None:
    async def plain(number: str) -> Any:
        return number

    listed: list[Any] = [*LISTED, plain]
    with pytest.raises(ConfigurationError, match="plain is listed and is none; fix: put @read"):
        Agent("careless", SoundAgent, steps=listed, policy=Path("none.yaml"))
    named: Any = "activities.refunds"
    with pytest.raises(ConfigurationError, match="is a text; fix: give the module"):
        Agent("careless", SoundAgent, steps=named, policy=Path("none.yaml"))
