"""The pages that show: one question, and what was ruled. They change nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from handrail.actions import person
from handrail.client import rights
from handrail.evidence import approver_attention
from handrail.exceptions import CaseError
from handrail.inbox.web import forms, views
from handrail.inbox.web.site import TEMPLATES, Site, signed_in, site_of, to_sign_in
from handrail.inbox.web.tokens import BadToken, page_link, read_mail
from handrail.inbox.web.waiting import beside, changes_mark
from handrail.oversight import BY_NAME, DOUBT_ANSWERS, GateKind, gate_lines, was_called

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.ledger import RulingRow
    from handrail.oversight import CaseView, ClosedView, GateView

NEWEST = 200
"""Rulings that the list of closed questions shows."""

LOOKED_BACK = 90
"""Days of rulings by which it is told how well people look, as `handrail approvers` does."""

LOG_SHOWN = 40


@dataclass(frozen=True)
class Seat:
    """Who looks at one question, and by which way they came.

    `url`: the page of the question by that way. `holder`: for whom its forms are made.
    """

    who: str
    via: str
    case: str
    gate: str
    url: str
    holder: str


def seat_of(request: Request, site: Site) -> Seat | None:
    """The seat of whoever asks: as the link is for that they followed, else as they signed in.

    Raises:
        HTTPException: 403 if the link is not one of ours, or too old.
    """
    token: str | None = request.path_params.get("token")
    if token is None:
        who, (case, gate) = site.who(request), map(request.path_params.get, ("case", "gate"))
        if who is None or case is None or gate is None:
            return None
        holder, via = site.sessions.id(request), site.sessions.via(request)
        return Seat(who, via, case, gate, page_link("", case, gate), holder)
    try:
        link = read_mail(site.seals.secret, token, site.clock())
    except BadToken as error:
        raise HTTPException(403, f"{error}. Sign in to the inbox instead.") from None
    holder = f"mail:{hashlib.sha256(token.encode()).hexdigest()}"
    return Seat(link.person, "mail", link.case, link.gate, f"/mail/{token}", holder)


async def question(request: Request) -> Response:
    """One question, for whoever is signed in or whom a link is for. Seeing it decides nothing."""
    site = site_of(request)
    seat = seat_of(request, site)
    return to_sign_in(request) if seat is None else await show(request, site, seat)


async def show(
    request: Request,
    site: Site,
    seat: Seat,
    *,
    fault: str = "",
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """The page of one question. `given`, `errors`: a form that came back, and what is wrong.

    Raises:
        HTTPException: 404 if there is no such question that this person may see.
    """
    try:
        view = await site.operator(seat.who, seat.via).gate(seat.case, seat.gate)
    except CaseError:
        return await _closed(request, site, seat, fault, status)
    if not views.visible(view, seat.who, site.directory.agents(seat.who)):
        raise HTTPException(404, "There is no such question for you.")
    content = await _question(site, seat, view, given, errors or {})
    return site.page(request, "gate.html", status=status, fault=fault, **content)


async def _question(
    site: Site,
    seat: Seat,
    view: GateView,
    given: Mapping[str, str] | None,
    errors: Mapping[str, str],
) -> dict[str, Any]:
    now = site.clock()
    own = view.kind is GateKind.QUESTION
    operator = site.operator(seat.who, seat.via)
    form = await operator.form(view)
    return (
        _now(site, seat, view)
        | await _beside(site, seat, view)
        | {
            "paused": await _is_paused(site, seat),
            "who": seat.who,
            "lines": [] if own else gate_lines(view),
            "was": was_called(view),
            "case": await operator.case_view(view.case),
            "log_shown": LOG_SHOWN,
            "asks": views.ASKS[view.kind],
            "answers": DOUBT_ANSWERS,
            "form": fields_of(view, form, given, errors),
            "given": given or {},
            "errors": errors,
            "ui": site.run_url(view.case),
            "token": site.sessions.token(
                seat.holder, now, case=view.case, gate=view.gate, digest=view.digest
            ),
        }
    )


async def _beside(site: Site, seat: Seat, view: GateView) -> dict[str, Any]:
    """The questions before and after this one, for whoever goes from one to the next."""
    if seat.via == "mail":
        return {"before": None, "after": None}
    others = await beside(site, seat.who, view.gate)
    urls = [page_link("", each.case, each.gate) for each in others]
    return {"before": urls[-1] if urls else None, "after": urls[0] if urls else None}


def schema_of(view: GateView, form: dict[str, Any] | None) -> forms.Schema:
    """The schema of what a question takes: its own, else one of the shape of the action."""
    if form:
        return form
    return forms.schema_of(view.action) if view.kind is GateKind.WRITE else {}


def fields_of(
    view: GateView,
    form: dict[str, Any] | None,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> tuple[forms.FormField, ...]:
    """The fields of what a question takes, filled with what is proposed."""
    schema = schema_of(view, form)
    if not schema or schema.get("type") == "null":
        return ()
    start = view.action if view.kind is GateKind.WRITE else None
    mine = given if given and any(name.startswith(forms.ROOT) for name in given) else None
    return forms.fields(schema, start, mine, errors)


async def _is_paused(site: Site, seat: Seat) -> bool:
    """Whether Temporal's own Pause holds the case."""
    return await site.operator(seat.who, seat.via).is_paused(seat.case)


async def question_now(request: Request) -> Response:
    """What may have changed of a question that is open on a page."""
    site = site_of(request)
    seat = seat_of(request, site)
    if seat is None:
        raise HTTPException(401, "You are signed out.")
    await site.slow_down("look", seat.who)
    seen = request.query_params.get("seen")
    try:
        view = await site.operator(seat.who, seat.via).gate(seat.case, seat.gate)
    except CaseError:
        case = await _case(site, seat)
        closed = _find(case, seat.gate)
        _require_concerned(site, seat, closed)
        content: dict[str, Any] = {"seat": seat, "closed": closed, "seen": "closed"}
    else:
        if not views.visible(view, seat.who, site.directory.agents(seat.who)):
            raise HTTPException(404, "There is no such question for you.")
        content = _now(site, seat, view) | {"paused": await _is_paused(site, seat)}
    if content["seen"] == seen:
        return Response(status_code=204)
    return site.page(request, "_now.html", leave="", **content)


def _now(site: Site, seat: Seat, view: GateView) -> dict[str, Any]:
    left = view.deadline - site.clock() if view.deadline else None
    minutes = None if left is None else left.total_seconds() // 60
    mark = changes_mark(
        (view.given, view.rulings, view.asked, view.waiting_for, view.then, minutes)
    )
    return {
        "seat": seat,
        "gate": view,
        "closed": None,
        "here": rights(view, seat.who),
        "urgent": left is not None and left < views.SOON,
        "seen": mark,
    }


async def _closed(request: Request, site: Site, seat: Seat, fault: str, status: int) -> Response:
    case = await _case(site, seat)
    closed = _find(case, seat.gate)
    _require_concerned(site, seat, closed)
    return site.page(
        request,
        "closed_gate.html",
        seat=seat,
        who=seat.who,
        closed=closed,
        case=case,
        status=status,
        fault=fault,
        ui=site.run_url(seat.case),
        log_shown=LOG_SHOWN,
    )


def _require_concerned(site: Site, seat: Seat, closed: ClosedView | None) -> None:
    """That somebody may know how a question ended.

    Raises:
        HTTPException: 404 if it is none of theirs.
    """
    agent = seat.case.partition(":")[0]
    named = closed is not None and seat.who in {
        *(r.by for r in closed.rulings),
        *(person(a.to) for a in closed.asked),
    }
    if seat.via != "mail" and not named and agent not in site.directory.agents(seat.who):
        raise HTTPException(404, "There is no such question for you.")


async def _case(site: Site, seat: Seat) -> CaseView | None:
    try:
        return await site.operator(seat.who, seat.via).case_view(seat.case)
    except CaseError:
        return None


def _find(case: CaseView | None, gate: str) -> ClosedView | None:
    return next((each for each in case.closed if each.gate == gate), None) if case else None


@signed_in
async def ruled(request: Request, site: Site, who: str) -> Response:
    """What was ruled lately, by whom and when: on agents whose policy names the reader."""
    agents, owns = site.directory.agents(who), site.directory.owns(who)
    seen = await site.ledger.rulings(by=who, agents=agents, limit=NEWEST)
    rows, by_name = [(r, _why(r)) for r in seen], any(r.via == BY_NAME for r in seen)
    return site.page(request, "closed.html", rows=rows, owns=owns, by_name=by_name)


def _why(row: RulingRow) -> str:
    try:
        return row.ruling.why
    except ValueError:
        return "(what is recorded of it cannot be read)"


@signed_in
async def approvers(request: Request, site: Site, who: str) -> Response:
    """How well people look, for the owners of policies."""
    owns = site.directory.owns(who)
    if not owns:
        raise HTTPException(404, "This page is for the owner of a policy.")

    async def reckoned() -> str:
        since = site.clock() - timedelta(days=LOOKED_BACK)
        rows = await site.ledger.rulings(since=since, agents=owns, texts=False)
        found = await asyncio.to_thread(approver_attention, rows)
        return TEMPLATES.get_template("_approvers.html").render(found=found)

    content: dict[str, Any] = {"agents": sorted(owns), "days": LOOKED_BACK}
    return site.streamed(request, "approvers.html", reckoned, **content)
