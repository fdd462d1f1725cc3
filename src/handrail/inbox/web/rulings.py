"""Rulings: what a form says, signed for the person who sent it, and what the case answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from handrail.actions import Ruling, Verb
from handrail.client import gates as desk
from handrail.client.gates import CaseReply
from handrail.exceptions import CaseError
from handrail.inbox.web import forms, mandates, views
from handrail.inbox.web.pages import Seat, schema_of, seat_by_mail, seat_here, show
from handrail.inbox.web.site import Site, seconds, signed_in, site_of, text, texts
from handrail.inbox.web.tokens import page_link
from handrail.oversight import DOUBT_ANSWERS, GateKind, NotProven, sign_ruling
from handrail.text import first_fault

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.datastructures import FormData
    from starlette.requests import Request

    from handrail.ledger import MandateRow
    from handrail.oversight import GateView

MOST_AT_ONCE = 50
"""Rulings that one form sends."""

_AT_A_TIME = 5
_CHANGED = "Nothing was sent: what is asked has changed since you opened the page. Look again."
_REVIEW = "review"


class Wrong(Exception):  # a form that must be filled in again
    """A form cannot be sent as it is. `errors`: what is wrong, by field."""

    def __init__(self, said: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.errors = dict(errors or {})


@dataclass(frozen=True)
class Said:
    """A ruling that was filled in, before it is signed."""

    verb: str
    more: Mapping[str, Any]
    mandate: MandateRow | None = None


@signed_in
async def decide(request: Request, site: Site, who: str) -> Response:
    """Rule on one question as whoever is signed in."""
    return await _decide(request, site, seat_here(request, site, who))


async def decide_by_mail(request: Request) -> Response:
    """Rule on one question as whom its link is for: once, since a gate takes one ruling each."""
    site = site_of(request)
    return await _decide(request, site, seat_by_mail(request, site))


async def _decide(request: Request, site: Site, seat: Seat) -> Response:
    given = await site.fields(request)
    form = site.form(given, seat.holder)
    if (form.case, form.gate) != (seat.case, seat.gate):
        raise HTTPException(403, "This form was made for another question. Open the page again.")
    await site.slow_down("rule", seat.who)
    try:
        view = await desk.gate(site.client, seat.case, seat.gate)
    except CaseError:
        return await show(request, site, seat)
    if form.digest != view.digest:
        changed = (
            "Nothing was sent: what is asked has changed since you opened the page. Look again."
        )
        return await show(request, site, seat, changed, status=409)
    try:
        said = await _read(site, seat, view, given)
        if said.verb == _REVIEW:
            return _review(request, site, seat, view, said, text(given, "token"))
        sent = await _send(site, seat, view, said, form.made)
    except Wrong as wrong:
        filled = texts(given)
        return await show(request, site, seat, str(wrong), filled, wrong.errors, status=422)
    status = 409 if sent.accepted is False else 200
    content = {"seat": seat, "who": seat.who, "gate": view, "sent": sent, "verb": said.verb}
    following = await _following(site, seat)
    return site.page(request, "ruled.html", status=status, following=following, **content)


async def _following(site: Site, seat: Seat) -> views.Row | None:
    """What else waits for this person. Whoever came by a link has come for one question."""
    if seat.via == "mail":
        return None
    gates = await desk.open_gates(site.client)
    others = [g for g in gates if g.gate != seat.gate and views.waits_for(g, seat.who)]
    return next(iter(views.rows(others[:1], seat.who, site.clock())), None)


async def _read(site: Site, seat: Seat, view: GateView, given: FormData) -> Said:
    """What a form says, if it is complete.

    Raises:
        Wrong: if it is not.
    """
    verb, why = text(given, "verb"), text(given, "why").strip()
    match verb:
        case Verb.APPROVE | Verb.REVOKE:
            return Said(verb, {"why": why})
        case "standing":
            row = mandates.allowing(site, seat, view, texts(given), Wrong)
            return Said(Verb.APPROVE, {"why": why}, row)
        case Verb.REJECT:
            if not why:
                raise Wrong("Nothing was sent.", {"why": "Say why: the agent reads it."})
            return Said(verb, {"why": why})
        case "review":
            return Said(_REVIEW, {"action": await _filled(site, view, given), "why": why})
        case Verb.AMEND:
            return Said(verb, {"action": _object(text(given, "action")), "why": why})
        case Verb.ASK | Verb.DELEGATE:
            return Said(verb, _to_somebody(verb, given, why))
        case Verb.ANSWER:
            return Said(verb, await _answer(site, view, given, why))
        case _:
            raise Wrong("Nothing was sent: this form does not say what to do.")


def _to_somebody(verb: str, given: FormData, why: str) -> dict[str, Any]:
    to, said = text(given, f"{verb}-to").strip(), text(given, f"{verb}-why").strip() or why
    errors: dict[str, str] = {}
    if not to:
        errors[f"{verb}-to"] = "Choose whom."
    if verb == Verb.ASK and not said:
        errors["ask-why"] = "Write your question."
    if errors:
        raise Wrong("Nothing was sent.", errors)
    return {"to": to, "why": said}


async def _answer(site: Site, view: GateView, given: FormData, why: str) -> dict[str, Any]:
    question = text(given, "question")
    if question:
        answer = text(given, f"answer-{question}").strip()
        if not answer:
            raise Wrong("Nothing was sent.", {f"answer-{question}": "Write your answer."})
        return {"question": question, "answer": answer}
    if view.kind is GateKind.QUESTION:
        return {"result": await _filled(site, view, given), "why": why}
    answer = text(given, "answer")
    if answer not in DOUBT_ANSWERS:
        raise Wrong("Nothing was sent: say what became of it.")
    if answer != "happened":
        return {"answer": answer, "why": why}
    return {"answer": answer, "why": why, "result": await _filled(site, view, given)}


async def _filled(site: Site, view: GateView, given: FormData) -> Any:
    """What was filled in of the action or the answer.

    Raises:
        Wrong: if some of it will not do, with what of each field.
    """
    schema = schema_of(view, await desk.form(site.client, view.case, view.gate))
    if not schema or schema.get("type") == "null":
        return None
    filled = forms.read(schema, texts(given))
    if filled.errors:
        raise Wrong("Nothing was sent: some fields will not do.", filled.errors)
    return filled.value


def _object(said: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(said)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Wrong("Nothing was sent: the amended action cannot be read. Fill it in again.")
    return value  # pyright: ignore[reportUnknownVariableType]  # JSON objects have text keys


def _review(  # noqa: PLR0917  # what the page shows
    request: Request, site: Site, seat: Seat, view: GateView, said: Said, token: str
) -> Response:
    action = said.more["action"]
    changes = views.changes(view.action, action)
    if not any(each.changes for each in changes):
        raise Wrong("Nothing was sent: you have changed nothing. Approve it, or change a field.")
    return site.page(
        request,
        "review.html",
        who=seat.who,
        seat=seat,
        gate=view,
        lines=changes,
        amended=json.dumps(action),
        why=said.more["why"],
        token=token,
    )


async def _send(site: Site, seat: Seat, view: GateView, said: Said, made: datetime) -> CaseReply:
    looked = seconds(made, site.clock())
    ruling = signed(site, seat, view, said, looked)
    try:
        sent = await desk.send(site.client, view, said.verb, ruling)
    except CaseError as error:
        return CaseReply(False, str(error))
    if said.mandate is not None and sent.accepted:
        await site.ledger.add_mandate(said.mandate)
    return sent


def signed(site: Site, seat: Seat, view: GateView, said: Said, looked: float) -> Ruling:
    """The ruling of this person, signed by the inbox.

    Raises:
        Wrong: if it cannot be one.
    """
    try:
        ruling = Ruling(
            gate=view.gate,
            digest=view.digest,
            by=seat.who,
            via=seat.via,
            looked=looked,
            **said.more,
        )
        return sign_ruling(ruling, said.verb, view.case, site.key, site.clock())
    except ValidationError as error:
        raise Wrong(f"Nothing was sent: {first_fault(error)}") from error
    except NotProven as error:
        raise Wrong(f"Nothing was sent: {error}") from error


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
    some, said = asyncio.Semaphore(_AT_A_TIME), Said(verb, {"why": why})

    async def one(item: tuple[str, str, str]) -> tuple[str, str, CaseReply]:
        async with some:
            sent = await _one(site, who, item, said, form.made, len(chosen))
            return item[0], page_link("", item[0], item[1]), sent

    results = await asyncio.gather(*(one(each) for each in chosen))
    return site.page(request, "bulk.html", results=results, verb=verb, why=why)


def _wrong_bulk(verb: str, why: str, chosen: list[tuple[str, str, str]]) -> str:
    if verb not in {Verb.APPROVE, Verb.REJECT}:
        return "Several questions can be approved or rejected."
    if not chosen:
        return "Select at least one question."
    if len(chosen) > MOST_AT_ONCE:
        return f"Select {MOST_AT_ONCE} at most."
    if verb == Verb.REJECT and not why:
        return "Say why: the agent reads it."
    return ""


def _item(said: str) -> tuple[str, str, str]:
    try:
        case, gate, digest = json.loads(said)
    except (ValueError, TypeError, RecursionError):
        raise HTTPException(400, "This is no selection of questions.") from None
    return str(case), str(gate), str(digest)


async def _one(  # noqa: PLR0917  # one of several
    site: Site, who: str, item: tuple[str, str, str], said: Said, made: datetime, of: int
) -> CaseReply:
    case, gate, digest = item
    try:
        view = await desk.gate(site.client, case, gate)
        if not views.visible(view, who, site.directory):
            return CaseReply(False, "there is no such question for you")
        if view.digest != digest:
            return CaseReply(
                False, "what is asked has changed since you opened the page; look again"
            )
        seat = Seat(who, "inbox", case, gate, page_link("", case, gate), "")
        # They looked at all of them together, and at none before it was asked.
        looked = seconds(max(made, view.opened), site.clock()) / of
        ruling = signed(site, seat, view, said, round(looked, 1))
        return await desk.send(site.client, view, said.verb, ruling)
    except (CaseError, Wrong) as error:
        return CaseReply(False, str(error))
