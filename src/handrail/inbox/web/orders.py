"""What is stopped, and how much agents do by themselves: seen, stopped, lifted, turned."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from temporalio.service import RPCError

from handrail.actions import Level
from handrail.exceptions import CaseError, RequestError
from handrail.inbox.web.reports import glance
from handrail.inbox.web.site import Site, signed_in, texts
from handrail.ledger import FLEET
from handrail.oversight import OrderState, order_in_words

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import AgentAutonomy, Operator, OrderOutcome

OVER = 20
"""Stops that were lifted, and are shown, the latest."""

_UNKEPT = (
    "The ledger does not answer, so this page cannot say that it is in force. The agents were "
    "told, and their workers stop as soon as they hear of it. Look again in a moment."
)


@signed_in
async def stops(request: Request, site: Site, who: str) -> Response:
    """What is stopped, and how much the agents of the reader do by themselves."""
    return await _page(request, site, who)


@signed_in
async def agents(request: Request, site: Site, who: str) -> Response:
    """The agents of the reader at a glance, those first that need somebody."""
    operator, mine = site.operator(who), site.directory.agents(who)
    found, builds = await asyncio.gather(operator.agents(), operator.rollouts())
    shown = [each for each in found.agents if each.agent in mine]
    shown.sort(key=lambda each: not each.incidents and each.state not in {"stopped", "away"})
    rolled = [each for each in builds.deployments if mine.intersection(each.agents)]
    lacking = [*found.lacking, *builds.lacking]
    content: dict[str, Any] = {"agents": shown, "lacking": lacking, "deployments": rolled}
    part = functools.partial(glance, request, site, who, sorted(mine))
    return site.streamed(request, "fleet.html", part, **content)


@signed_in
async def order(request: Request, site: Site, who: str) -> Response:
    """Stop something, lift it, or turn how much an agent does by itself."""
    given = texts((await site.received(request, who))[0])
    operator = site.operator(who)
    try:
        if given.get("stop"):
            result = await operator.stop(
                given.get("case", "").strip() or given.get("what", ""), why=given.get("why", "")
            )
            if not result.in_force:
                return site.page(request, "message.html", title="They were told", said=_UNKEPT)
            faults = [each.error for each in result.cases if each.error]
            note = " ".join(faults) or (result.untold and f"In force. Not told: {result.untold}")
        else:
            note = " ".join(filter(None, map(_became, await _judged(operator, given))))
    except RequestError as error:
        return await _page(request, site, who, fault=f"Nothing was ordered: {error}.", given=given)
    return await _page(request, site, who, note=note) if note else RedirectResponse("/stops", 303)


async def _judged(operator: Operator, given: Mapping[str, str]) -> tuple[OrderOutcome, ...]:
    """Give an order that a steward judges."""
    why = given.get("why", "")
    if given.get("lift"):
        return (await operator.lift(given["lift"], why)).lifted
    if given.get("second"):
        return (await operator.second(given["second"], why),)
    if given.get("level"):
        rollout = given.get("rollout", "").strip() or None
        what, to = given.get("what", ""), given.get("to", "")
        return (await operator.set_level(what, to, rollout, why),)
    raise HTTPException(400, "This form orders nothing.")


def _became(result: OrderOutcome) -> str:
    """What became of an order, where that is worth saying: what is in force is on the page."""
    if result.stand is None:
        return "No worker answers now. The order was left for one, which will judge it."
    note = f": {result.note}" if result.note else "."
    if result.stand in {OrderState.DONE, OrderState.IN_FORCE}:
        return f"In force{note}" if result.note else ""
    return f"It is {result.stand}{note}"


# The page


async def _page(
    request: Request,
    site: Site,
    who: str,
    *,
    note: str = "",
    fault: str = "",
    given: Mapping[str, str] | None = None,
) -> Response:
    operator, agents = site.operator(who), sorted(site.directory.agents(who))
    found = (await operator.stops(every=True)).stops
    seen = [each for each in found if each.agent == FLEET or each.agent in agents]
    over = sorted((e for e in seen if e.lifted is not None), key=lambda e: str(e.lifted))
    books = await asyncio.gather(*(_book(operator, each) for each in agents))
    content: dict[str, Any] = {
        "live": [(e, operator.may_lift(e.agent)) for e in seen if not (e.lifted or e.case_ended)],
        "over": over[::-1][:OVER],
        "agents": [(each, sorted(site.directory.writes(each))) for each in agents],
        "books": [book for book in books if book],
        "controls": site.directory.controls(who),
        "levels": [level.value for level in Level],
        "given": {"case": request.query_params.get("case", "")} | dict(given or {}),
        "note": note,
        "fault": fault,
        "words": order_in_words,
        "waiting": OrderState.WAITING,
        "token": site.token(request),
    }
    return site.page(request, "stops.html", status=422 if fault else 200, **content)


async def _book(operator: Operator, agent: str) -> AgentAutonomy | None:
    """What a steward knows. Where none answers, the page shows what the ledger does."""
    try:
        return (await operator.autonomy(agent)).agents[0]
    except (CaseError, RPCError):
        return None
