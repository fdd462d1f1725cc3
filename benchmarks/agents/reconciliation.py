"""The reconciliation agent's matching on seeded months, or on a folder of statements in MT940.

``python -m benchmarks.agents.reconciliation [FOLDER] [--months 5] [--seed N] [--svg FILE]``: so
many months are played day by day, each line as soon as its statement is there; of a folder each of
its files (``*.sta``) is read instead, and its lines held against empty books. What reads and
matches is the agent's own code, unchanged.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

from activities.reconciliation_match import Item, Match, match
from activities.reconciliation_statements import Line, statements_in
from activities.reconciliation_systems import sorted_out
from world.reconciliation import month
from world.reconciliation.month import Month
from world.reconciliation.score import Score, score

HEAD = "| kind | lines | posted alone | by reference and amount alone |"
_ROW, _WIDTH, _LABEL = 22, 640, 150


class Books:
    """The items of a month, and what is posted to them."""

    def __init__(self, made: Month) -> None:
        self.items = {
            each.id: Item(
                id=each.id,
                customer=each.customer.id,
                name=each.customer.name,
                account=each.customer.account,
                amount=each.amount,
                open=each.amount,
                due=each.due,
            )
            for each in made.invoices
        }
        self.postings: list[dict[str, Any]] = []

    def post(self, found: Match) -> None:
        """Post a line to its item."""
        item = self.items[found.invoice]
        left = item.open - found.amount - found.fee
        self.items[item.id] = item.model_copy(update={"open": left})
        self.postings.append(found.model_dump())

    @property
    def left(self) -> list[str]:
        """The items of which some is open."""
        return [each.id for each in self.items.values() if each.open > 0]


def played(made: Month, *, plain: bool = False) -> Score:
    """A month, day by day. `plain`: as without the agent, by reference and amount alone."""
    books, pending = Books(made), list[Line]()
    known: set[str] = set()
    for day in sorted({each.arrived for each in made.files}):
        files = [each._asdict() for each in made.files if each.arrived <= day]
        for line in sorted_out(files, [month.OURS]).lines:
            if line.statement not in known:
                pending.append(line)
        fresh = [line for line in pending if line.day == day]
        for line in fresh:
            found = match(line, list(books.items.values()), [line] if plain else pending)
            if found.kind == "clean" or (found.certain and not plain):
                books.post(found)
                pending.remove(line)
        known |= {line.statement for line in fresh}
    return score(made, books.postings, books.left)


def table(with_agent: list[Score], without: list[Score]) -> str:
    """The figures by kind of line."""
    lines, alone, plain = (
        sum((getattr(each, name) for each in of), Counter[str]())
        for of, name in ((with_agent, "lines"), (with_agent, "posted"), (without, "posted"))
    )
    rows = [f"| {k} | {lines[k]} | {alone[k]} | {plain[k]} |" for k in sorted(lines)]
    total, done, before = lines.total(), alone.total(), plain.total()
    rows.append(f"| all | {total:,} | {done:,} ({done / total:.1%}) | {before:,} |")
    wrong, missed = (sum(len(getattr(e, n)) for e in with_agent) for n in ("wrong", "missed"))
    said = f"wrong postings: {wrong}; planted breaks that nobody hears of: {missed}"
    return "\n".join([HEAD, "|---|---|---|---|", *rows, "", said])


def picture(scores: list[Score]) -> str:
    """By kind of line: posted alone, and left to people."""
    lines = sum((each.lines for each in scores), Counter[str]())
    alone = sum((each.posted for each in scores), Counter[str]())
    most, bars = max(lines.values()), list[str]()
    for row, (kind, count) in enumerate(lines.most_common()):
        y, x = 28 + row * _ROW, float(_LABEL)
        bars.append(f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{kind}</text>')
        for part, colour in ((alone[kind], "#067647"), (count - alone[kind], "#b54708")):
            # The square root: what is rare is to be seen beside what is common.
            width = (_WIDTH - _LABEL - 100) * (count / most) ** 0.5 * part / count
            shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="16" fill="{colour}"'
            bars += [f"<rect {shape}/>"] if part else []
            x += width
        bars.append(f'<text x="{x + 6:.1f}" y="{y + 12}">{alone[kind]} of {count}</text>')
    height = 36 + _ROW * len(lines)
    head = "green: posted alone, none wrong; brown: put before people (bars by square root)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="8" y="16">{head}</text>{"".join(bars)}</svg>\n'
    )


def read_folder(folder: Path) -> list[str]:
    """What each file of a folder holds: a row of a table for each statement."""
    rows = ["| file | lines | read | certain in empty books | set aside |", "|---|---|---|---|---|"]
    for path in sorted(folder.rglob("*.sta")):
        for each in statements_in(decoded(path.read_bytes())):
            certain = sum(match(line, [], each.lines).certain for line in each.lines)
            name = path.relative_to(folder)
            rows.append(f"| {name} | {each.held} | {len(each.lines)} | {certain} | {each.fault} |")
    return rows


def decoded(file: bytes) -> str:
    """A bank's file as text: UTF-8, or else what banks wrote before."""
    try:
        return file.decode()
    except UnicodeDecodeError:
        return file.decode("latin-1")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--months", type=int, default=5)
    parser.add_argument("--seed", type=int, default=month.SEED)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    if given.folder is not None:
        print("\n".join(read_folder(given.folder)))
        return
    began = time.perf_counter()
    months = [month.made(given.seed + n) for n in range(given.months)]
    found = [played(each) for each in months]
    spent = time.perf_counter() - began
    print(table(found, [played(each, plain=True) for each in months]))
    print(f"{spent:.1f} s for {given.months} months")
    if given.svg is not None:
        given.svg.write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
