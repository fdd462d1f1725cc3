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

from handrail.actions import person
from handrail.client import gates
from handrail.guardrails import audit_review
from handrail.inbox.web import views
from handrail.inbox.web.site import Site, signed_in, text, texts
from handrail.ledger import AlreadyReviewed
from handrail.oversight import (
    NotProven,
    NotReviewed,
    ReviewAnswer,
    new_opinion,
    signed_answer,
    why_not_reviewer,
)

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request

    from handrail.ledger import ReviewedWrite, ReviewRow

SHOWN = 50
"""Reviews, or incidents, that one page shows."""

_MOST_WAITING = 5_000
_GATE = "review"
_ON_A_ROW = 4


@dataclass(frozen=True)
class Card:
    """One review in the list."""

    row: ReviewRow
    url: str
    fields: tuple[views.Line, ...]
    mine: bool


def review_link(base: str, key: str) -> str:
    """A link to the review of a write; whoever follows it must sign in."""
    return f"{base}/reviews/{quote(key, safe=':')}"


@signed_in
async def reviews(request: Request, site: Site, who: str) -> Response:
    """What waits for a look afterwards, the oldest first."""
    everything = request.query_params.get("show") == "all"
    if everything:
        rows = await site.ledger.reviews(newest=True, limit=10 * SHOWN)
    else:
        rows = [r for r in await _waiting(site) if _fault(site, r, who) is None]
    chosen = [row for row in rows if _sees(site, row, who)]
    cards = [await _card(site, row, who) for row in chosen[:SHOWN]]
    open_ = [each for each in await _incidents(site, who) if each.closed is None]
    return site.page(request, "reviews.html", cards=cards, all=everything, incidents=len(open_))


async def _waiting(site: Site) -> list[ReviewRow]:
    return await site.ledger.reviews(open_only=True, limit=_MOST_WAITING)


async def _card(site: Site, row: ReviewRow, who: str) -> Card:
    written = await site.ledger.written(row.key)
    lines = views.lines(written.action, written.evidence) if written else []
    fields = [each for each in lines if not each.listed and views.PATH not in each.name]
    mine = row.answer is None and _fault(site, row, who) is None
    return Card(row, review_link("", row.key), tuple(fields[:_ON_A_ROW]), mine)


def _sees(site: Site, row: ReviewRow, who: str) -> bool:
    asked = who in {person(each) for each in row.people}
    return asked or row.agent in site.directory.agents(who)


def _fault(site: Site, row: ReviewRow, who: str) -> str | None:
    """Why somebody may not answer. Who has come to the role since it was drawn may."""
    named = (each for each in site.directory.named() if each.agent == row.agent)
    now = [who for each in named for who in each.roles.get(row.role, ())]
    return why_not_reviewer(row, who, now)


@signed_in
async def review(request: Request, site: Site, who: str) -> Response:
    """One write, as a reviewer must see it."""
    row, written = await _find(request, site, who)
    return await _show(request, site, who, row, written)


async def _find(request: Request, site: Site, who: str) -> tuple[ReviewRow, ReviewedWrite]:
    """The review that a path names.

    Raises:
        HTTPException: 404 if there is none that this person may see.
    """
    row = await site.ledger.review_of(request.path_params["key"])
    written = None if row is None else await site.ledger.written(row.key)
    if row is None or written is None or not _sees(site, row, who):
        raise HTTPException(404, "There is no such review for you.")
    return row, written


async def _show(  # noqa: PLR0917  # what a form may add to the page
    request: Request,
    site: Site,
    who: str,
    row: ReviewRow,
    written: ReviewedWrite,
    fault: str = "",
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    verdicts = await site.ledger.verdicts(row.agent, case=row.case)
    verdict = next((each for each in reversed(verdicts) if each.key == row.key), None)
    met = [each for each in await site.ledger.incidents(case=row.case) if each.key == row.key]
    now = site.clock()
    return site.page(
        request,
        "look.html",
        status=status,
        row=row,
        written=written,
        lines=views.lines(written.action, written.evidence),
        verdict=verdict,
        incidents=met,
        said_before=await site.ledger.review_answers(row.key),
        url=review_link("", row.key),
        ui=gates.case_url(site.settings.ui_url, site.client.namespace, row.case),
        why_not=_fault(site, row, who),
        fault=fault,
        given=given or {},
        errors=errors or {},
        token=site.sessions.token(
            site.sessions.id(request), now, case=row.key, gate=_GATE, digest=written.digest
        ),
    )


@signed_in
async def answer(request: Request, site: Site, who: str) -> Response:
    """Say of one write whether it was right, as whoever is signed in."""
    given = await site.fields(request)
    form = site.form(given, site.sessions.id(request))
    row, written = await _find(request, site, who)
    if (form.case, form.gate, form.digest) != (row.key, _GATE, written.digest):
        raise HTTPException(403, "This form was made for another review. Open the page again.")
    await site.slow_down("rule", who)
    fault = _fault(site, row, who)
    if fault is not None:
        said = f"Nothing was recorded: {fault}."
        return await _show(request, site, who, row, written, said, status=409)
    try:
        await _record(site, who, written, given)
    except _Wrong as wrong:
        error = {"why": str(wrong)}
        filled = texts(given)
        nothing = "Nothing was recorded."
        return await _show(request, site, who, row, written, nothing, filled, error, 422)
    except AlreadyReviewed as other:
        said = f"Nothing was recorded: {other}."
        return await _show(request, site, who, row, written, said, status=409)
    return await _recorded(request, site, who, row, written, text(given, "answer"))


class _Wrong(Exception):  # never leaves this module
    """An answer is not complete."""


async def _record(site: Site, who: str, written: ReviewedWrite, given: FormData) -> None:
    now = site.clock()
    try:
        said = new_opinion(written, text(given, "answer"), who, text(given, "why"), now)
        kept = signed_answer(said, site.key, now)
    except (NotReviewed, NotProven) as error:
        words = str(error)
        raise _Wrong(f"{words[:1].upper()}{words[1:]}.") from error
    await site.ledger.answer_review(kept)
    place = (written.agent, written.step, written.case, written.key)
    audit_review(*place, answer=kept.answer, by=who, why=kept.note)


async def _recorded(  # noqa: PLR0917  # what the page shows
    request: Request, site: Site, who: str, row: ReviewRow, written: ReviewedWrite, said: str
) -> Response:
    waiting = await _waiting(site)
    mine = (e for e in waiting if _sees(site, e, who) and _fault(site, e, who) is None)
    following = next(mine, None)
    return site.page(
        request,
        "looked.html",
        row=row,
        written=written,
        said=said,
        wrong=said == ReviewAnswer.WRONG,
        undo=f"handrail roll-back {shlex.quote(row.case)} --why 'the review found it wrong'",
        url=review_link("", row.key),
        following=None if following is None else await _card(site, following, who),
        ui=gates.case_url(site.settings.ui_url, site.client.namespace, row.case),
    )


# Incidents


async def _incidents(site: Site, who: str) -> list[Any]:
    return await site.ledger.incidents(agents=site.directory.agents(who), limit=SHOWN)


@signed_in
async def incidents(request: Request, site: Site, who: str) -> Response:
    """What went wrong with writes, for whom the agent's policy names."""
    return await _list(request, site, who)


async def _list(
    request: Request, site: Site, who: str, errors: Mapping[str, str] | None = None
) -> Response:
    return site.page(
        request,
        "incidents.html",
        status=422 if errors else 200,
        rows=sorted(await _incidents(site, who), key=lambda row: row.closed is not None),
        errors=errors or {},
        token=site.sessions.token(site.sessions.id(request), site.clock()),
    )


@signed_in
async def close(request: Request, site: Site, who: str) -> Response:
    """Close an incident, as somebody whom the policy of its agent names."""
    given = await site.fields(request)
    site.form(given, site.sessions.id(request))
    await site.slow_down("rule", who)
    named, why = text(given, "incident"), text(given, "why").strip()
    if named not in {row.id for row in await _incidents(site, who)}:
        raise HTTPException(404, "There is no such incident for you.")
    if not why:
        return await _list(request, site, who, {named: "Say what was done about it."})
    await site.ledger.close_incident(named, who, site.clock(), why[:4_000])
    return RedirectResponse("/incidents", 303)
