"""People who ask: start or find, watch, and wait for the outcome; who asked approves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handrail.client import CaseProgress
from handrail.client.asking import new_lines
from handrail.exceptions import CaseError, InvalidRequest, NotPermitted
from handrail.oversight import LogLine
from handrail.states import State
from tests.agents.refunds_steps import Complaint
from tests.agents.situations import ANA, BO
from tests.integration.client.test_client import LONG_AGO, Desk, desk

__all__ = ["desk"]

pytestmark = pytest.mark.integration

SMALL = {"number": "R-1", "amount": "5"}


async def test_an_answer_with_what_happened_and_the_same_again(desk: Desk) -> None:
    ana = desk.as_(ANA, agents=desk.stage.fleet.agents)
    said: list[CaseProgress] = []
    answer = await ana.ask_agent("refunds", SMALL, progress=said.append)
    assert (answer.case, answer.duplicate, answer.state) == ("refunds:R-1", False, State.DONE)
    assert answer.outcome is not None
    assert answer.outcome.why == "given back"
    view = await desk.stage.case(answer.case).view()
    assert [each.text for each in said] == [line.text for line in view.log]
    assert view.requester == ANA
    # Whoever was cut off finds it again, with all that happened.
    again: list[CaseProgress] = []
    found = await ana.ask_agent("refunds", Complaint.model_validate(SMALL), progress=again.append)
    assert (found.duplicate, found.outcome) == (True, answer.outcome)
    assert [each.text for each in again] == [each.text for each in said]
    with pytest.raises(CaseError, match="of another event"):
        await ana.ask_agent("refunds", SMALL | {"amount": "6"})


async def test_who_asked_approves_nothing_of_it_and_others_do(desk: Desk) -> None:
    ana = desk.as_(ANA, agents=desk.stage.fleet.agents)
    asked = await ana.ask_agent("refunds", {"number": "R-2"}, stop_at_gate=True)
    assert (asked.state, asked.outcome) == (State.WAITING, None)
    late = await ana.ask_agent("refunds", {"number": "R-2"}, patience=timedelta(seconds=0.5))
    assert (late.state, late.outcome) == (State.WAITING, None)
    refused = await ana.approve(asked.case)
    assert (refused.accepted, "may not approve" in refused.note) == (False, True)
    assert (await desk.as_(BO).approve(asked.case)).accepted
    over = await ana.ask_agent("refunds", {"number": "R-2"})
    assert over.state == State.DONE


async def test_what_cannot_be_asked_starts_nothing(desk: Desk) -> None:
    agents = desk.stage.fleet.agents
    with pytest.raises(InvalidRequest, match="amount"):
        await desk.as_(ANA, agents=agents).ask_agent("refunds", {"number": "3", "amount": "x"})
    with pytest.raises(InvalidRequest, match="who you are"):
        await desk.as_(None, agents=agents).ask_agent("refunds", SMALL)
    with pytest.raises(NotPermitted, match="link"):
        await desk.as_(ANA, signer=None, via="mail", agents=agents).ask_agent("refunds", SMALL)
    assert (await desk.as_(None).cases()).total == 0


@pytest.mark.parametrize(
    ("told", "log", "new"),
    [
        ("", "ab", "ab"),
        ("ab", "abcd", "cd"),
        ("abcd", "cde", "e"),
        ("abc", "ab", ""),
        ("ab", "x", "x"),
    ],
)
def test_lines_are_told_once_also_when_earlier_ones_are_gone(told: str, log: str, new: str) -> None:
    lines = tuple(LogLine(at=LONG_AGO, text=text) for text in log)
    assert "".join(each.text for each in new_lines(list(told), lines)) == new


async def test_all_who_ask_for_the_same_are_requesters_and_approve_nothing_of_it(
    desk: Desk,
) -> None:
    agents = desk.stage.fleet.agents
    ana, bo = desk.as_(ANA, agents=agents), desk.as_(BO, agents=agents)
    asked = await ana.ask_agent("refunds", {"number": "R-3"}, stop_at_gate=True)
    again = await bo.ask_agent("refunds", {"number": "R-3"}, stop_at_gate=True)
    assert (again.case, again.duplicate) == (asked.case, True)
    view = await desk.stage.case(asked.case).until(lambda v: "asked for it as well" in str(v.log))
    for each in (ana, bo):
        refused = await each.approve(asked.case)
        assert (refused.accepted, "may not approve" in refused.note) == (False, True)
    # Who asks again is told nothing twice.
    await bo.ask_agent("refunds", {"number": "R-3"}, stop_at_gate=True)
    view = await desk.stage.case(asked.case).view()
    assert [line.text for line in view.log].count(f"{BO} asked for it as well") == 1
