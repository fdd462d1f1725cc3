"""People who ask: a form made from the event of an agent, and a page that shows how its case goes.

Whoever is signed in asks, and approves nothing of it. Forms are there where the agents are known:
in the inbox of `handrail serve`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from handrail.actions import json_schema, person
from handrail.exceptions import CaseError, InvalidRequest, RequestError
from handrail.inbox.web import forms, views
from handrail.inbox.web.pages import LOG_SHOWN
from handrail.inbox.web.site import Site, signed_in, site_of, texts
from handrail.inbox.web.tokens import page_link
from handrail.inbox.web.waiting import changes_mark
from handrail.runtime import Form
from handrail.text import first_line

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.actions import Event
    from handrail.client import CaseDetails
    from handrail.runtime import Agent


def case_page(case: str) -> str:
    """The path of the page of a case."""
    return f"/cases/{quote(case, safe=':')}"


def _may_ask(site: Site, agent: Agent, who: str) -> bool:
    """Whether the policy of an agent names a person, or a form of it is for them."""
    given = [each for each in agent.triggers.values() if isinstance(each, Form)]
    return agent.name in site.directory.agents(who) or any(each.is_for(who) for each in given)


def _agent(request: Request, site: Site, who: str) -> Agent:
    """The agent that a path names.

    Raises:
        HTTPException: 404 if there is none that this person may ask.
    """
    agent = site.agents.get(request.path_params["agent"])
    if agent is None or not _may_ask(site, agent, who):
        raise HTTPException(404, "There is no such agent for you to ask.")
    return agent


@signed_in
async def agents(request: Request, site: Site, who: str) -> Response:
    """Which agents somebody may ask."""
    found = [each for each in site.agents.values() if _may_ask(site, each, who)]
    rows = [(each.name, _first_line(each.workflow.__doc__)) for each in found]
    return site.page(request, "agents.html", rows=sorted(rows), known=bool(site.agents))


def _first_line(doc: str | None) -> str:
    return first_line(doc or "")


@signed_in
async def form(request: Request, site: Site, who: str) -> Response:
    """The form of the event of one agent."""
    return _form(request, site, _agent(request, site, who))


def _form(
    request: Request,
    site: Site,
    agent: Agent,
    *,
    fault: str = "",
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    schema = json_schema(agent.event)
    return site.page(
        request,
        "ask.html",
        status=status,
        agent=agent.name,
        does=_first_line(agent.workflow.__doc__),
        asks=schema.get("description", ""),
        form=forms.fields(schema, None, given, errors),
        fault=fault,
        token=site.token(request, case=agent.name, gate="ask"),
    )


@signed_in
async def ask(request: Request, site: Site, who: str) -> Response:
    """Start the case of what was filled in, or find it again, as whoever is signed in."""
    sent, made_for = await site.received(request, who)
    agent, given = _agent(request, site, who), texts(sent)
    if (made_for.case, made_for.gate) != (agent.name, "ask"):
        raise HTTPException(403, "This form was made for another agent. Open the page again.")
    filled = forms.read(json_schema(agent.event), given, blank=False)
    errors, said = dict(filled.errors), "some fields will not do"
    if not errors:
        try:
            started = await site.operator(who).start(agent.name, filled.value)
            if not started.changed or started.taken:
                return RedirectResponse(case_page(started.case), 303)
            said = f"{started.case} is there already, and was asked something else"
        except InvalidRequest as error:
            errors = _faults(agent.event, error)
            said = errors.pop(forms.ROOT, said) if errors else str(error)
        except RequestError as error:
            said = str(error)
    fault = f"Nothing was asked: {said}."
    return _form(request, site, agent, fault=fault, given=given, errors=errors, status=422)


def _faults(event: type[Event], error: InvalidRequest) -> dict[str, str]:
    """What the model of an event says against which field of a form."""
    if not isinstance(error.__cause__, ValidationError):
        return {}
    return forms.faults_of(event, error.__cause__)


# The page of a case


async def _case(request: Request, site: Site, who: str) -> CaseDetails:
    """The case that a path names.

    Raises:
        HTTPException: 404 if there is none that this person asked for, or whose policy names them.
    """
    case: str = request.path_params["case"]
    mine = case.partition(":")[0] in site.directory.agents(who)
    try:
        found = await site.operator(who).case(case)
    except CaseError:
        found = None
    if found is None or not (mine or person(found.requester or "") == who):
        raise HTTPException(404, "There is no such case for you.")
    return found


@signed_in
async def case(request: Request, site: Site, who: str) -> Response:
    """How a case goes, for who asked for it, and whom its policy names."""
    found = await _case(request, site, who)
    return site.page(request, "case.html", **await _shown(site, found, who))


async def case_now(request: Request) -> Response:
    """The same alone, for a page that is open; nothing if it has not changed."""
    site = site_of(request)
    who = site.who(request)
    if who is None:
        raise HTTPException(401, "You are signed out.")
    await site.slow_down("look", who)
    content = await _shown(site, await _case(request, site, who), who)
    if request.query_params.get("seen") == content["seen"]:
        return Response(status_code=204)
    return site.page(request, "_case.html", leave="", **content)


async def _shown(site: Site, found: CaseDetails, who: str) -> dict[str, Any]:
    chained = found.chain or found.handed
    chain = (await site.operator(who).chain(found.case)).cases if chained else ()
    agents = site.directory.agents(who)
    agent = found.agent in agents
    gates = [
        (each, page_link("", found.case, each.gate) if views.visible(each, who, agents) else "")
        for each in found.gates
    ]
    return {
        "case": found,
        "gates": gates,
        "chain": [(each, case_page(each.case)) for each in chain],
        "url": case_page(found.case),
        "seen": changes_mark(
            (found.state, found.log, gates, found.failing, found.lacking, found.thinking, chain)
        ),
        "log_shown": LOG_SHOWN,
        "ui": site.run_url(found.case) if agent else "",
    }
