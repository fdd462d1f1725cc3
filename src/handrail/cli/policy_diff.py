"""What `handrail policy diff` shows: which writes another policy would have judged otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from handrail.cli.output import label, moment, plain
from handrail.client import iso
from handrail.evidence import Outlook, ReplayedWrite, VerdictChange, verdict_changes
from handrail.policy import Policy, Types

if TYPE_CHECKING:
    from handrail.runtime import Agent


_KINDS = ("pass", "hold", "refuse", "pilot", "stop")

_STYLES = {"pass": "green", "hold": "yellow", "refuse": "red", "pilot": "cyan", "stop": "magenta"}

UNKNOWN: tuple[str, ...] = (
    "data checks and what was found unusual are taken as they were found then",
    "what held counts as written where people let it pass then, with what they had amended",
    "the autonomy that was set at run time is taken as it is now; stops are left out",
)
"""What a comparison cannot know."""


class BacktestReport:
    """What came of a comparison."""

    def __init__(
        self,
        owner: Agent,
        policies: tuple[Policy, Policy],
        since: datetime,
        replayed: Sequence[ReplayedWrite],
        *,
        unreadable: int,
        limit: int,
    ) -> None:
        self.owner = owner
        self.before, self.after = policies
        self.since = since
        self.replayed = replayed
        self.unreadable = unreadable
        self.moved = verdict_changes(replayed, self._numbers)
        self.changed = [each for each in replayed if each.changed]
        self.shown = self.changed[-limit:] if limit > 0 else []
        self.otherwise = sum(
            not each.changed and not each.before.same(each.after) for each in replayed
        )

    def _numbers(self, step: str) -> Sequence[str]:
        write = self.owner.shape.writes[step]
        return Types(write.action, write.evidence).numbers()

    def notes(self) -> list[str]:
        """What the comparison cannot know."""
        found = list(UNKNOWN)
        steps = {each.proposal.first.step for each in self.replayed}
        fresh = [s for s in steps if self.after.of(s).normal and not self.before.of(s).normal]
        if fresh:
            found.append(f"what would be unusual of {', '.join(sorted(fresh))} was not looked at")
        if self.unreadable:
            found.append(f"{self.unreadable} writes that today's code cannot read are left out")
        return found

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "agent": self.owner.name,
            "before": self.before.label,
            "after": self.after.label,
            "since": iso(self.since),
            "writes": len(self.replayed),
            "differ": len(self.changed),
            "other_reasons": self.otherwise,
            "matrix": [_moved(each) for each in self.moved],
            "cases": [_document(each) for each in self.shown],
            "notes": self.notes(),
        }

    def lines(self) -> list[Any]:
        """As a terminal shows it."""
        count = len(self.replayed)
        title = f"{self.before.label} -> {self.after.label}: {count} writes"
        found: list[Any] = [Text(f"{title} since {moment(self.since)}", "bold")]
        if count:
            found.append(_table(self.replayed))
        for each in self.shown:
            found.extend(_lines(each))
        hidden = len(self.changed) - len(self.shown)
        if hidden:
            found.append(Text(f"{hidden} older ones that differ are not shown (--limit)"))
        found.extend(_amounts(each) for each in self.moved if each.before != each.after)
        found.append(self._summary())
        found.extend(label("note", note) for note in self.notes())
        return found

    def _summary(self) -> Text:
        differ = len(self.changed)
        also = f"; {self.otherwise} the same for other reasons" if self.otherwise else ""
        text = f"{differ} would be decided otherwise{also}" if differ else f"none differs{also}"
        return Text(text, "yellow" if differ else "green")


def _moved(each: VerdictChange) -> dict[str, Any]:
    amounts = {name: str(amount) for name, amount in each.amounts.items()}
    said = {"before": each.before, "after": each.after, "writes": each.writes, "amounts": amounts}
    return said | {"units": dict(each.units)}


def _amounts(each: VerdictChange) -> Text:
    said = (
        f"{name} {amount:f} {each.units.get(name, '')}".rstrip()
        for name, amount in each.amounts.items()
    )
    sums, many = ", ".join(said), "1 write" if each.writes == 1 else f"{each.writes} writes"
    text = f"{each.before} -> {each.after}: {many}{f', {sums}' if sums else ''}"
    return Text(plain(text))


def _document(each: ReplayedWrite) -> dict[str, Any]:
    row = each.proposal.first
    return {
        "case": row.case,
        "step": row.step,
        "at": iso(row.at),
        "action": row.action,
        "before": _outlook(each.before),
        "after": _outlook(each.after),
        "decided": row.kind.value,
        "written": each.proposal.written is not None,
    }


def _outlook(look: Outlook) -> dict[str, Any]:
    return {"verdict": look.kind, "why": list(look.reasons)}


def _table(replayed: Sequence[ReplayedWrite]) -> Table:
    """How many went from which verdict, down, to which, across."""
    count = Counter((each.before.kind, each.after.kind) for each in replayed)
    used = [kind for kind in _KINDS if any(kind in pair for pair in count)]
    table = Table("before, after:", *used, box=None, pad_edge=False)
    for before in used:
        cells = [Text(str(count[before, after] or "-"), _bold(before, after)) for after in used]
        table.add_row(Text(before, _STYLES[before]), *cells)
    return table


def _bold(before: str, after: str) -> str:
    return "" if before == after else "bold"


def _lines(each: ReplayedWrite) -> list[Text]:
    row = each.proposal.first
    head = Text(f"\n{plain(row.case)} {row.step}  ")
    head.append(each.before.kind, _STYLES[each.before.kind]).append(" -> ")
    head.append(each.after.kind, _STYLES[each.after.kind])
    sides = (("before", each.before), ("after", each.after))
    said = [label(name, _why(look)) for name, look in sides]
    return [head, *said]


def _why(look: Outlook) -> str:
    return plain("; ".join(look.reasons)) or "nothing holds it"
