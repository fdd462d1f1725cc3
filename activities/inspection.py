"""The steps of the inspection agent: pass, hold or stop, image by image.

It reads the camera and writes to the controller of the lines (`INSPECTION_LINES_URL`). How likely a
part is bad say trees (`inspection_sight`), learnt once from labelled boards and kept in the file
`INSPECTION_MODEL`; whether a line is off says its chart (`inspection_chart`).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import override

from activities import inspection_sight as sight
from activities.inspection_chart import SUBGROUP, chart
from activities.inspection_systems import call, learnt, lines_url
from handrail import Action, Decision, Effect, Event, decide, read, write

MACHINES = {1: 4, 2: 11}
"""The machine of the plant that each line stands and falls with."""

Verdict = Literal["pass", "hold", "stop"]


class Part(Event):
    """The camera has taken the image of a part."""

    line: int = Field(ge=1, le=99)
    serial: int = Field(ge=1)
    at: AwareDatetime

    @property
    @override
    def key(self) -> str:
        return f"L{self.line}-{self.serial}"


class Seen(BaseModel, frozen=True):
    """What differs from the golden board."""

    rows: list[list[float]]
    boxes: list[sight.Box]
    fault: str = ""
    """Why nothing can be said of the images, if so."""


class Charted(BaseModel, frozen=True):
    """What the controller has of a line."""

    runs: bool
    faulty: list[tuple[int, bool]]
    """Parts that have a verdict, by serial, and whether they did not pass at first sight."""
    since: int
    """The part before which somebody last saw to its machine, or stopped it."""


class Sort(Action):
    """Say where a part goes: on, to the tray for a person, or out."""

    line: int
    serial: int
    verdict: Verdict


class Settle(Action):
    """Say where a part that is held goes."""

    line: int
    serial: int
    verdict: Literal["pass", "stop"]


class StopLine(Action):
    """Stop a line."""

    line: int
    serial: int
    reason: str


class Sight(BaseModel, frozen=True):
    """The evidence for a verdict: what rules and inspectors see."""

    risk: float
    patches: int
    readable: bool
    image: str
    """Where the scan is."""
    model: str
    """Digest of what the judgement was learnt by."""


class Signal(BaseModel, frozen=True):
    """The evidence for a stop: the chart's last point."""

    faults: int
    parts: int
    rules: list[str]
    machine: int
    runs: bool


def _at(line: int, serial: int) -> str:
    return f"/lines/{line}/parts/{serial}"


# Reading


@read
async def look(line: int, serial: int) -> Seen:
    """Fetch a part's two images, and see what differs."""
    paths = [f"{_at(line, serial)}/{which}" for which in ("golden", "scan")]
    golden, scan = [(await call("GET", path)).content for path in paths]
    try:
        found = await asyncio.to_thread(
            lambda: sight.patches(sight.read_image(golden), sight.read_image(scan))
        )
    except ValueError as error:
        return Seen(rows=[], boxes=[], fault=str(error))
    return Seen(rows=found.rows.tolist(), boxes=found.boxes)


@read
async def charted(line: int) -> Charted:
    """Read what the controller has of a line."""
    state = (await call("GET", f"/lines/{line}")).json()
    first: dict[int, bool] = {}
    for each in (await call("GET", f"/lines/{line}/verdicts")).json():
        first.setdefault(each["serial"], each["verdict"] != "pass")
    dealt = [*state["seen_to"], *(stop["serial"] for stop in state["stops"])]
    return Charted(runs=state["runs"], faulty=list(first.items()), since=max(dealt, default=0))


# Deciding


@decide(timeout=timedelta(minutes=3))
def judge(part: Part, seen: Seen) -> Decision[Sort, Sight]:
    """Pass what is as the golden board, stop what surely is not, hold the rest."""
    risk, evidence = _sighted(part, seen)
    verdict: Verdict = "pass"
    if seen.fault or sight.HOLD <= risk < sight.STOP:
        verdict = "hold"
    elif risk >= sight.STOP:
        verdict = "stop"
    why = seen.fault or f"{len(seen.boxes)} patches differ; a defect has a risk of {risk:.0%}"
    sure = 0.0 if seen.fault else max(risk, 1 - risk)
    action = Sort(line=part.line, serial=part.serial, verdict=verdict)
    return Decision(action=action, rationale=why, confidence=sure, evidence=evidence)


@decide(timeout=timedelta(minutes=3))
def propose(part: Part, seen: Seen) -> Decision[Settle, Sight]:
    """Say what a held part most likely is, for the inspector who rules on it."""
    risk, evidence = _sighted(part, seen)
    verdict: Any = "stop" if seen.fault or risk >= 0.5 else "pass"  # noqa: PLR2004  # likelier
    action = Settle(line=part.line, serial=part.serial, verdict=verdict)
    why = seen.fault or f"a defect has a risk of {risk:.0%}"
    return Decision(action=action, rationale=why, confidence=0.5, evidence=evidence)


def _sighted(part: Part, seen: Seen) -> tuple[float, Sight]:
    model = learnt()
    boxes = seen.boxes
    risks = model.risks(sight.Patches(boxes, np.array(seen.rows, dtype=float)))
    risk = round(float(max(risks, default=0.0)), 3)
    return risk, Sight(
        risk=risk,
        patches=len(boxes),
        readable=not seen.fault,
        image=f"{lines_url()}{_at(part.line, part.serial)}/scan",
        model=model.name,
    )


@decide
async def control(part: Part, has: Charted) -> Decision[StopLine, Signal]:
    """Stop the line if the chart's last point breaks a rule."""
    machine = MACHINES.get(part.line, part.line)
    points = [p for p in chart(has.faulty, has.since) if p.serial <= part.serial]
    if not points:
        none = Signal(faults=0, parts=0, rules=[], machine=machine, runs=has.runs)
        return Decision(action=None, rationale="no parts yet", confidence=1.0, evidence=none)
    last = points[-1]
    signal = Signal(
        faults=last.faults,
        parts=last.parts,
        rules=list(last.rules),
        machine=machine,
        runs=has.runs,
    )
    said = f"{last.faults} of {last.parts} did not pass: "
    if not last.rules:
        return Decision(action=None, rationale=said + "as usual", confidence=1.0, evidence=signal)
    why = said + ", ".join(last.rules)
    action = StopLine(line=part.line, serial=part.serial, reason=why)
    return Decision(action=action, rationale=why, confidence=1.0, evidence=signal)


def closes_point(part: Part) -> bool:
    """Whether a part is the last of a point of the chart."""
    return part.serial % SUBGROUP == 0


# Writing


async def _say(action: Sort | Settle, verdict: str, key: str) -> str:
    path, headers = f"{_at(action.line, action.serial)}/verdict", {"Idempotency-Key": key}
    answer = await call("PUT", path, json={"verdict": verdict}, headers=headers)
    return str(answer.json()["verdict"])


@write(idempotent=True)
async def hold_again(action: Sort, effect: Effect) -> None:
    """Send a part to the tray, whatever was said of it: a person looks."""
    await _say(action, "hold", effect.key)


@write(undo=hold_again, idempotent=True)
async def sort(action: Sort, effect: Effect) -> str:
    """Give a part's verdict, under the effect's key."""
    return await _say(action, action.verdict, effect.key)


@write(idempotent=True)
async def settle(action: Settle, effect: Effect) -> str:
    """Give the verdict of a part that was held; what a person settled stays."""
    return await _say(action, action.verdict, effect.key)


@write
async def stop_line(action: StopLine, effect: Effect) -> int:
    """Press the button. Neither key nor search: if its answer is lost, a human is asked."""
    del effect
    said = {"serial": action.serial, "reason": action.reason}
    return int((await call("POST", f"/lines/{action.line}/stop", json=said)).json()["id"])
