"""What was right and wrong about payments, by the truth that no agent sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from world.invoices.generate import Paper


@dataclass(frozen=True)
class Score:
    """Of papers that came in. `paid_wrong`: payments for one with a fault; EUR: what they cost.

    `as_written` is the baseline: whoever pays each paper that can be read as it is written.
    """

    papers: int
    clean: int
    clean_paid: int
    paid_wrong: int
    wrong_eur: Decimal
    paid_twice: int
    as_written: int
    as_written_eur: Decimal


def score(papers: Iterable[Paper], payments: Iterable[Mapping[str, Any]]) -> Score:
    """Judge the payments that stand."""
    known = {paper.id: paper for paper in papers}
    stand = [each for each in payments if each["status"] != "cancelled"]
    wrong = [each for each in stand if known[each["document"]].fault]
    clean = {paper.id for paper in known.values() if not paper.fault}
    twice = [n for n in Counter(each["order"] for each in stand).values() if n > 1]
    written = [p for p in known.values() if p.fault and p.fault not in {"cut off", "no date"}]
    return Score(
        papers=len(known),
        clean=len(clean),
        clean_paid=len(clean & {each["document"] for each in stand}),
        paid_wrong=len(wrong),
        wrong_eur=sum((Decimal(each["amount"]) for each in wrong), Decimal(0)),
        paid_twice=len(twice),
        as_written=len(written),
        as_written_eur=sum((paper.order.total for paper in written), Decimal(0)),
    )
