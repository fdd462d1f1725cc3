"""Queries of Temporal's list of cases that operators look at again and again."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel

from handrail.agent import OPEN_QUERY
from handrail.client.cases import ANY
from handrail.client.failing import BUSY_QUERY
from handrail.client.gates import quoted

_SOON = timedelta(hours=1)


class SavedView(BaseModel):
    """A query of Temporal's list, by name. `what`: what is in it."""

    name: str
    what: str
    query: str


def _problem(what: str) -> str:
    """What has a problem. Before `HandrailProblem` was there `HandrailRisk` said it, too."""
    return f"(HandrailProblem = '{what}' OR HandrailRisk = '{what}')"


def saved_views(now: datetime, agent: str | None = None) -> tuple[SavedView, ...]:
    """The views of one agent's cases, or of all.

    Raises:
        ImpossibleName: if there can be no such agent.
    """
    whose = "" if agent is None else f" AND HandrailAgent = {quoted(agent, 'agent')}"
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = f"CloseTime >= '{midnight.isoformat()}'"
    soon = f"HandrailDeadline < '{(now + _SOON).isoformat()}'"
    cases = (
        ("cases", "every case, without stewards and messages", ANY),
        ("open", "cases that have not ended", f"{ANY} AND {OPEN_QUERY}"),
        ("waiting", "cases that ask people", f"{ANY} AND {OPEN_QUERY} AND {_ASKS}"),
        ("expiring", "questions that end within the hour", f"{OPEN_QUERY} AND {_ASKS} AND {soon}"),
        ("busy", "cases at work: what is stuck is among them", f"{ANY} AND {BUSY_QUERY}"),
        ("failing code", "cases whose code fails again and again", f"{_PROBLEMS} AND {OPEN_QUERY}"),
        ("paused", "cases that people have paused", f"HandrailState = 'paused' AND {OPEN_QUERY}"),
        ("incidents", "cases with a write that is not as it should be", _problem("incident")),
        ("refused today", "cases that came to no write", f"{_NOT_DONE} AND {today}"),
        ("failed today", "cases that broke", f"HandrailState = 'failed' AND {today}"),
    )
    others = (
        ("undelivered", "messages that reached nobody", _problem("undelivered")),
        ("stopped", "stewards of what is stopped", _problem("stopped")),
    )
    found = [SavedView(name=n, what=w, query=f"{q}{whose}") for n, w, q in cases]
    return (*found, *(SavedView(name=n, what=w, query=q) for n, w, q in others))


_ASKS = "HandrailWaitingFor IS NOT NULL"
_PROBLEMS = "TemporalReportedProblems IS NOT NULL"
_NOT_DONE = "HandrailState IN ('refused', 'rejected', 'expired')"
