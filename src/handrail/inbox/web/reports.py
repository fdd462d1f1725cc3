"""The pages of an agent's owner: what it did, what it is worth, and the cases behind a figure.

What is reckoned stays for a minute, for the pages, the CSV and the print of one look. The head of
a page goes out before it is reckoned.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from handrail.evidence import figure_in_words, report_csv
from handrail.exceptions import InvalidRequest, LedgerUnavailable, NotFound
from handrail.inbox.web.plots import plots_of, spark, waterfall
from handrail.inbox.web.site import TEMPLATES, Site, signed_in

if TYPE_CHECKING:
    from starlette.requests import Request

    from handrail.evidence import AgentReport

KEPT = timedelta(minutes=1)
PERIODS = (7, 30, 90)


@dataclass
class ReportsKept:
    """The reports that were looked at in the last minute; of an agent one at a time is reckoned."""

    kept: dict[tuple[str, datetime], AgentReport] = field(
        default_factory=dict[tuple[str, datetime], "AgentReport"]
    )
    locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict[str, asyncio.Lock](asyncio.Lock)
    )

    async def report(self, site: Site, who: str, agent: str, since: datetime) -> AgentReport:
        """The report of an agent since a day.

        Raises:
            LedgerUnavailable: if the ledger cannot be read.
            NotFound: if it knows of no such agent.
        """
        async with self.locks[agent]:
            now = site.clock()
            self.kept = {k: r for k, r in self.kept.items() if now - r.made < KEPT}
            if (agent, since) not in self.kept:
                self.kept[agent, since] = await site.operator(who).report(agent, since)
            return self.kept[agent, since]


async def glance(request: Request, site: Site, who: str, agents: Iterable[str]) -> str:
    """What each of these agents did and brought in 30 days, on the page of all agents.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    since, found = _days_ago(site, 30), list[Any]()
    for name in agents:
        with contextlib.suppress(NotFound, InvalidRequest):
            found.append(await _kept(request).report(site, who, name, since))
    return TEMPLATES.get_template("_glance.html").render(
        reports=found, spark=spark, words=figure_in_words
    )


@signed_in
async def agent(request: Request, site: Site, who: str) -> Response:
    """What an agent did: the seven metrics, its own, and the plots."""
    return _page(request, site, who, "_report.html")


@signed_in
async def value(request: Request, site: Site, who: str) -> Response:
    """What an agent is worth."""
    return _page(request, site, who, "_value.html")


@signed_in
async def csv(request: Request, site: Site, who: str) -> Response:
    """The same figures for a spreadsheet."""
    name, since, _ = _asked(request, site, who)
    try:
        report = await _kept(request).report(site, who, name, since)
    except NotFound as error:
        raise HTTPException(404, str(error)) from None
    head = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}.csv"}
    # Spreadsheets take a file without a mark for one of their own old encodings.
    return Response(f"\ufeff{report_csv(report)}", media_type="text/csv", headers=head)


@signed_in
async def cases(request: Request, site: Site, who: str) -> Response:
    """The cases behind a figure."""
    name, since, days = _asked(request, site, who)
    which = request.query_params.get("which", "all")
    found = await site.operator(who).reported_cases(name, which, since)
    shown = [(each, site.run_url(each.case)) for each in found.cases]
    content: dict[str, Any] = {"agent": name, "which": which, "days": days, "since": since}
    return site.page(request, "report_cases.html", cases=shown, limit=found.limit, **content)


def _kept(request: Request) -> ReportsKept:
    state = request.app.state
    if not hasattr(state, "reports"):
        state.reports = ReportsKept()
    return state.reports


def _asked(request: Request, site: Site, who: str) -> tuple[str, datetime, int]:
    """Which agent, since which day, and how many days that is.

    Raises:
        HTTPException: 404 if no policy of that agent names whoever asks.
    """
    name: str = request.path_params["agent"]
    if name not in site.directory.agents(who):
        raise HTTPException(404, "There is no agent of that name whose policy names you.")
    said = request.query_params.get("days", "30")
    days = int(said) if said.isdecimal() and int(said) in PERIODS else 30
    return name, _days_ago(site, days), days


def _days_ago(site: Site, days: int) -> datetime:
    """Where a period of so many days begins that ends today."""
    today = site.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def _page(request: Request, site: Site, who: str, part: str) -> Response:
    name, since, days = _asked(request, site, who)
    content: dict[str, Any] = {"agent": name, "days": days, "periods": PERIODS, "part": part}

    async def reckoned() -> str:
        try:
            return rendered(part, await _kept(request).report(site, who, name, since), days)
        except NotFound:
            return TEMPLATES.get_template("_no_report.html").render(agent=name)
        except InvalidRequest as error:
            raise LedgerUnavailable(str(error)) from error

    return site.streamed(request, "report.html", reckoned, **content)


def rendered(part: str, report: AgentReport, days: int | None = None) -> str:
    """One part of a page: `_report.html` or `_value.html`. `days`: links to cases, of so many."""
    base = f"/agents/{quote(report.agent, safe='')}"

    def link(which: str) -> str | None:
        return None if days is None else f"{base}/cases?{urlencode({'which': which, 'days': days})}"

    return TEMPLATES.get_template(part).render(
        report=report,
        value=report.value,
        plots=plots_of(report),
        waterfall=waterfall(report.value) if report.value.net is not None else None,
        words=figure_in_words,
        link=link,
        base=base if days else None,
        days=days,
    )


def page_alone(report: AgentReport) -> str:
    """A report as one file, without anything beside it."""
    template = TEMPLATES.get_template("report_alone.html")
    return template.render(report=report, parts=[rendered(p, report) for p in _BOTH], css=_css())


_BOTH = ("_report.html", "_value.html")


def _css() -> str:
    from importlib.resources import files  # noqa: PLC0415  # for a file alone

    return files("handrail.inbox.web").joinpath("static/inbox.css").read_text("utf-8")
