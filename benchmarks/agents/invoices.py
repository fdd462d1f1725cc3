"""The invoices agent's rules on planted faults, or on a folder of electronic invoices.

``python -m benchmarks.agents.invoices [FOLDER] [--each 40] [--seed N] [--svg FILE]``: without a
folder, so many seeded invoices of each kind; with one, each of its UBL files (``*.xml``). What
judges is the agent's own code, unchanged.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from activities.invoices_rules import claim_in, faults_in
from benchmarks.agents import run
from world.folders import files_in, text_of
from world.invoices.generate import (
    IN_BUSINESS,
    IN_FORM,
    SEED,
    Order,
    clean,
    faulty,
    orders,
    suppliers,
)

HEAD = "| kind | invoices | broken rules found | differs from what is on file | pass |"
_ROW, _WIDTH, _LABEL = 22, 640, 150
_COLOURS = ("#b42318", "#b54708", "#067647")


def became(known: dict[str, Order], xml: str) -> str:
    """What the agent does with an invoice: `sent back`, `asked or sent back`, or `pass`."""
    if faults_in(xml):
        return "rules"
    claim = claim_in(xml)
    order = known.get(claim.order)
    if order is None or order.supplier.vat != claim.vat:
        return "differs"
    same = claim.iban == order.supplier.iban and claim.total == order.total
    return "pass" if same else "differs"


def planted(each: int, seed: int) -> dict[str, Counter[str]]:
    """What became of so many invoices of each kind."""
    made = orders(suppliers(seed=seed), each, seed)
    known = {order.number: order for order in made}
    found = {"clean": Counter(became(known, clean(o, n).xml) for n, o in enumerate(made))}
    for kind in (*IN_FORM, *IN_BUSINESS):
        papers = (faulty(order, n, kind) for n, order in enumerate(made))
        found[kind] = Counter(became(known, paper.xml) for paper in papers)
    return found


def table(found: dict[str, Counter[str]]) -> str:
    """The figures by kind."""
    rows = [
        f"| {kind} | {ends.total()} | {ends['rules']} | {ends['differs']} | {ends['pass']} |"
        for kind, ends in found.items()
    ]
    return "\n".join([HEAD, "|---|---|---|---|---|", *rows])


def chart(found: dict[str, Counter[str]]) -> str:
    """The figures as bars: sent back by the rules, held by what is on file, paid."""
    bars: list[str] = []
    for row, (kind, ends) in enumerate(found.items()):
        y, x = 28 + row * _ROW, float(_LABEL)
        bars.append(f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{kind}</text>')
        for end, colour in zip(("rules", "differs", "pass"), _COLOURS, strict=True):
            width = (_WIDTH - _LABEL - 10) * ends[end] / ends.total()
            if width:
                shape = f'x="{x:.0f}" y="{y}" width="{width:.0f}" height="16" fill="{colour}"'
                bars.append(f"<rect {shape}/>")
            x += width
    height = 36 + _ROW * len(found)
    head = "red: breaks a rule; brown: differs from what is on file; green: paid"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_LABEL}" y="18">{head}</text>{"".join(bars)}</svg>\n'
    )


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    began = time.perf_counter()
    if given.folder is not None:
        ends = Counter[str]()
        for path in files_in(given.folder, ".xml"):
            broken = faults_in(text_of(path))
            ends["broken" if broken else "conform"] += 1
            print(f"{path.name}: {', '.join(broken) or 'conforms'}")
        print(", ".join(f"{count} {end}" for end, count in sorted(ends.items())))
        return
    found = planted(given.each, given.seed)
    spent = (time.perf_counter() - began) / sum(ends.total() for ends in found.values())
    print(table(found))
    print(f"\n{spent * 1000:.1f} ms an invoice")
    if given.svg is not None:
        given.svg.write_text(chart(found), encoding="utf-8")


if __name__ == "__main__":
    run(main)
