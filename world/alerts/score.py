"""What became of a day's faults, by the truth."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import NamedTuple

from world.alerts.plant import Day

Issues = Mapping[str, tuple[str, AbstractSet[tuple[str, datetime]]]]
"""Of each issue the component that it names, and its alarms: fingerprint and start."""


LATE = timedelta(minutes=15)


class Came(NamedTuple):
    """How a day's alarms were grouped."""

    alarms: int
    causes: int
    issues: int
    missed: int
    """Causes that no issue names, and that no issue has most of its alarms from."""
    masked: int
    """Causes of which nothing rang but what a larger one, on whose issue it is, would have made
    ring as well; and which were over when that was, or within `LATE` of it."""
    merged: int
    """Issues with alarms of several causes."""
    strayed: int
    """Alarms on an issue of another cause."""
    split: int
    """Causes with several issues."""
    rooted: int
    """Issues that name the component where the cause was."""
    unheard: int
    """Alarms on no issue."""


def judged(day: Day, issues: Issues) -> Came:
    """Judge the issues of a day."""
    truth = day.truth()
    of, on = dict[str, int](), dict[int, int]()
    merged = strayed = rooted = 0
    found = set[int]()
    for number, (root, alarms) in issues.items():
        counts = Counter(truth[each] for each in alarms)
        named = [each for each in counts if day.faults[each].root == root]
        most = named[0] if named else counts.most_common(1)[0][0]
        of[number] = most
        found.update(named or [most])
        on |= dict.fromkeys(counts, most)
        merged += len(counts) > 1
        strayed += counts.total() - counts[most]
        rooted += bool(named)
    lost = {number for number in range(len(day.faults)) if number not in found}
    masked = {each for each in lost if each in on and _masked(day, each, on[each])}
    heard = {each for _, alarms in issues.values() for each in alarms}
    return Came(
        alarms=len(truth),
        causes=len(day.faults),
        issues=len(issues),
        missed=len(lost - masked),
        masked=len(masked),
        merged=merged,
        strayed=strayed,
        split=sum(count > 1 for count in Counter(of.values()).values()),
        rooted=rooted,
        unheard=len(truth.keys() - heard),
    )


def _masked(day: Day, fault: int, larger: int) -> bool:
    rang = any(each.fault == fault and each.name == day.faults[fault].own for each in day.rings)
    return not rang and day.faults[fault].ends <= day.faults[larger].ends + LATE
