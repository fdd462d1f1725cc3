"""The list of what waits: searched, filtered, sorted, in pages. It changes nothing.

All tabs of all people are shown the one list that `Site.waiting` keeps; what somebody's filter
finds of it is found once for each list that was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from handrail.client import SORTS, GateFilter, StillReading, totals
from handrail.inbox.web import views
from handrail.inbox.web.listing import PAGE, ListQuery
from handrail.inbox.web.site import Site, sentence, signed_in, site_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.client import GateList, UnreadableCase
    from handrail.oversight import GateView

_ORDERS = dict(zip(SORTS, ("first to expire", "newest", "oldest", "least sure"), strict=True))


@signed_in
async def waiting(request: Request, site: Site, who: str) -> Response:
    """What waits, the first to expire first; how far that is read, as long as none was."""
    try:
        content = await _list(request, site, who, opening=True)
    except StillReading as reading:
        return site.page(request, "reading.html", reading=reading)
    return site.page(request, "list.html", **content)


async def waiting_now(request: Request) -> Response:
    """The list alone, for a page that is open; nothing if it has not changed."""
    site = site_of(request)
    who = site.who(request)
    if who is None:
        raise HTTPException(401, "You are signed out.")
    await site.slow_down("look", who)
    try:
        content = await _list(request, site, who)
    except StillReading as reading:
        # An open page says that it is not of now.
        raise HTTPException(503, f"{sentence(reading)}.") from reading
    if request.query_params.get("seen") == content["seen"]:
        return Response(status_code=204)
    return site.page(request, "_list.html", **content)


async def _list(request: Request, site: Site, who: str, *, opening: bool = False) -> dict[str, Any]:
    asked = ListQuery.of(request.query_params)
    whole, as_of = await site.waiting.shown(opening=opening)
    found, counts, options = site.listed.seen(whole, who, site.directory.agents(who), asked)
    last = max(-(-len(found) // PAGE), 1)
    asked = ListQuery(asked.everything, asked.filter, min(asked.page, last))
    start, now = (asked.page - 1) * PAGE, site.clock()
    given = request.query_params
    picked = None if given.get("pick") == "all" else given.getlist("item")
    shown = views.rows(found[start:][:PAGE], who, now, picked)
    paused = [case for case in whole.paused if any(r.gate.case == case for r in shown)]
    unreadable = _unreadable(site, who, whole.unreadable)
    here = [(r.gate.gate, r.gate.digest, r.gate.given, r.gate.waiting_for) for r in shown]
    # The time that is left is in minutes.
    mark = (
        here,
        as_of,
        paused,
        unreadable,
        len(found),
        options["total"],
        now.replace(second=0).minute,
    )
    return {
        "rows": shown,
        "as_of": as_of,
        "asked": asked,
        "start": start,
        "last": last,
        "found": counts,
        "options": options,
        "orders": _ORDERS | {each.field: f"most {each.field}" for each in options["totals"]},
        "paused": paused,
        "unreadable": unreadable,
        "seen": changes_mark(mark),
        "bulk": any(row.bulk for row in shown),
        "checked": totals(row.gate for row in shown if row.checked),
        "token": site.token(request),
    }


async def beside(site: Site, who: str, gate: str) -> list[GateView]:
    """What else waits for somebody; nothing as long as no list was read."""
    try:
        whole, _ = await site.waiting.shown()
    except StillReading:
        return []
    return following(site, who, whole, gate)


def following(site: Site, who: str, whole: GateList, gate: str) -> list[GateView]:
    """What else waits for somebody: from a question on, and from the first one again."""
    asked = ListQuery(everything=False, filter=GateFilter(), page=1)
    mine, _, _ = site.listed.seen(whole, who, site.directory.agents(who), asked)
    at = next((n for n, each in enumerate(mine) if each.gate == gate), 0)
    return [each for each in [*mine[at:], *mine[:at]] if each.gate != gate]


def _unreadable(
    site: Site, who: str, found: Sequence[UnreadableCase]
) -> tuple[UnreadableCase, ...]:
    """The cases that cannot be read, of which somebody may know: of no agent, or of theirs."""
    known = site.directory.known() - site.directory.agents(who)
    return tuple(each for each in found if each.case.partition(":")[0] not in known)


def changes_mark(content: object) -> str:
    """What changes when the content does."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]
