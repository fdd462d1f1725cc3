"""What people allow in advance: a standing approval from a question, and out of office."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from joserfc.util import urlsafe_b64decode
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from handrail.actions import person
from handrail.inbox.web import views
from handrail.inbox.web.site import Site, signed_in, text
from handrail.ledger import MandateRow
from handrail.oversight import MANDATE_STATEMENT, Mandate, NotProven
from handrail.text import first_fault

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.inbox.web.pages import Seat
    from handrail.oversight import GateView

HOURS = (("1", "1 hour"), ("8", "8 hours"), ("24", "1 day"), ("168", "7 days"))
"""For how long a standing approval may be given on the page of a question."""

_IRREVERSIBLE = "irreversible"

Fault = Callable[[str, Mapping[str, str]], Exception]


def allowing(
    site: Site, seat: Seat, view: GateView, given: Mapping[str, str], fault: Fault
) -> MandateRow:
    """A standing approval of such as this, signed; it counts when the ledger has it.

    Raises:
        fault: if it is none that may be given.
    """
    if seat.via != "inbox":
        # A link in a mail lets its reader rule on one question, and on no others.
        raise fault("Nothing was sent: sign in to approve in advance.", {})
    if view.risk == _IRREVERSIBLE:
        raise fault("Nothing was sent: what cannot be undone is never approved in advance.", {})
    errors: dict[str, str] = {}
    same, up_to = _bounds(view, given, errors)
    hours = given.get("hours", "")
    if hours not in dict(HOURS):
        errors["hours"] = "Choose for how long."
    uses = given.get("uses", "")
    if not (uses.isascii() and uses.isdigit() and 1 <= int(uses) <= 1_000):  # noqa: PLR2004
        errors["uses"] = "Write a number from 1 to 1000."
    if errors:
        raise fault("Nothing was sent.", errors)
    now = site.clock()
    said: dict[str, Any] = {
        "kind": "standing",
        "by": seat.who,
        "agent": view.case.partition(":")[0],
        "begins": now,
        "ends": now + timedelta(hours=int(hours)),
        "why": given.get("why", "").strip(),
        "step": view.step,
        "role": views.standing(view, seat.who).role,
        "same": same,
        "up_to": up_to,
        "uses": int(uses),
    }
    try:
        return _signed(site, said)
    except _Refused as refused:
        raise fault(f"Nothing was sent: {refused}", {}) from refused


def _bounds(
    view: GateView, given: Mapping[str, str], errors: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Decimal]]:
    same: dict[str, Any] = {}
    up_to: dict[str, Decimal] = {}
    for name, value in view.action.items():
        # What has no field of its own in the form cannot be shown as free, so it is not.
        match "same" if isinstance(value, dict | list) else given.get(f"bound/{name}", ""):
            case "same":
                same[name] = value
            case "up to":
                bound = _decimal(given.get(f"most/{name}", ""))
                if bound is None:
                    errors[f"most/{name}"] = "Write a number of 0 or more, such as 50."
                else:
                    up_to[name] = bound
            case _:
                pass
    chosen = any(given.get(f"bound/{name}") for name in view.action)
    if not chosen and not errors:
        errors["bounds"] = "Bind at least one field: such as this, but how far?"
    return same, up_to


def _decimal(said: str) -> Decimal | None:
    try:
        number = Decimal(said.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None


class _Refused(Exception):  # never leaves this module
    """A mandate cannot be given so."""


def _signed(site: Site, said: dict[str, Any]) -> MandateRow:
    now = site.clock()
    try:
        mandate = Mandate.model_validate({"id": uuid.uuid4().hex, **said})
        signed = MANDATE_STATEMENT.sign(mandate, site.key, now)
    except ValidationError as error:
        raise _Refused(first_fault(error)) from error
    except NotProven as error:
        raise _Refused(str(error)) from error
    return MandateRow(
        id=mandate.id,
        kind=mandate.kind,
        agent=mandate.agent,
        by=mandate.by,
        to=mandate.to,
        begins=mandate.begins,
        ends=mandate.ends,
        text=signed,
    )


@signed_in
async def me(request: Request, site: Site, who: str) -> Response:
    """What somebody has given away for a time, and may give."""
    return await _me(request, site, who)


async def _me(
    request: Request,
    site: Site,
    who: str,
    errors: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Response:
    now = site.clock()
    named = [(each.agent, sorted(each.may_stand_in(who))) for each in site.directory.named()]
    live = [row for row in await site.ledger.mandates() if row.ends > now and row.revoked is None]
    return site.page(
        request,
        "me.html",
        status=422 if errors else 200,
        mine=[(row, _mandate(row)) for row in live if row.by == who],
        for_me=[row for row in live if row.to == who],
        choices=[(agent, deputies) for agent, deputies in named if deputies],
        owns=site.directory.owns(who),
        errors=errors or {},
        given=given or {},
        token=site.sessions.token(site.sessions.id(request), now),
    )


def _mandate(row: MandateRow) -> Mandate | None:
    """What a mandate says; it is proven where it is used, not here."""
    try:
        claims: Any = json.loads(urlsafe_b64decode(row.text.split(".")[1].encode()))
        return Mandate.model_validate(claims["mandate"])
    except (ValueError, LookupError, TypeError):
        return None


@signed_in
async def change(request: Request, site: Site, who: str) -> Response:
    """Give something away for a time, or take it back."""
    given = await site.fields(request)
    site.form(given, site.sessions.id(request))
    await site.slow_down("rule", who)
    if text(given, "revoke"):
        await _revoke(site, who, text(given, "revoke"))
        return RedirectResponse("/me", 303)
    filled = {name: value for name, value in given.items() if isinstance(value, str)}
    errors = await _delegate(site, who, filled)
    return await _me(request, site, who, errors, filled) if errors else RedirectResponse("/me", 303)


async def _revoke(site: Site, who: str, mandate_id: str) -> None:
    row = await site.ledger.mandate(mandate_id)
    if row is None or row.by != who:
        raise HTTPException(404, "You have given nothing of that kind.")
    await site.ledger.revoke_mandate(mandate_id, who, site.clock())


async def _delegate(site: Site, who: str, given: Mapping[str, str]) -> dict[str, str]:
    errors: dict[str, str] = {}
    now = site.clock()
    agent, _, to = given.get("whom", "").partition(" ")
    begins = _moment(given.get("begins", "")) or now
    ends = _moment(given.get("ends", ""))
    allowed = {each.agent: each.may_stand_in(who) for each in site.directory.named()}
    if person(to) not in allowed.get(agent, frozenset()):
        errors["whom"] = "Choose who stands in for you."
    if ends is None or ends <= max(begins, now):
        errors["ends"] = "Choose a time that is still to come, after the beginning."
    if errors:
        return errors
    said = {
        "kind": "delegation",
        "by": who,
        "agent": agent,
        "to": to,
        "begins": max(begins, now),
        "ends": ends,
        "why": given.get("why", "").strip(),
    }
    try:
        await site.ledger.add_mandate(_signed(site, said))
    except _Refused as refused:
        return {"ends": str(refused)}
    return {}


def _moment(said: str) -> datetime | None:
    """A time as a browser's field gives it, in UTC."""
    try:
        return datetime.fromisoformat(said).replace(tzinfo=UTC)
    except ValueError:
        return None
