"""The alerts agent's systems: the plant's Alertmanager, its register, and the desk's Roundup."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import httpx2

from activities.alerts_causes import Known, Plant
from activities.alerts_facts import Alarm, Cause, OfCause
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


async def causes(site: str) -> list[Known]:
    """The causes that the desk knows of, with the alarms that are noted."""
    abouts, words = dict[str, str](), dict[str, set[str]]()
    for note in await _kept("note", site):
        about_, *alarms = note["about"].split("\n")
        abouts[note["message"]] = about_
        words.setdefault(note["message"], set()).update(alarms)
    issues = {issue["message"]: issue for issue in await _kept("issue", site)}
    abouts |= {name: issue["about"] for name, issue in issues.items()}
    return [
        Known(
            cause=_cause(name, about_),
            noted=frozenset(words.get(name, ())),
            closed=name in issues and issues[name]["queue"] == "closed",
            due=name not in issues,
        )
        for name, about_ in abouts.items()
    ]


async def _kept(kind: str, site: str) -> list[dict[str, str]]:
    found = await filed(kind, owner(site), "message,about,queue")
    return [each for each in found if each["queue"] != "withdrawn"]


def about(cause: OfCause) -> str:
    """What the desk keeps of a cause, to be read again."""
    return f"{cause.root} {cause.kind} {cause.severity} {cause.since.astimezone(UTC).isoformat()}"


def _cause(name: str, about_: str) -> Cause:
    root, kind, severity, since = about_.split(" ")
    said = {"id": name, "root": root, "kind": kind, "severity": severity}
    return Cause.model_validate(said | {"since": datetime.fromisoformat(since)})
