"""What became of the lines of a month, held against the truth of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from world.reconciliation.month import BREAKS, Month


@dataclass
class Score:
    """By kind of line: how many there were, and how many were posted to an item."""

    lines: Counter[str] = field(default_factory=Counter[str])
    posted: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    missed: list[str] = field(default_factory=list[str])
    """Breaks that nobody hears of."""

    @property
    def alone(self) -> float:
        """The share of lines that no person had to touch."""
        return self.posted.total() / max(1, self.lines.total())


def score(month: Month, postings: Iterable[Mapping[str, Any]], left: Iterable[str]) -> Score:
    """Judge postings to items that no person touched. `left`: items of which some is open.

    A posting is wrong whose item, amount or fee is another than of the truth. A break is missed
    where a line that pays nothing, too little or again is posted as if it were right; or where an
    item that is not paid does not stand open.
    """
    found, still = Score(Counter(line.kind for line in month.truth.values())), set(left)
    seen: dict[str, int] = {}
    for each in postings:
        place = (each["statement"], int(each["line"]))
        line = month.truth.get(place)
        right = (line.invoice, line.amount, line.fee) if line else None
        if right != (each["invoice"], Decimal(each["amount"]), Decimal(each["fee"])):
            found.wrong.append(f"{place}: {each['invoice']}, and not {right}")
            continue
        kind = line.kind if line else ""
        found.posted[kind] += 1
        seen[each["invoice"]] = seen.get(each["invoice"], 0) + 1
        if kind in BREAKS - {"paid twice"} or (kind == "paid twice" and seen[each["invoice"]] > 1):
            found.missed.append(f"{place}: {kind}")
    found.missed += [
        f"{each.id}: {each.kind}"
        for each in month.invoices
        if each.kind in {"unpaid", "short"} and each.id not in still
    ]
    return found
