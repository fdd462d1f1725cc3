"""What the research agent reads in invoices, by the truth that is inside or beside them.

``python -m benchmarks.agents.research [FOLDER] [--papers N] [--svg FILE]``: FOLDER holds PDFs, each
with a `.json` of invoice2data's form beside it. Also
played: generated Factur-X invoices, and answers that do not hold. The code that reads and checks is
the agent's own, unchanged.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from activities.research_answer import composed, faults, needed
from activities.research_extract import AMOUNTS, Found, Name, extracted, text_of
from activities.research_facts import Record, Sentence, Wanted
from benchmarks.agents import run
from world.folders import files_in, json_of, set_aside
from world.research import papers

FIELDS: tuple[Name, ...] = (
    "number",
    "date",
    "due",
    "net",
    "tax",
    "total",
    "currency",
    "iban",
    "vat",
)
_OF_JSON: dict[str, Name] = {
    "invoice_number": "number",
    "date": "date",
    "date_due": "due",
    "amount": "total",
    "amount_untaxed": "net",
    "currency": "currency",
    "iban": "iban",
    "vat": "vat",
}
_COLOURS = {"right": "#2f6f9f", "asked": "#c9d6df", "wrong": "#c0392b"}
Counts = dict[Name, Counter[str]]


def told(truth: dict[str, Any]) -> dict[Name, str]:
    """What a file of invoice2data's form expects, by our names."""
    said = dict[Name, str]()
    for theirs, ours in _OF_JSON.items():
        if theirs in truth:
            value = str(truth[theirs])
            said[ours] = f"{float(value):.2f}" if ours in AMOUNTS else value.replace(" ", "")
    return said


def real(folder: Path) -> Iterator[tuple[dict[Name, Found], dict[Name, str]]]:
    """What is read in each PDF of a folder, and what stands in it."""
    for file in files_in(folder, ".pdf"):
        try:
            truth: Any = json_of(file.with_suffix(".json"))
            says = told(cast("dict[str, Any]", truth[0] if isinstance(truth, list) else truth))
            found = extracted(text_of(file.read_bytes()))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with others' files
            set_aside(file.name, error)
        else:
            yield found, says


def generated(seed: int, count: int) -> Iterator[tuple[dict[Name, Found], dict[Name, str]]]:
    """The same of generated Factur-X invoices, whose truth is their XML."""
    names: dict[str, Name] = {name: name for name in FIELDS}
    for paper in papers.papers(seed, count):
        data = papers.pdf(paper)
        truth: dict[Name, str] = {names[n]: v for n, v in papers.truth(data).items()}
        yield extracted(text_of(data)), truth


def counted(read: Iterator[tuple[dict[Name, Found], dict[Name, str]]]) -> Counts:
    """How many of each field are right, asked about, or wrong."""
    counts: Counts = {name: Counter() for name in FIELDS}
    for found, truth in read:
        for name, value in truth.items():
            has = found[name]
            right = has.value.replace(" ", "") == value
            counts[name]["asked" if not has.sure else "right" if right else "wrong"] += 1
    return counts


def planted(seed: int, count: int) -> tuple[int, int, int]:
    """Answers that hold and are refused; answers that do not hold, and how many are refused."""
    wanted, refused, lies, caught = Wanted(field="total", how="value"), 0, 0, 0
    for paper in papers.papers(seed, count):
        fields = extracted(text_of(papers.pdf(paper)))
        record = Record(document=paper.file, fields={n: fields[n] for n in needed(wanted)})
        if not all(field.sure for field in record.fields.values()):
            continue
        known = {paper.file: fields}
        [good] = composed(wanted, [record])
        refused += bool(faults([good], known))
        for bad in _lies(good):
            lies += 1
            caught += bool(faults([bad], known))
    return refused, lies, caught


def _lies(good: Sentence) -> list[Sentence]:
    """The same sentence, wrong in one way each."""
    cite = next(each for each in good.cites if each.field == "total")
    others = tuple(each for each in good.cites if each is not cite)
    off = f"{cite.value[:-1]}{(int(cite.value[-1]) + 1) % 10}"
    told_off = good.text.replace(cite.value, off)
    return [
        good.model_copy(update={"cites": ()}),
        good.model_copy(update={"text": told_off}),
        good.model_copy(update={"text": good.text + " It was paid on 2026-11-01."}),
        good.model_copy(update={"cites": others}),
        good.model_copy(
            update={"text": told_off, "cites": (*others, cite.model_copy(update={"value": off}))}
        ),
        good.model_copy(
            update={"cites": (*others, cite.model_copy(update={"document": "none.pdf"}))}
        ),
    ]


def table(rows: dict[str, Counts]) -> str:
    """Right, asked and wrong of each field."""
    lines = [f"| data | {' | '.join(FIELDS)} | all |", "|---" * (len(FIELDS) + 2) + "|"]
    for name, counts in rows.items():
        cells = [_cell(counts[field]) for field in FIELDS]
        cells.append(_cell(sum(counts.values(), Counter[str]())))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(counts: Counter[str]) -> str:
    return f"{counts['right']}, {counts['asked']}, {counts['wrong']}" if counts else "-"


def picture(rows: dict[str, Counts]) -> str:
    """The shares of each field, one bar each."""
    high = 30 + len(rows) * (len(FIELDS) * 14 + 26)
    size = f'viewBox="0 0 640 {high}" font-family="sans-serif" font-size="10"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="640" height="{high}" fill="#fff"/>',
    ]
    y = 16
    for name, counts in rows.items():
        parts.append(f'<text x="8" y="{y}" font-size="12">{name}</text>')
        for field in FIELDS:
            if not counts[field]:
                continue
            y += 14
            x, all_ = 90.0, counts[field].total()
            parts.append(f'<text x="8" y="{y + 8}">{field}</text>')
            for kind, colour in _COLOURS.items():
                wide = 460 * counts[field][kind] / all_
                parts.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="10" fill="{colour}"/>'
                )
                x += wide
            parts.append(f'<text x="556" y="{y + 9}">{_cell(counts[field])}</text>')
        y += 34
    return "\n".join([*parts, "</svg>", ""])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What the research agent reads in invoices.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--papers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--svg", type=Path, help="write the shares as a picture")
    given = parser.parse_args(arguments)
    rows = {f"{given.papers} generated invoices": counted(generated(given.seed, given.papers))}
    if given.folder is not None:
        rows[f"{given.folder.name}"] = counted(real(given.folder))
    print(f"right, asked about, wrong:\n\n{table(rows)}\n")
    refused, lies, caught = planted(given.seed, given.papers)
    print(
        f"planted answers that do not hold: {lies}, refused {caught}; that hold, refused: {refused}"
    )
    if given.svg:
        given.svg.write_text(picture(rows))
    if given.folder is None:
        print("no PDFs: no folder was given")


if __name__ == "__main__":
    run(main)
