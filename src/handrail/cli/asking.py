"""`handrail ask-agent`: ask an agent, watch what it does, and read its answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from handrail.cli.cases import CODES
from handrail.cli.context import By, load_fleet, operator, settings, text_of, value_of
from handrail.cli.output import PLAIN, Code, Output, moment, plain
from handrail.exceptions import CaseError, InvalidRequest
from handrail.states import State

if TYPE_CHECKING:
    from handrail.actions import Event
    from handrail.client import AgentAnswer, CaseProgress
    from handrail.runtime import Agent


async def ask_agent(
    agent: str,
    *,
    by: By,
    event: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="What to ask: JSON, @file, or -.")
    ] = None,
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="Or one field of it: field=value. May be repeated."),
    ] = (),
    wait: Annotated[bool, Parameter(negative="--no-wait", help="Wait for the answer.")] = True,
    patience: Annotated[
        timedelta | None, Parameter(name="--timeout", help="At most so long, such as 30s or 5m.")
    ] = None,
    out: Output = PLAIN,
) -> int:
    """Ask an agent, and wait for its answer, or until it waits for a human (exit 4).

    Who asks may approve nothing of it. The same event again finds the same case.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    """
    fleet = load_fleet(settings().fleet)
    if agent not in fleet.agents:
        raise InvalidRequest(f"no agent {agent!r}; there are: {', '.join(fleet.agents)}")
    asked = _event(fleet.agents[agent], event, set_)

    def said(each: CaseProgress) -> None:
        out.say(f"{moment(each.at)}  {plain(each.text)}")

    async with operator(out, by, fleet=fleet) as somebody:
        answer = await somebody.ask_agent(
            agent,
            asked,
            progress=said,
            patience=patience if wait else timedelta(0),
            stop_at_gate=True,
        )
        page = await somebody.page(answer.case)
    out.data(answer, url=page)
    _show(out, answer, page)
    return CODES.get(answer.state, Code.FAILED) if wait else Code.DONE


def _show(out: Output, answer: AgentAnswer, page: str) -> None:
    found = " was there already, and" if answer.duplicate else ""
    out.show(f"{plain(answer.case)}{found} is {answer.state.replace('_', ' ')}")
    if answer.outcome is not None:
        out.show(plain(answer.outcome.why))
    elif answer.state == State.WAITING:
        out.show("it waits for a human: `handrail inbox` shows what is asked")
    else:
        out.show(f"it goes on: {page}")


def _event(agent: Agent, whole: str | None, fields: tuple[str, ...]) -> Event:
    """The event that was typed.

    Raises:
        InvalidRequest: if it is none, with every field that is wrong.
    """
    if bool(fields) == (whole is not None):
        raise InvalidRequest("give either --event JSON, or --set field=value (once or more)")
    try:
        return agent.parse_event(text_of(whole) if whole else json.dumps(_given(agent, fields)))
    except CaseError as error:
        raise InvalidRequest(str(error)) from error


def _given(agent: Agent, fields: tuple[str, ...]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for by_alias in (False, True):
        known |= agent.event.model_json_schema(by_alias=by_alias).get("properties", {})
    given: dict[str, Any] = {}
    for each in fields:
        name, equals, text = each.partition("=")
        if not equals:
            raise InvalidRequest(f"--set {each}: write field=value")
        field = known.get(name, {})
        kinds = {kind.get("type") for kind in (field, *field.get("anyOf", ()))}
        given[name] = value_of("" if "string" in kinds else None, text)
    return given
