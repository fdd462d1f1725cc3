"""When drift is noticed, and what a new version comes to, evening by evening.

``python -m benchmarks.agents.retraining [AGENT ...] [--changed DAY] [--svg FILE]``: the steps of
retraining over six generated weeks of an agent's system, which is a process of its own. `--changed
never` plays the same weeks without the change.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from activities.retraining import LEARNERS, LEAST, judge, look, the_shelf
from activities.retraining_facts import Judged, Moved, Retraining

BEGIN, LAST = date(2026, 3, 2), 35
EVENINGS = (7, 10, 13, 16, 19, 21, 22, 23, 24, 26, 28, 31, LAST)
"""After how many days it looks."""
SYSTEMS = {
    "support": ("SUPPORT_SHOP_URL", "world.support.service", True),
    "leads": ("LEADS_URL", "world.leads.service", False),
    "inspection": ("INSPECTION_LINES_URL", "world.inspection.service", True),
}
"""Of each agent the variable and the module of its system, and whether that has a database."""
_WIDE, _HIGH, _LEFT, _TOP, _DEEP, _TOPMOST = 640, 250, 46, 34, 180, 3


class Evening(NamedTuple):
    """What a look came to. `judged`: of the version that was learnt then, if one was."""

    days: int
    moved: Moved
    judged: Judged | None


async def played(agent: str, evenings: Sequence[int] = EVENINGS) -> list[Evening]:
    """The evenings of an agent, the first version in use all the time."""
    found: list[Evening] = []
    for days in evenings:
        due = Retraining(agent=agent, on=BEGIN + timedelta(days=days - 1))
        moved, judged = await look.fn(due), None
        if moved.moved and moved.labelled >= LEAST:
            body = await LEARNERS[agent].learn(due.on)
            version = the_shelf().keep(agent, body)
            judged = await judge.fn(due, version, moved.in_use)
        found.append(Evening(days, moved, judged))
    return found


def table(agent: str, evenings: Sequence[Evening]) -> str:
    """The figures, as Markdown."""
    rows = [
        [f"{agent}: evening after day", *(str(each.days) for each in evenings)],
        ["---"] * (1 + len(evenings)),
        ["largest index", *(f"{each.moved.index:.2f}" for each in evenings)],
        ["has moved", *("yes" if each.moved.moved else "no" for each in evenings)],
    ]
    labels = {
        "as people, before and now": "{as_people_before}, {as_people_now} of {decisions}",
        "acts, before and now": "{acted_before}, {acted_now}",
        "wrongly, before and now": "{wrong_before}, {wrong_now}",
    }
    for label, form in labels.items():
        said = (each.judged and form.format(**each.judged.model_dump()) for each in evenings)
        rows.append([label, *(each or "" for each in said)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def picture(all_of: dict[str, Sequence[Evening]], changed: int | None) -> str:
    """The largest index of each agent, evening by evening; filled where it has moved."""

    def x(days: float) -> float:
        return _LEFT + (_WIDE - _LEFT - 110) * days / LAST

    def y(index: float) -> float:
        return _TOP + _DEEP * (1 - min(index, _TOPMOST) / _TOPMOST)

    size = f'viewBox="0 0 {_WIDE} {_HIGH}" font-family="sans-serif" font-size="11"'
    title = "How far what each agent is shown has moved, by evening (filled: noticed)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18">{title}</text>',
        *(
            f'<path d="M{_LEFT} {y(at):.1f}H{x(LAST):.1f}" stroke="#d4d4d8"/>'
            f'<text x="{_LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{at}</text>'
            for at in range(_TOPMOST + 1)
        ),
        *(
            f'<text x="{x(days):.1f}" y="{_TOP + _DEEP + 18}" text-anchor="middle">{days}</text>'
            for days in EVENINGS
        ),
    ]
    if changed is not None:
        line = f'<path d="M{x(changed):.1f} {_TOP}V{_TOP + _DEEP}" stroke="#c2410c"'
        said = f'<text x="{x(changed) - 6:.1f}" y="{_TOP + 12}" text-anchor="end" fill="#c2410c">'
        parts += [f'{line} stroke-dasharray="4 3"/>', f"{said}it changes</text>"]
    colours = ("#2f6f9f", "#0f766e", "#7c3aed")
    for number, (agent, evenings) in enumerate(all_of.items()):
        colour = colours[number % len(colours)]
        points = [(x(each.days), y(each.moved.index), each.moved.moved) for each in evenings]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        parts += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" stroke="{colour}" '
            f'fill="{colour if moved else "#fff"}"/>'
            for a, b, moved in points
        ]
        parts.append(
            f'<text x="{x(LAST) + 12:.1f}" y="{_TOP + 60 + 18 * number}" fill="{colour}">'
            f"{agent}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _up(stack: ExitStack, agent: str, home: Path, changed: str | None) -> None:
    variable, module, keeps = SYSTEMS[agent]
    argv = [sys.executable, "-m", module, "--port", "0"]
    argv += ["--db", str(home / f"{agent}.db")] if keeps else []
    argv += ["--changed", changed] if changed else []
    system = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    stack.enter_context(system)
    stack.callback(system.kill)
    for line in system.stdout or ():
        os.environ[variable] = line.split()[-1]
        break


async def _all(agents: Sequence[str]) -> dict[str, Sequence[Evening]]:
    return {agent: await played(agent) for agent in agents}


def main() -> None:
    """Play the evenings of some agents, or of all, and print a table of each."""
    parser = argparse.ArgumentParser(description="Drift, and what a new version comes to.")
    parser.add_argument("agents", nargs="*", metavar="AGENT", help=", ".join(SYSTEMS))
    parser.add_argument("--changed", help="another day of the change; never: none")
    parser.add_argument("--svg", type=Path, help="where to draw the indexes")
    given = parser.parse_args()
    agents: list[str] = given.agents or list(SYSTEMS)
    if unknown := set(agents) - set(SYSTEMS):
        parser.error(f"{', '.join(unknown)}: there are {', '.join(SYSTEMS)}")
    changed = str(date.max) if given.changed == "never" else given.changed
    begun = time.process_time()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as home:
        os.environ["AGENT_MODELS"] = f"sqlite:///{home}/models.db"
        for agent in agents:
            _up(stack, agent, Path(home), changed)
        found = asyncio.run(_all(agents))
    for agent, evenings in found.items():
        print(table(agent, evenings), end="\n\n")
    print(f"{time.process_time() - begun:.0f} s of CPU")
    if given.svg:
        days = (date.fromisoformat(changed) - BEGIN).days if changed else 21
        given.svg.write_text(picture(found, days if days < LAST else None), "utf-8")


if __name__ == "__main__":
    main()
