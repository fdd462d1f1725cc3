"""The alerts agent's systems: the plant's Alertmanager, its register, and the desk's Roundup."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2

from activities.alerts_causes import Known, Plant
from activities.alerts_facts import Alarm, Cause
from activities.desk import filed
from activities.support_systems import PATIENCE, content

ALERTS_URL = "http://127.0.0.1:8590"
"""Where Alertmanager and the register are when `ALERTS_URL` does not say."""


def owner(site: str) -> str:
    """Whose the issues and notes of a site are, at the desk."""
    return f"alerts/{site}"


def alerts_url() -> str:
    """Where the plant's Alertmanager is."""
    return os.environ.get("ALERTS_URL") or ALERTS_URL


async def ask(path: str, **params: str) -> Any:
    """Read from Alertmanager or the register."""
    async with httpx2.AsyncClient(base_url=alerts_url(), timeout=PATIENCE.total_seconds()) as plant:
        return content(await plant.get(path, params=params))


async def plant_of(site: str) -> Plant:
    """What feeds what at a site."""
    return Plant.model_validate({"feeds": await ask(f"/register/{site}")})


async def ringing(site: str) -> list[Alarm]:
    """The alarms of a site that ring now."""
    found = await ask("/api/v2/alerts", filter=f'site="{site}"')
    return [Alarm.model_validate(each) for each in found]


async def noted(site: str) -> dict[str, frozenset[str]]:
    """The alarms that are noted at the desk, by their causes; also where the issue is still due."""
    found = dict[str, set[str]]()
    for note in await filed("note", owner(site), "message,about,queue"):
        if note["queue"] != "withdrawn":
            found.setdefault(note["message"], set()).update(note["about"].split("\n"))
    return {cause: frozenset(words) for cause, words in found.items()}


async def causes(site: str, said: Mapping[str, frozenset[str]]) -> list[Known]:
    """The causes that have an issue, with the alarms that are noted."""
    return [
        Known(
            cause=_cause(issue),
            noted=said.get(issue["message"], frozenset()),
            closed=issue["queue"] == "closed",
        )
        for issue in await filed("issue", owner(site), "message,about,queue")
        if issue["queue"] != "withdrawn"
    ]


def about(cause: Cause) -> str:
    """What an issue keeps of its cause, to be read again."""
    return f"{cause.root} {cause.kind} {cause.severity} {cause.since.astimezone(UTC).isoformat()}"


def _cause(issue: dict[str, Any]) -> Cause:
    root, kind, severity, since = issue["about"].split(" ")
    return Cause.model_validate(
        {
            "id": issue["message"],
            "root": root,
            "kind": kind,
            "severity": severity,
            "since": datetime.fromisoformat(since),
        }
    )
