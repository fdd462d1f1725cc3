"""Which alarms have one cause: by what feeds what in the plant, and by when each began.

An alarm either names a fault of its own component (a cause by itself), or a symptom that may come
from anything which feeds it. In doubt two causes are kept apart: two issues for one cause cost
somebody a minute, one issue for two causes hides one of them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from pydantic import BaseModel

from activities.alerts_facts import UNKNOWN, Alarm, Cause, Severity

SYMPTOMS = frozenset({"Down", "Slow", "Errors", "Starved", "Stale"})
"""Alarms that may come from elsewhere. What is not among them is a fault of its own component."""

HOP = timedelta(minutes=5)
"""Within which a fault shows at what its component feeds."""
SKEW = timedelta(minutes=2)
"""By how much the clocks of two alarms may differ."""
AGAIN = timedelta(minutes=30)
"""Within which an alarm that comes back is the same trouble."""
FARTHEST = 6
OUTLASTS = "outlasts"
_GRAVE: tuple[Severity, ...] = ("info", "warning", "critical")


class Plant(BaseModel, frozen=True):
    """What feeds what: for each component those that depend on it."""

    feeds: Mapping[str, tuple[str, ...]]

    @cached_property
    def fed_by(self) -> dict[str, dict[str, int]]:
        """For each component those that it depends on, and over how many edges."""
        found: dict[str, dict[str, int]] = {each: {} for each in self.feeds}
        for source in self.feeds:
            edge, hops = {source}, 0
            while edge and hops < FARTHEST:
                hops += 1
                reached = {fed for at in edge for fed in self.feeds.get(at, ())}
                edge = {each for each in reached if source not in found.setdefault(each, {})}
                for each in edge - {source}:
                    found[each][source] = hops
        return found


class Known(BaseModel, frozen=True):
    """A cause that has an issue: `noted` are the words of its alarms."""

    cause: Cause
    noted: frozenset[str] = frozenset()
    closed: bool = False
    due: bool = False
    """Its alarms are noted, and its issue is not there yet."""

    def takes(self, alarm: Alarm) -> bool:
        """Whether more alarms may be noted on it: on a closed one, none that rings."""
        return not self.closed or alarm.ends is not None


class Grouped(BaseModel, frozen=True):
    """Alarms by their causes. `new`: without an issue; `waits`: what may yet be explained."""

    by: Mapping[str, tuple[Alarm, ...]] = {}
    new: tuple[Cause, ...] = ()
    waits: tuple[Alarm, ...] = ()


def grouped(
    plant: Plant, alarms: Iterable[Alarm], known: Sequence[Known], *, settled: bool
) -> Grouped:
    """Say which cause each alarm has.

    `settled`: no more alarms are waited for, so that symptoms which nothing explains are causes.
    """
    new, left, by = list[Cause](), list[Alarm](), dict[str, list[Alarm]]()
    for alarm in sorted(set(alarms), key=operator.attrgetter("starts", "fingerprint")):
        cause = _noted(alarm, known)
        if cause is None and alarm.name not in SYMPTOMS:
            there = [*_taking(known, alarm), *new]
            cause = next((each for each in there if _same(alarm, each)), None)
            if cause is None:
                cause = _own(alarm)
                new.append(cause)
        if cause is None:
            left.append(alarm)
        else:
            by.setdefault(cause.id, []).append(alarm)
    waits = list[Alarm]()
    for alarm in left:
        cause = _nearest(plant, alarm, [*_taking(known, alarm), *new])
        waits.append(alarm) if cause is None else by.setdefault(cause, []).append(alarm)
    if settled:
        for each, members in _silent(plant, waits, "silent"):
            new.append(each)
            by.setdefault(each.id, []).extend(members)
        waits = []
    return Grouped(by={k: tuple(v) for k, v in by.items()}, new=tuple(new), waits=tuple(waits))


def _taking(known: Sequence[Known], alarm: Alarm) -> list[Cause]:
    return [each.cause for each in known if each.takes(alarm)]


def _noted(alarm: Alarm, known: Sequence[Known]) -> Cause | None:
    """The cause on whose issue it stands: itself, or as it rang a short while before."""
    exact = [each.cause for each in known if alarm.words in each.noted]
    if exact:
        return max(exact, key=lambda cause: cause.kind == OUTLASTS)
    for each in known:
        for words in each.noted if each.takes(alarm) else ():
            same = words.startswith(alarm.fingerprint)
            if same and abs(alarm.starts - Alarm.began(words)) <= AGAIN:
                return each.cause
    return None


def _same(alarm: Alarm, cause: Cause) -> bool:
    """Whether another fault of a component belongs to a cause that was found there."""
    at_root = alarm.component == cause.root and alarm.component != UNKNOWN
    return at_root and abs(alarm.starts - cause.since) <= AGAIN


def _own(alarm: Alarm) -> Cause:
    who = alarm.component if alarm.component != UNKNOWN else alarm.fingerprint
    return _cause(who, alarm.name, [alarm])


def _cause(root: str, kind: str, alarms: Sequence[Alarm]) -> Cause:
    first = min(each.starts for each in alarms)
    return Cause(
        id=f"{root}-{kind}-{first:%Y%m%dT%H%M%S}",
        root=root,
        kind=kind,
        severity=max(alarms, key=lambda each: _GRAVE.index(each.severity)).severity,
        since=first,
    )


def _nearest(plant: Plant, alarm: Alarm, causes: Sequence[Cause]) -> str | None:
    """The nearest cause that may be behind a symptom."""
    fits = [
        (hops, abs(alarm.starts - cause.since), cause.id)
        for cause in causes
        if (hops := _hops(plant, cause.root, alarm.component)) is not None
        and follows(alarm, cause.since, hops)
    ]
    return min(fits)[2] if fits else None


def _hops(plant: Plant, source: str, component: str) -> int | None:
    return 0 if source == component else plant.fed_by.get(component, {}).get(source)


def follows(alarm: Alarm, since: datetime, hops: int) -> bool:
    """Whether an alarm so many edges away begins when it would by a fault that began then."""
    return -SKEW <= alarm.starts - since <= hops * HOP + SKEW


def outlasting(
    plant: Plant, known: Known, rings: Sequence[Alarm]
) -> list[tuple[Cause, list[Alarm]]]:
    """The causes of symptoms that go on while nothing rings any more where their cause was.

    They began when its symptoms would, and so a fault of their own was taken for one of them.
    """
    root = known.cause.root
    if any(each.component == root for each in rings):
        return []
    rang = any(f" at {root} " in words for words in known.noted)
    return _silent(plant, rings, OUTLASTS) if rang else []


def _silent(plant: Plant, alarms: Sequence[Alarm], kind: str) -> list[tuple[Cause, list[Alarm]]]:
    """The causes of symptoms that no fault explains, each at the component they all hang on."""
    tops = dict[str, list[Alarm]]()
    for alarm in alarms:
        above = [
            (-hops, each.component)
            for each in alarms
            if (hops := _hops(plant, each.component, alarm.component)) is not None
            and follows(alarm, each.starts, hops)
        ]
        tops.setdefault(min(above)[1], []).append(alarm)
    return [
        (_cause(root, kind, members), members) for root, members in _joined(plant, tops).items()
    ]


def _joined(plant: Plant, tops: dict[str, list[Alarm]]) -> dict[str, list[Alarm]]:
    """Those that hang on one silent component are one, where all that it feeds has a symptom."""
    joined = dict(tops)
    for source, fed in sorted(plant.feeds.items()):
        if len(fed) < 2 or not set(fed) <= joined.keys():  # noqa: PLR2004 - one alone is no sign
            continue
        begun = [min(each.starts for each in joined[of]) for of in fed]
        if max(begun) - min(begun) <= HOP:
            joined[source] = [alarm for of in fed for alarm in joined.pop(of)]
    return joined
