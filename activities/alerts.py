"""The steps of the alerts agent, which has one issue for one cause of a plant's alarms.

It talks to the plant's Alertmanager and register over HTTP (`ALERTS_URL`), and to the desk's
Roundup (`SUPPORT_DESK_URL`, with the secret `DESK_PASSWORD`). Which alarms have one cause says
`alerts_causes`, by what feeds what and by when each began; no text of an alarm is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel

from activities.alerts_causes import Grouped, Known, grouped, outlasting
from activities.alerts_facts import (
    AddNote,
    Alarm,
    Cause,
    CloseIssue,
    Heard,
    Made,
    OpenIssue,
    Standing,
)
from activities.alerts_systems import about, causes, owner, plant_of, ringing
from activities.desk import SECRETS, change, filed, put_down, withdraw
from handrail import Decision, Effect, decide, read, write

HOLD = timedelta(minutes=3)
"""How long symptoms wait for the alarm of what may be behind them."""
LOOK = timedelta(minutes=1)
QUIET = timedelta(minutes=10)
"""How long nothing of a cause rings before its issue may be closed."""
A = TypeVar("A", OpenIssue, AddNote, CloseIssue)


class Pace(BaseModel, frozen=True):
    """How long the agent waits for what."""

    hold: timedelta
    look: timedelta
    quiet: timedelta


class Fresh(BaseModel, frozen=True):
    """Alarms of a cause that are not noted yet."""

    site: str
    cause: Cause
    alarms: tuple[str, ...]


class Round(BaseModel, frozen=True):
    """What a post comes to: causes that nobody works on, and alarms to note."""

    new: tuple[Cause, ...]
    fresh: tuple[Fresh, ...]
    waits: int


class Look(BaseModel, frozen=True):
    """How a cause stands. `issue`: whether it has one; `apart`: what rings on by itself."""

    issue: bool = False
    closed: bool = False
    active: int = 0
    noted: int = 0
    minutes: int = 0
    apart: tuple[Fresh, ...] = ()

    @property
    def calm(self) -> bool:
        """Whether nothing rings any more that hangs on the cause."""
        return self.issue and self.active == sum(len(each.alarms) for each in self.apart)


# Reading


@read
async def pace() -> Pace:
    """How long to wait; `ALERTS_SPEED` times faster where a plant is played."""
    speed = float(os.environ.get("ALERTS_SPEED") or 1)
    return Pace(hold=HOLD / speed, look=LOOK / speed, quiet=QUIET / speed)


@read(secrets=SECRETS)
async def listen(heard: Heard, settled: bool) -> Round:  # noqa: FBT001 - steps take arguments by place
    """Say which causes the alarms of a post have, with those that ring now and are at the desk."""
    known = await causes(heard.site)
    found = await _grouped(heard.site, heard.alarms, known, settled=settled)
    noted = frozenset[str]().union(*(each.noted for each in known))
    all_ = {each.id: each for each in (*found.new, *(each.cause for each in known))}
    fresh = [
        Fresh(site=heard.site, cause=all_[cause], alarms=words)
        for cause, alarms in found.by.items()
        if (words := tuple(each.words for each in alarms if each.words not in noted))
    ]
    return Round(new=found.new, fresh=tuple(fresh), waits=len(found.waits))


async def _grouped(
    site: str, heard: tuple[Alarm, ...], known: Sequence[Known], *, settled: bool
) -> Grouped:
    now = {each.words: each for each in (*heard, *await ringing(site))}
    return grouped(await plant_of(site), now.values(), known, settled=settled)


@read(secrets=SECRETS)
async def look(site: str, cause: str) -> Look:
    """How a cause stands by now."""
    known = await causes(site)
    active = (await _grouped(site, (), known, settled=True)).by.get(cause, ())
    issue = next((each for each in known if each.cause.id == cause), None)
    if issue is None or issue.due:
        return Look(active=len(active))
    since = issue.cause.since
    lasted = max((Alarm.began(each) for each in issue.noted), default=since) - since
    apart = outlasting(await plant_of(site), issue, active)
    return Look(
        issue=True,
        closed=issue.closed,
        active=len(active),
        noted=len(issue.noted),
        minutes=int(lasted / timedelta(minutes=1)),
        apart=tuple(
            Fresh(site=site, cause=other, alarms=tuple(alarm.words for alarm in members))
            for other, members in apart
        ),
    )


# Deciding


@decide
def open_as(site: str, cause: Cause, now: Look) -> Decision[OpenIssue, Standing]:
    """Say what the issue of a cause has in it."""
    action = OpenIssue(site=site, cause=cause.id, **cause.model_dump(exclude={"id"}))
    return _decided(action, cause, now, f"{cause.kind} at {cause.root}")


@decide
def note_as(fresh: Fresh) -> Decision[AddNote, Standing]:
    """Say what is noted on the issue of a cause."""
    of = fresh.cause.model_dump(exclude={"id"})
    action = AddNote(site=fresh.site, cause=fresh.cause.id, alarms=fresh.alarms, **of)
    why = f"{len(fresh.alarms)} alarms of {fresh.cause.kind} at {fresh.cause.root}"
    return _decided(action, fresh.cause, Look(noted=len(fresh.alarms)), why)


@decide
def close_as(site: str, cause: Cause, now: Look) -> Decision[CloseIssue, Standing]:
    """Close an issue of whose alarms none rings."""
    return _decided(
        CloseIssue(site=site, cause=cause.id), cause, now, "nothing of it rings any more"
    )


def _decided(action: A, cause: Cause, now: Look, why: str) -> Decision[A, Standing]:
    seen = now.model_dump(include={"active", "noted", "minutes"})
    evidence = Standing(severity=cause.severity, kind=cause.kind, **seen)
    return Decision(action=action, rationale=why, confidence=1, evidence=evidence)


# Writing


@write(idempotent=True, secrets=SECRETS)
async def withdraw_issue(action: OpenIssue, effect: Effect) -> None:
    """Mark an issue as withdrawn, if it is there."""
    await withdraw("issue", owner(action.site), effect)


@write(undo=withdraw_issue, idempotent=True, secrets=SECRETS)
async def open_issue(action: OpenIssue, effect: Effect) -> Made:
    """Open an issue under the effect's key, which Roundup takes once."""
    body = {
        "title": f"{action.kind} at {action.root} ({action.severity})",
        "message": action.cause,
        "about": about(action),
        "queue": "open",
        "status": "unread",
    }
    return Made(id=await put_down("issue", owner(action.site), body, effect.key))


@write(idempotent=True, secrets=SECRETS)
async def withdraw_note(action: AddNote, effect: Effect) -> None:
    """Mark a note as withdrawn, if it is there."""
    await withdraw("note", owner(action.site), effect)


@write(undo=withdraw_note, idempotent=True, secrets=SECRETS)
async def add_note(action: AddNote, effect: Effect) -> Made:
    """Note alarms under the effect's key, which Roundup takes once."""
    body = {
        "title": f"{len(action.alarms)} alarms of {action.kind} at {action.root}",
        "message": action.cause,
        "about": "\n".join([about(action), *action.alarms]),
        "queue": "noted",
    }
    return Made(id=await put_down("note", owner(action.site), body, effect.key))


@write(idempotent=True, secrets=SECRETS)
async def reopen_issue(action: CloseIssue, effect: Effect) -> None:
    """Open a closed issue again."""
    del effect
    for issue in await filed(
        "issue", owner(action.site), "id", message=action.cause, queue="closed"
    ):
        await change("issue", issue["id"], queue="open", status="chatting")


@write(undo=reopen_issue, idempotent=True, secrets=SECRETS)
async def close_issue(action: CloseIssue, effect: Effect) -> None:
    """Close an issue; what somebody changes meanwhile is theirs."""
    del effect
    for issue in await filed("issue", owner(action.site), "id", message=action.cause, queue="open"):
        await change("issue", issue["id"], queue="closed", status="resolved")
