"""The leads agent's score on a file of CDNOW's form, or a folder of such files.

``python -m benchmarks.agents.leads [PATH] [--on DAY] [--svg FILE]``: lines of customer, day
(YYYYMMDD), items and amount; without a path CDNOW itself. Orders until DAY (the middle of the
data) are known, who buys after it is the truth. The code that scores is the agent's own, unchanged.
"""

import argparse
import operator
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from activities import leads_score
from activities.leads_score import QUALIFIED, Order, facts, score
from benchmarks.agents import run as run_script
from world.folders import files_in
from world.leads import cdnow
from world.leads.cdnow import Shop

HEAD = (
    "| data | customers | buy again | top twentieth | top tenth | top fifth "
    "| leads (score) | of them buy | last buyers, as many as a tenth |"
)
_WIDTH, _HEIGHT, _EDGE, _FOOT, _TENTHS = 640, 240, 30, 22, 10


class Scored(NamedTuple):
    """A customer as the agent sees it, and what then happened."""

    score: float
    last: date
    buys: bool


def run(shop: Shop, on: date) -> list[Scored]:
    """Everybody who bought until a day, the likeliest first."""
    found: list[Scored] = []
    for orders in shop.values():
        known = [Order(**order._asdict()) for order in orders if order.day <= on]
        if known:
            last = max(order.day for order in known)
            found.append(Scored(score(known, on), last, cdnow.bought_after(orders, on)))
    return sorted(found, key=operator.attrgetter("score"), reverse=True)


def share(of: Sequence[Scored], part: float = 1) -> float:
    """How many of the first part of a list buy."""
    first = of[: max(1, int(len(of) * part))]
    return sum(each.buys for each in first) / len(first)


def table(name: str, scored: Sequence[Scored]) -> str:
    """The figures, as a row of a table."""
    leads = [each for each in scored if each.score >= QUALIFIED]
    before = sorted(scored, key=operator.attrgetter("last"), reverse=True)
    cells = [name, f"{len(scored):,}", *(f"{share(scored, p):.1%}" for p in (1, 0.05, 0.1, 0.2))]
    cells += [
        f"{len(leads):,}",
        f"{share(leads):.1%}" if leads else "-",
        f"{share(before, 0.1):.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def picture(scored: Sequence[Scored]) -> str:
    """The share that buys again, of each tenth of the customers, the likeliest first."""
    each, low = (_WIDTH - 2 * _EDGE) / _TENTHS, _HEIGHT - _FOOT
    tall, base = low - 36, share(scored)
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        '<text x="30" y="16">Share that buys again, by tenths of the score</text>',
    ]
    for tenth in range(_TENTHS):
        first, last = (len(scored) * n // _TENTHS for n in (tenth, tenth + 1))
        of = share(scored[first:last])
        x, y = _EDGE + tenth * each, low - of * tall
        colour = "#2f6f9f" if tenth == 0 else "#9db8cc"
        size = f'width="{each - 8:.1f}" height="{of * tall:.1f}"'
        parts += [
            f'<rect x="{x + 4:.1f}" y="{y:.1f}" {size} fill="{colour}"/>',
            f'<text x="{x + each / 2:.1f}" y="{y - 4:.1f}" text-anchor="middle">{of:.0%}</text>',
            f'<text x="{x + each / 2:.1f}" y="{low + 15}" text-anchor="middle">{tenth + 1}</text>',
        ]
    y = low - base * tall
    parts += [
        f'<path d="M{_EDGE} {y:.1f}H{_WIDTH - _EDGE}" stroke="#222" stroke-dasharray="4 3"/>',
        f'<text x="{_WIDTH - _EDGE}" y="{y - 4:.1f}" text-anchor="end">everybody {base:.0%}</text>',
    ]
    return "\n".join([*parts, "</svg>", ""])


def fit(shop: Shop, on: date) -> str:
    """What `leads_score` has for weights, learnt anew from those who are not held out."""
    rows, buys = list[list[float]](), list[bool]()
    for customer, orders in sorted(shop.items()):
        seen = facts([Order(**order._asdict()) for order in orders], on)
        if seen and not cdnow.held_out(customer):
            rows.append(seen)
            buys.append(cdnow.bought_after(orders, on))
    learnt = leads_score.fit(rows, buys)
    weights = ", ".join(f"{w:.4f}" for w in learnt.weights)
    return f"QUALIFIED = {learnt.qualified:.2f}\nBASE = {learnt.base:.4f}\nWEIGHTS = ({weights})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table; or the weights, learnt anew."""
    parser = argparse.ArgumentParser(description="The leads agent's score on CDNOW's form.")
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--on", type=date.fromisoformat, help="the last day that is known")
    parser.add_argument("--fit", action="store_true", help="print weights learnt anew")
    parser.add_argument("--svg", type=Path, help="write the tenths as a picture")
    given = parser.parse_args(arguments)
    path: Path = given.path or cdnow.packaged()
    files = files_in(path, ".txt", ".csv", ".dat")
    shop = cdnow.read(files)
    on = given.on or cdnow.middle(shop)
    if given.fit:
        print(fit(shop, on))
        return
    name = path.stem if given.path else "CDNOW"
    rest = run({c: o for c, o in shop.items() if cdnow.held_out(c)}, on)
    rows = [table(f"{name}, all", run(shop, on)), table(f"{name}, not learnt from", rest)]
    print("\n".join([HEAD, "|---" * HEAD.count(" | ") + "|---|", *rows]))
    if given.svg:
        given.svg.write_text(picture(rest))


if __name__ == "__main__":
    run_script(main)
