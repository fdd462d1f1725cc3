"""Rulings: what a form says is handed to the client, and the page shows what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from starlette.exceptions import HTTPException
from starlette.responses import Response

from handrail.actions import Verb
from handrail.client import ruling_of
from handrail.exceptions import CaseError, InvalidRequest, RequestError
from handrail.inbox.web import forms, mandates, views
from handrail.inbox.web.listing import PAGE
from handrail.inbox.web.pages import Seat, schema_of, seat_of, show
from handrail.inbox.web.site import (
    ANSWERS,
    FormFault,
    Site,
    seconds,
    sentence,
    signed_in,
    site_of,
    text,
    texts,
    to_sign_in,
)
from handrail.inbox.web.tokens import page_link
from handrail.inbox.web.waiting import beside
from handrail.oversight import GateKind, changed_lines
from handrail.text import exact_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import Operator, RulingResult
    from handrail.oversight import GateView

_CHANGED = (
    "Nothing was sent: what is asked has changed since you opened the page, and is another action "
    "now. Look again."
)


async def decide(request: Request) -> Response:
    """Rule on one question, as whoever is signed in or whom a link is for."""
    site = site_of(request)
    seat = seat_of(request, site)
    if seat is None:
        return to_sign_in(request)
    sent, form = await site.received(request, seat.who, seat.holder)
    if (form.case, form.gate) != (seat.case, seat.gate):
        raise HTTPException(403, "This form was made for another question. Open the page again.")
    given, operator = texts(sent), site.operator(seat.who, seat.via)
    try:
        # Until here nothing is sent: what takes too long is given up, and may be tried again.
        async with asyncio.timeout(ANSWERS.total_seconds()):
            view = await operator.gate(seat.case, seat.gate)
        if form.digest != view.digest:
            return await show(request, site, seat, fault=_CHANGED, status=409)
        if given.get("verb") == "review":
            return await _review(request, site, seat, view, given)
        result = await _rule(operator, view, given, seconds(form.made, site.clock()))
    except CaseError as error:
        return await show(request, site, seat, fault=f"Nothing was sent: {error}.", status=409)
    except (RequestError, FormFault) as error:
        fault, errors = _beside(error, given)
        return await show(request, site, seat, fault=fault, given=given, errors=errors, status=422)
    await site.heard(seat.case)
    return site.page(
        request,
        "ruled.html",
        status=409 if result.accepted is False else 200,
        who=seat.who,
        seat=seat,
        gate=view,
        sent=result,
        verb=Verb.APPROVE if given["verb"] == mandates.STANDING else given["verb"],
        following=await _following(site, seat),
    )


async def _following(site: Site, seat: Seat) -> views.GateRow | None:
    """What else waits for this person. Whoever came by a link has come for one question."""
    if seat.via == "mail":
        return None
    others = await beside(site, seat.who, seat.gate)
    return next(iter(views.rows(others[:1], seat.who, site.clock())), None)


async def _rule(
    operator: Operator, view: GateView, given: Mapping[str, str], looked: float
) -> RulingResult:
    """Hand what a form says to the client.

    Raises:
        FormFault: if it cannot be read.
        RequestError: if the client does not send it.
    """
    verb, why = given.get("verb", ""), given.get("why", "")
    match verb:
        case mandates.STANDING:
            such_as = mandates.bounds(view, given)
            return await operator.approve(view, why, such_as=such_as, looked=looked)
        case Verb.AMEND:
            said: dict[str, Any] = {"action": _object(given.get("action", "")), "why": why}
        case Verb.ASK | Verb.DELEGATE:
            to = given.get(f"{verb}-to", "").strip()
            said = {"to": to, "why": given.get(f"{verb}-why", "").strip() or why}
        case Verb.ANSWER:
            said = await _answer(operator, view, given, why)
        case _:
            said = {"why": why}
    return await operator.rule(view, verb, looked=looked, **said)


async def _answer(
    operator: Operator, view: GateView, given: Mapping[str, str], why: str
) -> dict[str, Any]:
    question = given.get("question")
    if question:
        return {"question": question, "answer": given.get(f"answer-{question}", "").strip()}
    if view.kind is GateKind.QUESTION:
        return {"result": await _filled(operator, view, given), "why": why}
    answer = given.get("answer", "")
    result = await _filled(operator, view, given) if answer == "happened" else None
    return {"answer": answer, "why": why, "result": result}


async def _filled(operator: Operator, view: GateView, given: Mapping[str, str]) -> Any:
    """What was filled in of the action or the answer.

    Raises:
        FormFault: if some of it will not do, with what of each field.
    """
    schema = schema_of(view, await operator.form(view))
    if not schema or schema.get("type") == "null":
        return None
    filled = forms.read(schema, given, *([view.action] if view.kind is GateKind.WRITE else []))
    if filled.errors:
        raise FormFault("some fields will not do", filled.errors)
    return filled.value


def _object(said: str) -> dict[str, Any]:
    try:
        value: Any = exact_json(said)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FormFault("the amended action cannot be read; fill it in again")
    return cast("dict[str, Any]", value)


def _beside(error: Exception, given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """What is said against a form: above it, and beside the field that it is about."""
    if isinstance(error, FormFault):
        return f"Nothing was sent: {error}.", error.errors
    verb, field = given.get("verb", ""), getattr(error, "field", "")
    whole = f"Nothing was sent: {error}."
    if verb == mandates.STANDING and isinstance(error, InvalidRequest):
        return whole, {mandates.FIELDS.get(field, "bounds"): sentence(error)}
    name = {
        ("reject", "why"): "why",
        ("ask", "to"): "ask-to",
        ("ask", "why"): "ask-why",
        ("delegate", "to"): "delegate-to",
        ("answer", "answer"): f"answer-{given.get('question', '')}",
    }.get((verb, field))
    return (whole, {}) if name is None else ("Nothing was sent.", {name: sentence(error)})


async def _review(
    request: Request, site: Site, seat: Seat, view: GateView, given: Mapping[str, str]
) -> Response:
    """What an amendment would change, before it is sent."""
    action = await _filled(site.operator(seat.who, seat.via), view, given)
    ruling_of(view, Verb.AMEND, seat.who, action=action)
    return site.page(
        request,
        "review.html",
        who=seat.who,
        seat=seat,
        gate=view,
        lines=changed_lines(view.action, action, view.units),
        amended=json.dumps(action),
        why=given.get("why", "").strip(),
        token=given.get("token", ""),
    )


# Several at once


@signed_in
async def decide_many(request: Request, site: Site, who: str) -> Response:
    """Give the same ruling, for one reason, on several questions: each is sent on its own."""
    given = await site.fields(request)
    form = site.form(given, site.sessions.id(request))
    verb, why = text(given, "verb"), text(given, "why").strip()
    chosen = [_item(each) for each in given.getlist("item") if isinstance(each, str)]
    fault = _wrong_bulk(verb, why, chosen)
    if fault:
        return site.page(request, "message.html", status=422, title="Nothing was sent", said=fault)
    await site.slow_down("rule", who, len(chosen))
    operator = site.operator(who)
    agents = site.directory.agents(who)

    async def one(case: str, gate: str, digest: str) -> tuple[str, str, bool | None, str]:
        try:
            view = await operator.gate(case, gate)
            if not views.visible(view, who, agents):
                raise CaseError("there is no such question for you")
            # They looked at all of them together, and at none before it was asked.
            looked = seconds(max(form.made, view.opened), site.clock()) / len(chosen)
            said: dict[str, Any] = {"digest": digest, "looked": round(looked, 1), "why": why}
            sent = await operator.rule(view, verb, **said)
        except RequestError as error:
            return case, page_link("", case, gate), False, str(error)
        return case, page_link("", case, gate), sent.accepted, sent.note

    # All at once: where a worker has just died each waits for it, and a browser for all of them.
    results = await asyncio.gather(*(one(*each) for each in chosen))
    await asyncio.gather(*(site.heard(case) for case in {case for case, *_ in results}))
    return site.page(request, "bulk.html", results=results, verb=verb, why=why)


def _wrong_bulk(verb: str, why: str, chosen: list[tuple[str, str, str]]) -> str:
    if verb not in {Verb.APPROVE, Verb.REJECT}:
        return "Several questions can be approved or rejected."
    if not chosen:
        return "Select at least one question."
    if len(chosen) > PAGE:
        return f"Select {PAGE} at most."
    # Once for all of them: the client would say it of each.
    return "Say why: the agent reads it." if verb == Verb.REJECT and not why else ""


def _item(said: str) -> tuple[str, str, str]:
    try:
        case, gate, digest = json.loads(said)
    except (ValueError, TypeError, RecursionError):
        raise HTTPException(400, "This is no selection of questions.") from None
    return str(case), str(gate), str(digest)
