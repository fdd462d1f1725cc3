"""Steps of an agent that rules on packages of hospital bills: code them, not, or delete them.

It learns counts from past rulings and nothing else. The log is any of the form of the billing log:
`events.csv.gz`, with a line for each event.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from typing_extensions import override

from handrail import Action, Decision, Effect, Event, decide, write
from handrail.actions import Wire
from handrail.testing import Outside

Ruling = Literal["CODE OK", "CODE NOK", "DELETE"]
RULINGS: dict[str, Ruling] = {"CODE OK": "CODE OK", "CODE NOK": "CODE NOK", "DELETE": "DELETE"}
_LEAST = 5
_STABLE = ("casetype", "speciality", "isclosed", "flagd", "blocked")


class Rule(Action):
    """Rule on a package of bills."""

    package: str
    ruling: Ruling


class Package(Event):
    """A package that waits for its ruling. `facts`: from the most to the least special."""

    number: str
    facts: tuple[str, ...]

    @property
    @override
    def key(self) -> str:
        return self.number


@dataclass(frozen=True)
class RuledPackage:
    """A package, and what people ruled, who and when."""

    package: Package
    ruling: Ruling
    by: str
    at: datetime


def ruled_packages(folder: Path) -> list[RuledPackage]:
    """Every case with a ruling, by the moment of its first one; of it only what was before."""
    found: list[RuledPackage] = []
    for case, events in _cases(folder):
        kinds = [each["activity"] for each in events]
        first = next((n for n, kind in enumerate(kinds) if kind in RULINGS), None)
        if first is not None:
            line = events[first]
            package = Package(number=case, facts=_facts(events[:first]))
            at = datetime.fromisoformat(line["timestamp"])
            found.append(RuledPackage(package, RULINGS[kinds[first]], line["resource"], at))
    return sorted(found, key=lambda each: (each.at, each.package.number))


def _cases(folder: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The events of each case in the order of their time; lines that are none are left out."""
    found: dict[str, list[tuple[datetime, dict[str, str]]]] = defaultdict(list)
    with gzip.open(folder / "events.csv.gz", "rt", encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        if lacking := {"case_id", "activity", "timestamp", "resource"} - {
            *(lines.fieldnames or ())
        }:
            raise ValueError(f"{folder}: the log has no column {', '.join(sorted(lacking))}")
        for line in lines:
            with contextlib.suppress(ValueError):
                if None not in line and None not in line.values():
                    at = datetime.fromisoformat(line["timestamp"])
                    found[line["case_id"]].append((at, line))
    for case, events in found.items():
        yield case, [line for _, line in sorted(events, key=lambda event: event[0])]


def _facts(events: list[dict[str, str]]) -> tuple[str, ...]:
    seen = [each["activity"] for each in events]
    known = {name: e[name] for e in events for name in (*_STABLE, "closecode") if e.get(name)}
    stable = "|".join(known.get(name, "") for name in _STABLE)
    last, steps = (seen[-1] if seen else ""), ">".join(seen[-4:])
    code = known.get("closecode", "")
    return (f"1{steps}|{stable}|{code}", f"2{steps}|{code}", f"3{steps}", f"4{last}", "5")


@dataclass(frozen=True)
class Coder:
    """What was learnt of past rulings, by facts."""

    counts: dict[str, Counter[Ruling]] = field(default_factory=lambda: defaultdict(Counter[Ruling]))

    @classmethod
    def learnt(cls, ruled: Iterable[RuledPackage]) -> Coder:
        coder = cls()
        for each in ruled:
            for fact in each.package.facts:
                coder.counts[fact][each.ruling] += 1
        return coder

    def rule(self, package: Package) -> tuple[Ruling, float]:
        """The commonest ruling under the most special facts that are known well, and its share."""
        for fact in package.facts:
            seen = self.counts.get(fact)
            if seen and seen.total() >= _LEAST:
                ruling, count = seen.most_common(1)[0]
                return ruling, count / seen.total()
        return "CODE OK", 0.0


def is_learnt_from(case: str) -> bool:
    """Whether a case is of the half that is learnt from; the other half is the measure."""
    return int(hashlib.sha256(f"half/{case}".encode()).hexdigest(), 16) % 2 == 0


coder = Coder()
"""What this process has learnt; tests fill it."""


class Seen(Wire):
    """What a proposal rests on."""

    facts: tuple[str, ...]


@decide
async def code(package: Package) -> Decision[Rule, Seen]:
    """What people would rule."""
    ruling, sure = coder.rule(package)
    action = Rule(package=package.number, ruling=ruling)
    seen = Seen(facts=package.facts)
    return Decision(action=action, rationale="as before", confidence=sure, evidence=seen)


@write(idempotent=True)
async def rule(action: Rule, effect: Effect) -> str:
    """Put the ruling into the books of the hospital."""
    return await Outside.current().put("billing", effect.key, action.model_dump(mode="json"))
