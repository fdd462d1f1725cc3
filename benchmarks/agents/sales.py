"""The sales agent's rules on pipelines that nobody looked at, or on a folder of one's own.

``python -m benchmarks.agents.sales [FOLDER] [--seeds N] [--deals N] [--days N]``. Without a folder
generated pipelines are played day by day, with the agent's deciding step (unchanged) and without
it, on the same fates. A folder holds `deals.csv` (code, created, amount, state, probability,
postal_code, owner) and `notes.csv` (code, note): of it is said what the rules find on `--on DAY`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from activities.sales import next_step
from activities.sales_facts import Assign, Close, FollowUp, Move, Remind, Situation, Visit
from activities.sales_rules import (
    PROBABILITY,
    STALE,
    Deal,
    Note,
    Rep,
    Stage,
    Task,
    behind,
    due,
    note,
    territory,
    touched,
)
from benchmarks.agents import run
from world.folders import rows_of, set_aside
from world.sales import pipeline, score
from world.sales.pipeline import START, TEAM, Noted, Now, advance

HEAD = (
    "| | stale, spoken of in time | lost by silence | orders | days to the last word "
    "| stages right | owners | asked to close |"
)


_WIDTH, _HEIGHT, _EDGE, _FOOT, _LONGEST = 640, 240, 40, 30, 10


class Play:
    """Pipelines in memory, as the CRM and the calendars would have them."""

    def __init__(self, deals: Sequence[pipeline.Deal]) -> None:
        self.truth = deals
        self.notes = {deal.code: list(deal.notes) for deal in deals}
        self.deals = {deal.code: seen(deal) for deal in deals}
        self.tasks: list[Task] = []
        self.mailed: set[str] = set()
        self.asked_to_close: set[str] = set()

    async def days(self, days: int) -> None:
        """A round each day, and in between what people say."""
        for number in range(days):
            on = START + timedelta(days=number)
            if number:
                self._next(on)
            for code in self.deals:
                await self._deal(Visit(on=on, pipeline="all"), code)

    async def _deal(self, visit: Visit, code: str) -> None:
        """What the workflow does, with memory for its systems."""
        after = None
        while True:
            deal = self.deals[code]
            own = [task for task in self.tasks if task.deal == code]
            found = Situation(deal=deal, reps=self.reps(), tasks=own)
            decision = await next_step(visit, found, after)
            match decision.action:
                case Assign(owner=owner):
                    self.deals[code] = deal.model_copy(update={"owner": owner, "left": None})
                case Move(to=to):
                    self.deals[code] = deal.model_copy(update=clicked(to))
                case Remind(calendar=calendar, due=by):
                    self.tasks.append(Task(deal=code, calendar=calendar, due=by))
                case FollowUp():
                    self.mailed.add(code)
                case Close():
                    self.asked_to_close.add(code)
                    return
                case None:
                    return
            after = decision.evidence.what

    def _next(self, day: date) -> None:
        owners = {code: deal.owner for code, deal in self.deals.items()}
        asked = {
            code: {t.calendar for t in self.tasks if t.deal == code and t.due > touched(deal)}
            for code, deal in self.deals.items()
        }
        now = Now(self.notes, owners, asked, self.mailed)
        for code, said in advance(self.truth, now, day).items():
            self.notes[code].append(said)
            had = tuple(known(self.notes[code]))
            self.deals[code] = self.deals[code].model_copy(update={"notes": had})
            self.mailed.discard(code)

    def reps(self) -> list[Rep]:
        """The team, with what each has."""
        load = Counter(deal.owner for deal in self.deals.values())
        return [rep(each, load[each.code]) for each in TEAM]


def rep(each: pipeline.Seller, deals: int) -> Rep:
    """Somebody of the team as the agent reads them."""
    of = each._asdict() | {"territory": each.territory or None, "deals": deals}
    return Rep.model_validate(of)


def known(notes: Sequence[Noted]) -> list[Note]:
    """What the agent reads of some notes."""
    found = (note(f"{each.day} {each.kind}: {each.text}") for each in notes)
    return [each for each in found if each]


def clicked(stage: Stage) -> dict[str, object]:
    """What the CRM has of a stage."""
    state = "lead" if stage == "new" else "opportunity"
    return {"state": state, "probability": PROBABILITY[stage]}


def seen(deal: pipeline.Deal) -> Deal:
    """A deal as the agent reads it."""
    left = next((each.left for each in TEAM if each.code == deal.owner), None)
    stage: Stage = next(each for each in PROBABILITY if each == deal.stage)
    return Deal(
        code=deal.code,
        pipeline=deal.pipeline,
        created=deal.created,
        amount=Decimal(deal.amount),
        territory=territory(deal.postal_code),
        owner=deal.owner,
        left=left,
        mail=deal.mail,
        notes=tuple(known(deal.notes)),
    ).model_copy(update=clicked(stage))


def row(
    name: str,
    came: score.Came,
    right: tuple[int, int],
    owners: tuple[Mapping[str, str | None], Sequence[pipeline.Deal]],
    asked: str,
) -> str:
    """The figures, as a row of a table."""
    cells = [
        name,
        f"{came.in_time} of {came.stale} ({came.in_time / max(1, came.stale):.0%})",
        str(came.lost),
        str(came.ordered),
        f"{came.days:.1f}",
        f"{right[0]} of {right[1]}",
        score.spread(*owners),
        asked,
    ]
    return f"| {' | '.join(cells)} |"


async def compared(seed: int, deals: int, days: int) -> list[str]:
    """A seed, with the agent and without."""
    made = pipeline.made(seed, deals)
    play, end = Play(made), START + timedelta(days=days - 1)
    await play.days(days)
    before = {deal.code: seen(deal) for deal in made}
    alone = score.without(made, days)
    rows: list[str] = []
    for name, notes, state, asked in (
        (f"seed {seed}, without", alone, before, "-"),
        (f"seed {seed}, agent", play.notes, play.deals, str(len(play.asked_to_close))),
    ):
        now = [d.model_copy(update={"notes": tuple(known(notes[d.code]))}) for d in state.values()]
        right = sum(behind(deal) is None for deal in now)
        came = score.came(made, notes, STALE, end)
        owners = {deal.code: deal.owner for deal in state.values()}
        rows.append(row(name, came, (right, len(now)), (owners, made), asked))
    return rows


def picture(silences: Mapping[str, Sequence[int]]) -> str:
    """Of the deals that were stale, the share spoken of within so many days, by name of the way."""
    step, low = (_WIDTH - 2 * _EDGE - 120) / _LONGEST, _HEIGHT - _FOOT
    tall = low - 40
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_EDGE}" y="18">Stale deals spoken of, by days since they were stale</text>',
        f'<path d="M{_EDGE} 40V{low}H{_EDGE + step * _LONGEST:.1f}" stroke="#222" fill="none"/>',
    ]
    for days in range(0, _LONGEST + 1, 2):
        x = _EDGE + days * step
        parts.append(f'<text x="{x:.1f}" y="{low + 16}" text-anchor="middle">{days}</text>')
    for share in (0, 0.5, 1):
        y = low - share * tall
        parts.append(f'<text x="{_EDGE - 5}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for (name, found), colour in zip(silences.items(), ("#9db8cc", "#2f6f9f"), strict=True):
        at = [sum(each <= d for each in found) / max(1, len(found)) for d in range(_LONGEST + 1)]
        points = [(_EDGE + d * step, low - each * tall) for d, each in enumerate(at)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{points[-1][0] + 8:.1f}" y="{points[-1][1] + 4:.1f}">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


async def drawn(seeds: Sequence[int], deals: int, days: int) -> str:
    """The picture of some seeds."""
    found: dict[str, list[int]] = {"nobody reminded": [], "with the agent": []}
    end = START + timedelta(days=days - 1)
    for seed in seeds:
        made = pipeline.made(seed, deals)
        play = Play(made)
        await play.days(days)
        for name, notes in zip(found, (score.without(made, days), play.notes), strict=True):
            for deal in made:
                found[name] += score.silences(deal, sorted(notes[deal.code]), STALE, end)
    return picture(found)


def of_folder(folder: Path, on: date) -> list[str]:
    """What the rules find due in a pipeline of one's own."""
    said: dict[str, list[Note]] = {}
    unread = 0
    for _, line in rows_of(folder / "notes.csv", "code", "note"):
        told = note(line["note"])
        unread += told is None
        said.setdefault(line["code"], []).extend([told] if told else [])
    found = Counter[str]()
    columns = ("code", "created", "amount", "state", "probability", "postal_code", "owner")
    for where, line in rows_of(folder / "deals.csv", *columns):
        try:
            deal = _deal(line, said.pop(line["code"], []))
        except (ValueError, ArithmeticError):
            set_aside(where, f"it is no deal: {', '.join(line.values()):.80}")
            continue
        what = due(deal, [], "", on)
        found[what.what if what else "nothing"] += 1
    for code in said:
        set_aside("notes.csv", f"{code} is no deal of deals.csv")
    return [f"| {what} | {count} |" for what, count in sorted(found.items())] + [
        f"| notes that cannot be read | {unread} |"
    ]


def _deal(line: Mapping[str, str], notes: Sequence[Note]) -> Deal:
    """A line of a pipeline of one's own."""
    return Deal.model_validate(
        {
            "code": line["code"],
            "pipeline": line["code"].partition("-")[0],
            "created": date.fromisoformat(line["created"]),
            "amount": Decimal(line["amount"] or 0),
            "state": line["state"],
            "probability": float(line["probability"]),
            "territory": territory(line["postal_code"]),
            "owner": line["owner"] or None,
            "notes": tuple(notes),
        }
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description="The sales agent's rules, played in memory.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--on", type=date.fromisoformat, default=START)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--deals", type=int, default=200)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--svg", type=Path, help="write how long silence lasts as a picture")
    given = parser.parse_args(arguments)
    if given.folder:
        print("\n".join(["| due | deals |", "|---|---|", *of_folder(given.folder, given.on)]))
        return
    seeds = range(101, 101 + given.seeds)
    if given.svg:
        given.svg.write_text(asyncio.run(drawn(seeds, given.deals, given.days)))
    rows = [each for seed in seeds for each in asyncio.run(compared(seed, given.deals, given.days))]
    print("\n".join([HEAD, "|---" * HEAD.count(" | ") + "|---|", *rows]))


if __name__ == "__main__":
    run(main)
