"""The alerts of an agent: what its owner was told of, what lasts still, and who is at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from handrail.exceptions import RequestError
from handrail.inbox.web.site import Site, sentence, signed_in, texts

if TYPE_CHECKING:
    from starlette.requests import Request

SHOWN = 50
"""Alerts that have ended which one page shows, the latest."""


@signed_in
async def alerts(request: Request, site: Site, who: str) -> Response:
    """What an agent's policy has its owner told of."""
    return await _page(request, site, who)


@signed_in
async def seen(request: Request, site: Site, who: str) -> Response:
    """Say that somebody has seen an alert and is at it, as whoever is signed in."""
    given, name = texts((await site.received(request, who))[0]), _named(request, site, who)
    found = await site.operator(who).alerts(name)
    alert = given.get("alert", "")
    if alert not in {each.id for each in found.alerts}:
        return await _page(request, site, who, "Nothing was noted: it has ended meanwhile.")
    try:
        await site.operator(who).acknowledge_alert(alert)
    except RequestError as error:
        return await _page(request, site, who, f"Nothing was noted: {sentence(error)}")
    return RedirectResponse(request.url_for("alerts", agent=name).path, 303)


def _named(request: Request, site: Site, who: str) -> str:
    """The agent that a path names.

    Raises:
        HTTPException: 404 if no policy of that agent names whoever asks.
    """
    name: str = request.path_params["agent"]
    if name not in site.directory.agents(who):
        raise HTTPException(404, "There is no agent of that name whose policy names you.")
    return name


async def _page(request: Request, site: Site, who: str, fault: str = "") -> Response:
    name = _named(request, site, who)
    found = (await site.operator(who).alerts(name, every=True)).alerts
    return site.page(
        request,
        "alerts.html",
        status=422 if fault else 200,
        agent=name,
        lasting=[(each, _links(site, each.cases)) for each in found if each.ended is None],
        ended=[each for each in found if each.ended is not None][: -SHOWN - 1 : -1],
        shown=SHOWN,
        fault=fault,
        token=site.token(request),
    )


def _links(site: Site, cases: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(case, site.run_url(case)) for case in cases]
