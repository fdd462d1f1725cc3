"""How the inspection agent's eye is learnt anew: from boards on which inspectors drew boxes."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from activities import inspection_sight as sight
from activities.inspection import Part, Seen, Sort, judge
from activities.inspection_systems import Board, archive, boards, call, learnt, lines_url
from activities.learners import Learner, held_back
from handrail.actions import as_json
from handrail.evidence import ChosenAction, PastDecision

Dated = list[tuple[date, Board]]


async def _looked_at(until: date) -> Dated:
    """The boards of the days until then, the oldest first."""
    days = [date.fromisoformat(day) for day in (await call("GET", "/days")).json()]
    made: Dated = []
    for day in (day for day in days if day <= until):
        found = await asyncio.to_thread(_of_day, lines_url(), day)
        made += [(day, each) for each in found]
    return made


@functools.cache
def _of_day(url: str, day: date) -> list[Board]:
    del url
    return boards(f"/days/{day}")


async def learn(until: date) -> bytes:
    """What is known of patches: of the archive's, and of those that were looked at until a day."""
    known = [
        (each.found, each.boxes)
        for _, each in await _looked_at(until)
        if each.boxes is not None and not held_back(each.name)
    ]
    return await asyncio.to_thread(lambda: sight.packed(sight.labelled([*archive(), *known])))


async def seen(until: date) -> list[tuple[date, dict[str, Any]]]:
    """How boards look to the eye in use: what it would say, and how much differs."""
    model = await asyncio.to_thread(learnt)
    return [(day, _look(model, each.found)) for day, each in await _looked_at(until)]


def _look(model: sight.Judge, found: sight.Patches) -> dict[str, Any]:
    risk = float(max(model.risks(found), default=0.0))
    noise, area = (found.rows[:, :2].max(axis=0) if found.boxes else np.zeros(2)).tolist()
    return {
        "verdict": "pass" if risk < sight.HOLD else "hold" if risk < sight.STOP else "stop",
        "patches": len(found.boxes),
        "largest patch": int(area),
        "rough edges": round(noise, 3),
    }


async def past(until: date) -> list[tuple[date, PastDecision]]:
    """Boards that nothing is learnt from, and where inspectors had them go."""
    found: list[tuple[date, PastDecision]] = []
    for day, each in await _looked_at(until):
        if each.boxes is None or not held_back(each.name):
            continue
        line, serial = map(int, each.name.split("-"))
        shift = datetime.combine(day, time(), UTC) + timedelta(hours=12)
        part = Part(line=line, serial=serial, at=shift)
        looks = Seen(rows=each.found.rows.tolist(), boxes=each.found.boxes)
        people = Sort(line=line, serial=serial, verdict="stop" if each.boxes else "pass")
        given = {"part": as_json(part), "seen": as_json(looks)}
        chose = PastDecision(
            case=f"inspection:{part.key}", given=given, people=ChosenAction.of(people)
        )
        found.append((day, chose))
    return found


def acts(choice: ChosenAction) -> bool:
    """Whether it passes or stops a part: all but to put it on the tray, where a person looks."""
    return (choice.action or {}).get("verdict") != "hold"


INSPECTION = Learner("inspection", judge, learn=learn, seen=seen, past=past, acts=acts)
