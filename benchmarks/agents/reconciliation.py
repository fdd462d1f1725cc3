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
from xml.sax.saxutils import escape

from activities.reconciliation_match import Item, Match, match
from activities.reconciliation_statements import Line, statements_in
from activities.reconciliation_systems import sorted_out
from benchmarks.agents import run
from world.folders import files_in, text_of
from world.reconciliation import month
from world.reconciliation.month import Month
from world.reconciliation.score import Score, score

HEAD = "| kind | lines | posted alone | by reference and amount alone |"
_ROW, _WIDTH, _TOP = 22, 800, 44
_COLUMNS = ((36, "end"), (46, "start"), (200, "start"), (550, "end"), (566, "start"))


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
        self.found: list[tuple[Line, Match]] = []

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
    """What a month came to."""
    books = play(made, plain=plain)
    return score(made, books.postings, books.left)


def play(made: Month, *, plain: bool = False) -> Books:
    """Play a month, day by day. `plain`: as without the agent, by reference and amount alone."""
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
            books.found.append((line, found))
            if found.kind == "clean" or (found.certain and not plain):
                books.post(found)
                pending.remove(line)
        known |= {line.statement for line in fresh}
    return books


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


def picture(made: Month) -> str:
    """The statement of a month that has most kinds of lines: what each pays, or why it is asked."""
    of: dict[str, list[tuple[Line, Match]]] = {}
    for line, found in play(made).found:
        of.setdefault(line.statement, []).append((line, found))
    shown = max(of.values(), key=lambda each: len({found.kind for _, found in each}))
    rows: list[str] = []
    for row, (line, found) in enumerate(shown):
        y, colour = _TOP + row * _ROW, "#067647" if found.certain else "#b54708"
        rows.append(f'<rect x="6" y="{y - 14}" width="4" height="18" fill="{colour}"/>')
        became = f"{found.kind}: {found.invoice or 'nobody knows'}"
        cells = (line.number, line.payer[:22], line.text[:40], f"{line.amount:,.2f}", became)
        for (x, anchor), cell in zip(_COLUMNS, cells, strict=True):
            fill = f' fill="{colour}"' if cell is became else ""
            rows.append(
                f'<text x="{x}" y="{y}" text-anchor="{anchor}"{fill}>{escape(str(cell))}</text>'
            )
    height = _TOP + _ROW * len(shown)
    head = f"Statement of {shown[0][0].day}: green is posted alone, brown is put before people"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="8" y="18" font-weight="bold">{head}</text>{"".join(rows)}</svg>\n'
    )


def read_folder(folder: Path) -> list[str]:
    """What each file of a folder holds: a row of a table for each statement."""
    rows = ["| file | lines | read | certain in empty books | set aside |", "|---|---|---|---|---|"]
    for path in files_in(folder, ".sta", ".mt940", ".940", ".txt"):
        for each in statements_in(text_of(path)):
            certain = sum(match(line, [], each.lines).certain for line in each.lines)
            name = path.relative_to(folder) if folder.is_dir() else path.name
            rows.append(f"| {name} | {each.held} | {len(each.lines)} | {certain} | {each.fault} |")
    return rows


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
        given.svg.write_text(picture(months[0]), encoding="utf-8")


if __name__ == "__main__":
    run(main)
