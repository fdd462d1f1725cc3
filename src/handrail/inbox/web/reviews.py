"""The look afterwards: what ran alone is shown, and a person says whether it was right.

Here too stand the incidents, which somebody closes. Both are read from the ledger, and what
people say is written there: no case waits for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from temporalio.service import RPCError

from handrail.actions import person
from handrail.exceptions import InvalidRequest, NotFound, RequestError, ServerUnavailable
from handrail.inbox.web import views
from handrail.inbox.web.site import Site, sentence, signed_in, text, texts
from handrail.oversight import FieldLine, ReviewAnswer, action_lines

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import CaseSummary, Operator, ReviewDetails, ReviewView

SHOWN = 50
"""Reviews, or incidents, that one page shows."""

_GATE = "review"


@dataclass(frozen=True)
class ReviewCard:
    """One review in the list."""

    row: ReviewView
    url: str
    fields: tuple[FieldLine, ...]
    mine: bool


def review_link(base: str, key: str) -> str:
    """A link to the review of a write; whoever follows it must sign in."""
    return f"{base}/reviews/{quote(key, safe=':')}"


@signed_in
async def reviews(request: Request, site: Site, who: str) -> Response:
    """What waits for a look afterwards, the oldest first."""
    everything, operator = request.query_params.get("show") == "all", site.operator(who)
    rows = mine = (await operator.reviews(mine=True)).reviews
    if everything:
        rows = (await operator.reviews(every=True, newest=True, limit=SHOWN)).reviews
    waiting = {row.key for row in mine}
    cards = [await _card(site, row, mine=row.key in waiting) for row in rows[:SHOWN]]
    open_ = (await operator.incidents(open_only=True, limit=SHOWN)).incidents
    return site.page(request, "reviews.html", cards=cards, all=everything, incidents=len(open_))


async def _card(site: Site, row: ReviewView, *, mine: bool) -> ReviewCard:
    written = await site.ledger.written(row.key)
    lines = action_lines(written.action, written.evidence, written.units) if written else []
    return ReviewCard(row, review_link("", row.key), views.few(lines), mine)


def _sees(site: Site, row: ReviewView, who: str) -> bool:
    asked = who in {person(each) for each in row.people}
    return asked or row.agent in site.directory.agents(who)


@signed_in
async def review(request: Request, site: Site, who: str) -> Response:
    """One write, as a reviewer must see it."""
    return await _show(request, site, site.operator(who), await _find(request, site, who))


async def _find(request: Request, site: Site, who: str) -> ReviewDetails:
    """The review that a path names.

    Raises:
        HTTPException: 404 if there is none that this person may see.
    """
    key: str = request.path_params["key"]
    try:
        found = await site.operator(who).review(key)
    except NotFound:
        found = None
    if found is None or found.key != key or not _sees(site, found, who):
        raise HTTPException(404, "There is no such review for you.")
    return found


async def _show(
    request: Request,
    site: Site,
    operator: Operator,
    found: ReviewDetails,
    *,
    fault: str = "",
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    met = (await operator.incidents(case=found.case)).incidents
    return site.page(
        request,
        "look.html",
        status=status,
        row=found,
        lines=action_lines(found.action, found.evidence, found.units),
        incidents=[each for each in met if each.key == found.key],
        url=review_link("", found.key),
        ui=site.run_url(found.case),
        fault=fault,
        given=given or {},
        errors=errors or {},
        token=site.token(request, case=found.key, gate=_GATE, digest=found.digest),
    )


@signed_in
async def answer(request: Request, site: Site, who: str) -> Response:
    """Say of one write whether it was right, as whoever is signed in."""
    sent, form = await site.received(request, who)
    found, operator, given = await _find(request, site, who), site.operator(who), texts(sent)
    if (form.case, form.gate, form.digest) != (found.key, _GATE, found.digest):
        raise HTTPException(403, "This form was made for another review. Open the page again.")
    said = given.get("answer", "")
    try:
        await operator.answer_review(found.key, said, given.get("why", ""))
    except InvalidRequest as error:
        errors, fault = {"why": sentence(error)}, "Nothing was recorded."
        return await _show(
            request, site, operator, found, fault=fault, given=given, errors=errors, status=422
        )
    except RequestError as error:
        return await _show(
            request, site, operator, found, fault=sentence(error), given=given, status=409
        )
    following = (await operator.reviews(mine=True, limit=1)).reviews
    return site.page(
        request,
        "looked.html",
        row=found,
        said=said,
        wrong=said == ReviewAnswer.WRONG,
        undo=f"handrail roll-back {shlex.quote(found.case)} --why 'the review found it wrong'",
        url=review_link("", found.key),
        following=await _card(site, following[0], mine=True) if following else None,
        ui=site.run_url(found.case),
    )


# Incidents


@signed_in
async def incidents(request: Request, site: Site, who: str) -> Response:
    """What went wrong with writes, for whom the agent's policy names."""
    return await _list(request, site, who)


async def _list(
    request: Request, site: Site, who: str, fault: str = "", **more: Mapping[str, Any]
) -> Response:
    operator = site.operator(who)
    # However many were closed since: what is open is to be dealt with.
    open_ = (await operator.incidents(open_only=True, limit=SHOWN)).incidents
    latest = (await operator.incidents(limit=SHOWN)).incidents
    rows = [*open_, *(row for row in latest if row.closed is not None)][:SHOWN]
    return site.page(
        request,
        "incidents.html",
        status=422 if fault else 200,
        rows=[(row, site.run_url(row.case)) for row in rows],
        stuck=await _stuck(site, who),
        fault=fault,
        token=site.token(request),
        **({"errors": {}, "given": {}} | more),
    )


async def _stuck(site: Site, who: str) -> list[CaseSummary]:
    """The stuck cases of the agents whose policies name a person; none without a server."""
    try:
        found = (await site.operator(who).stuck_cases()).cases
    except (RPCError, ServerUnavailable):
        return []
    return [case for case in found if case.agent in site.directory.agents(who)]


@signed_in
async def close(request: Request, site: Site, who: str) -> Response:
    """Close an incident, as somebody whom the policy of its agent names."""
    given = (await site.received(request, who))[0]
    named, why = text(given, "incident"), text(given, "why")
    try:
        await site.operator(who).close_incident(named, why)
    except NotFound:
        raise HTTPException(404, "There is no such incident for you.") from None
    except RequestError as error:
        said = {"errors": {named: sentence(error)}, "given": {named: why}}
        return await _list(request, site, who, f"Nothing was closed: {error}.", **said)
    return RedirectResponse("/incidents", 303)
