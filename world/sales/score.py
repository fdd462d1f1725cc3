"""What came of the pipelines, by the truth: silence, deals lost by it, stages and owners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from typing_extensions import override

from world.sales.pipeline import DAYS, START, TEAM, Deal, Noted, Now, advance, over, stage_of

IN_TIME = 3
"""Days within which a stale deal must have been spoken of."""

Limits = Mapping[str, Mapping[Any, int]]
"""Days after which a deal is stale, by pipeline and stage."""


class Came(NamedTuple):
    """What came of all deals in some days."""

    stale: int
    """Times that a deal was stale."""
    in_time: int
    lost: int
    """Customers who went elsewhere since nobody called."""
    ordered: int
    days: float
    """From the first talk to the customer's last word, on average."""

    @override
    def __str__(self) -> str:
        return (
            f"{self.in_time} of {self.stale} stale deals spoken of in time, {self.lost} lost by "
            f"silence, {self.ordered} orders, {self.days:.0f} days from first to last word"
        )


def came(
    deals: Sequence[Deal], notes: Mapping[str, Sequence[Noted]], limits: Limits, end: date
) -> Came:
    """Judge what was said until a day."""
    stale = in_time = lost = ordered = 0
    lengths: list[int] = []
    for deal in deals:
        had = sorted(notes[deal.code])
        for silence in silences(deal, had, limits, end):
            stale += 1
            in_time += silence <= IN_TIME
        if had and had[-1].day >= START and over(had):
            lost += had[-1].text.startswith("nobody called")
            ordered += had[-1].kind == "order"
            lengths.append((had[-1].day - deal.created).days)
    return Came(stale, in_time, lost, ordered, sum(lengths) / max(1, len(lengths)))


def silences(deal: Deal, had: Sequence[Noted], limits: Limits, end: date) -> list[int]:
    """For how long a deal was stale, each time that it was within the days played."""
    found: list[int] = []
    for number in range(len(had) + 1):
        before = had[:number]
        last = before[-1].day if before else deal.created
        if over(before):
            break
        stage = stage_of([each.kind for each in before])
        since = max(last + timedelta(days=limits[deal.pipeline][stage]), START)
        after = had[number] if number < len(had) else None
        talked = after is not None and not after.text.startswith("nobody called")
        spoken = after.day if after is not None and talked else date.max
        # Of what is stale too late to be judged nothing is said.
        if spoken > since and since <= end - timedelta(days=IN_TIME):
            found.append((spoken - since).days)
    return found


def without(deals: Sequence[Deal], days: int = DAYS) -> dict[str, list[Noted]]:
    """What is said from the first day to the last if nobody is reminded."""
    notes = {deal.code: list(deal.notes) for deal in deals}
    now = Now(notes, {deal.code: deal.owner for deal in deals})
    for number in range(1, days):
        for code, said in advance(deals, now, START + timedelta(days=number)).items():
            notes[code].append(said)
    return notes


def spread(owners: Mapping[str, str | None], deals: Sequence[Deal]) -> str:
    """How many open deals have no owner who is here, or one of elsewhere, and how uneven it is."""
    team = {each.code: each for each in TEAM if each.left is None and not each.lead}
    where = {deal.code: deal.territory for deal in deals}
    homeless = sum(owner not in team for owner in owners.values())
    strange = sum(
        team[owner].territory != where[code] for code, owner in owners.items() if owner in team
    )
    load = Counter(owners.values())
    gaps = [
        max(counts) - min(counts)
        for place in {each.territory for each in team.values()}
        if (counts := [load[each.code] for each in team.values() if each.territory == place])
    ]
    return f"{homeless} without, {strange} elsewhere, {max(gaps)} deals apart at most"
