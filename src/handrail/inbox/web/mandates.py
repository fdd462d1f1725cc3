"""What people allow in advance: a standing approval from a question, and out of office."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from handrail.client import Bounds, Term
from handrail.exceptions import NotPermitted, RequestError
from handrail.inbox.web.site import FormFault, Site, sentence, signed_in, texts
from handrail.oversight import action_lines

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.oversight import GateView

STANDING = "standing"
"""What the form of a question says instead of a verb, to approve such as it too."""

FIELDS = {"uses": "uses", "ends": "hours"}
"""Fields of the form by what the client calls them; the rest is said of the bounds."""

_WHOLE = re.compile("-?[0-9]{1,6}")
_ENDED = {"over", "revoked"}


def bounds(view: GateView, given: Mapping[str, str]) -> Bounds:
    """How far such as a question asks about is approved, as its form says.

    Raises:
        FormFault: if it cannot be read.
    """
    errors: dict[str, str] = {}
    same: dict[str, Any] = {}
    up_to: dict[str, Decimal] = {}
    for name, value in view.action.items():
        chosen, most = given.get(f"bound/{name}"), _decimal(given.get(f"most/{name}", ""))
        if chosen == "same":
            same[name] = value
        elif chosen == "up to" and most is None:
            errors[f"most/{name}"] = "Write a number of 0 or more, such as 50."
        elif chosen == "up to" and most is not None:
            up_to[name] = most
    hours, uses = (_whole(given.get(name, "")) for name in ("hours", "uses"))
    if hours is None:
        errors["hours"] = "Choose for how long."
    if uses is None:
        errors["uses"] = "Write how many times, such as 20."
    if errors or hours is None or uses is None:
        raise FormFault("some fields will not do", errors)
    term, why = Term(lasts=timedelta(hours=hours)), given.get("why", "")
    return Bounds(uses=uses, term=term, up_to=up_to, same=same, why=why)


def _whole(said: str) -> int | None:
    return int(said) if _WHOLE.fullmatch(said.strip()) else None


def _decimal(said: str) -> Decimal | None:
    try:
        number = Decimal(said.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None


@signed_in
async def me(request: Request, site: Site, who: str) -> Response:
    """What somebody has given away for a time, and may give."""
    return await _me(request, site, who)


async def _me(
    request: Request,
    site: Site,
    who: str,
    *,
    fault: str = "",
    errors: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Response:
    every = (await site.operator(who).mandates(every=True)).mandates
    live = [each for each in every if each.mandate is not None and each.state not in _ENDED]
    agents, controls = sorted(site.directory.agents(who)), site.directory.controls(who)
    choices = [(agent, sorted(site.directory.deputies(agent, who))) for agent in agents]
    mine = [each for each in live if each.mandate and each.mandate.by == who]
    for_me = [each for each in live if each.mandate and each.mandate.to == who]
    others = [each for each in live if each.mandate and each.mandate.agent in controls]
    return site.page(
        request,
        "me.html",
        status=422 if fault or errors else 200,
        mine=mine,
        for_me=for_me,
        others=[each for each in others if each not in mine and each not in for_me],
        choices=[(agent, deputies) for agent, deputies in choices if deputies],
        owns=site.directory.owns(who),
        fault=fault,
        lines=action_lines,
        errors=errors or {},
        given=given or {},
        token=site.token(request),
    )


@signed_in
async def change(request: Request, site: Site, who: str) -> Response:
    """Give something away for a time, or take it back."""
    given = texts((await site.received(request, who))[0])
    operator = site.operator(who)
    if given.get("revoke"):
        try:
            await operator.revoke_mandate(given["revoke"])
        except RequestError as error:
            return await _me(request, site, who, fault=f"Nothing was revoked: {error}.")
        return RedirectResponse("/me", 303)
    agent, _, to = given.get("whom", "").partition(" ")
    term = Term(begins=_moment(given.get("begins", "")), ends=_moment(given.get("ends", "")))
    try:
        await operator.stand_in(agent, to, term, given.get("why", ""))
    except RequestError as error:
        name = "whom" if isinstance(error, NotPermitted) else "ends"
        return await _me(request, site, who, errors={name: sentence(error)}, given=given)
    return RedirectResponse("/me", 303)


def _moment(said: str) -> datetime | None:
    """A time as a browser's field gives it, in UTC."""
    try:
        return datetime.fromisoformat(said).replace(tzinfo=UTC)
    except ValueError:
        return None
