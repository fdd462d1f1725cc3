"""The maintenance agent's systems: how they are asked, windows as iCalendar, what was learnt."""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from activities.maintenance_risk import HOURS, Ended, Judge, Life, filled, learn, load
from handrail import Final

_WHERE = {
    "PLANT": "http://127.0.0.1:8540",
    "CALENDAR": "http://plant:plant@127.0.0.1:8541/plant/maintenance/",
    "STORES": "http://127.0.0.1:8542",
    "DISPATCH": "http://127.0.0.1:8560",
}
_PATIENCE = 10.0
GONE = frozenset({404, 410})


def where(system: str) -> str:
    """The URL of a system: PLANT, CALENDAR, STORES or DISPATCH."""
    return os.environ.get(f"MAINTENANCE_{system}_URL") or _WHERE[system]


async def call(
    system: str, method: str, path: str, allow: AbstractSet[int] = frozenset(), **more: Any
) -> httpx2.Response:
    """Ask a system.

    Raises:
        Final: if it declines: it did nothing then.
        httpx2.HTTPError: if it cannot answer now; a write may have happened or not.
    """
    async with httpx2.AsyncClient(timeout=_PATIENCE) as client:
        answer = await client.request(method, where(system) + path, **more)
    if answer.is_client_error and answer.status_code not in {*allow, 408, 425, 429}:
        raise Final(f"{system.lower()} answered {answer.status_code}: {answer.text[:200]}")
    if answer.status_code not in allow:
        answer.raise_for_status()
    return answer


def uid_of(key: str) -> str:
    """The name of a window in the calendar: of one effect, and of no other."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def compose(machine: int, part: str, start: datetime, uid: str) -> str:
    """A window as iCalendar: the same window and name give the same text."""
    begins, ends = (f"{t:%Y%m%dT%H%M%SZ}" for t in (start, start + timedelta(hours=4)))
    lines = (
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Handrail//maintenance//EN", "BEGIN:VEVENT"),
        *(f"UID:{uid}", f"DTSTAMP:{begins}", f"DTSTART:{begins}", f"DTEND:{ends}"),
        f"SUMMARY:{'Inspection' if part == 'inspection' else f'New {part}'}",
        f"LOCATION:machine {machine}",
        *("END:VEVENT", "END:VCALENDAR", ""),
    )
    return "\r\n".join(lines)


_EVENT = re.compile(r"BEGIN:VEVENT(.*?)END:VEVENT", re.DOTALL)
_LINE = re.compile(r"^(UID|DTSTART|SUMMARY|LOCATION)[^:\r\n]*:(.*?)\r?$", re.MULTILINE)


def parse_calendar(text: str) -> list[dict[str, Any]]:
    """The windows in a calendar; what a planner put in for other ends is not ours to read."""
    found: list[dict[str, Any]] = []
    for event in _EVENT.findall(text):
        said: dict[str, str] = dict(_LINE.findall(event))
        part = re.fullmatch(r"New (bearing|seal|motor)|Inspection", said.get("SUMMARY", ""))
        machine = re.fullmatch(r"machine (\d+)", said.get("LOCATION", ""))
        start = re.fullmatch(r"(\d{8}T\d{6})Z", said.get("DTSTART", ""))
        if part and machine and start:
            at = datetime.strptime(start[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            name = said.get("UID", "")
            found.append(
                {
                    "uid": name,
                    "machine": int(machine[1]),
                    "part": part[1] or "inspection",
                    "start": at,
                }
            )
    return found


def arrays(answer: httpx2.Response) -> Any:
    """The arrays of an answer of the plant."""
    return np.load(io.BytesIO(answer.content), allow_pickle=False)


def archive() -> list[Life]:
    """The histories of machines that were, with their failures."""
    answer = httpx2.get(where("PLANT") + "/archive", timeout=60)
    kept = arrays(answer.raise_for_status())
    seen = kept["readings"].astype(float)
    failed = list(zip(kept["failed"].tolist(), kept["parts"].tolist(), strict=True))
    return [
        Life(
            filled(seen[:, machine])[0],
            [Ended(at, part, bool(sudden)) for (m, at, sudden), part in failed if m == machine],
        )
        for machine in range(seen.shape[1])
    ]


# What was learnt

_learning = threading.Lock()
_known: dict[Path, Judge] = {}


def learnt() -> Judge:
    """What was learnt before, or is learnt now from the plant's archive; once for a process."""
    path = Path(os.environ.get("MAINTENANCE_MODEL") or "maintenance.model")
    with _learning:
        if path not in _known:
            if not path.exists():
                learn(archive(), HOURS).save(path)
            _known[path] = load(path)
        return _known[path]
