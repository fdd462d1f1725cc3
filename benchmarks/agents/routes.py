"""The routes agent's planning: on generated days, and its solver on a folder of CVRPLIB's form.

``python -m benchmarks.agents.routes FOLDER [--seconds 10]``: `NAME.vrp` beside `NAME.sol`, whose
last line says the best known cost. ``python -m benchmarks.agents.routes --days 100-109`` lives
each day twice: with the morning's plan kept, and planned again by the agent's own step, unchanged.
"""

import argparse
import asyncio
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from activities.routes import replan
from activities.routes_solver import Situation
from benchmarks.agents import run
from world.folders import files_in, set_aside, text_of, unpacked
from world.routes import city
from world.routes.service import shown

HELD_FROM = 20
"""Moves from which on people are asked: nobody answers here, and the plan stays."""


async def live(day: city.Day) -> tuple[city.Score, city.Score, list[int]]:
    """A day kept, and as the agent plans it; and how many orders each plan moved."""
    fleet, version, moves = city.Fleet(day), 0, list[int]()
    kept: city.Score | None = None
    for minute in city.moments(day):
        fleet.advance(minute)
        known = Situation.model_validate(shown(fleet, version))
        decision = await replan(known)
        if decision.action is None:
            continue
        if kept is None:
            kept = city.kept(day, decision.action.routes)
        else:
            moves.append(decision.evidence.moves)
        if not version or decision.evidence.moves <= HELD_FROM:
            fleet.plan(decision.action.routes)
            version += 1
    fleet.advance(2 * city.SHIFT)
    return kept or city.score(fleet), city.score(fleet), moves


def days(first: int, last: int) -> list[str]:
    """The table of some days."""
    rows = ["| day | orders | kept: on time | km | late min | agent: on time | km | late min |"]
    rows += ["|---" * 8 + "|"]
    sums = [[0.0] * 4, [0.0] * 4]
    held = 0
    for seed in range(first, last + 1):
        kept, agent, moves = asyncio.run(live(city.day(seed)))
        held += sum(each > HELD_FROM for each in moves)
        for total, one in zip(sums, (kept, agent), strict=True):
            for place, value in enumerate((one.orders, one.on_time, one.km, one.late_minutes)):
                total[place] += value
        cells = [f"{s.on_time} | {s.km} | {s.late_minutes}" for s in (kept, agent)]
        rows.append(f"| {seed} | {kept.orders} | {cells[0]} | {cells[1]} |")
    cells = [f"{t[1] / t[0]:.1%} | {t[2]:.0f} | {t[3]:.0f}" for t in sums]
    rows.append(f"| all | {sums[0][0]:.0f} | {cells[0]} | {cells[1]} |")
    return [*rows, "", f"plans that would ask people (over {HELD_FROM} moves): {held}"]


def instances(folder: Path, seconds: float) -> list[str]:
    """The table of a folder's instances."""
    from pyvrp import read, solve  # noqa: PLC0415 - only here
    from pyvrp.stop import MaxRuntime  # noqa: PLC0415

    rows = ["| instance | customers | best known | found | gap |", "|---|---|---|---|---|"]
    for file in files_in(folder, ".vrp"):
        name = unpacked(file)
        try:
            with tempfile.NamedTemporaryFile("w", suffix=".vrp") as plain:
                plain.write(text_of(file))
                plain.flush()
                data = read(plain.name, round_func="round")
        except Exception as error:  # noqa: BLE001  # whatever its reader says of others' files
            set_aside(file.name, error)
            continue
        result = solve(data, MaxRuntime(seconds), seed=1, display=False)
        best = _best(name.with_suffix(".sol"))
        gap = f"{result.cost() / best - 1:.2%}" if best else "-"
        rows.append(
            f"| {name.stem} | {data.num_clients} | {best or '-'} | {result.cost():.0f} | {gap} |"
        )
    return rows


def _best(solution: Path) -> int | None:
    packed = solution.with_name(f"{solution.name}.gz")
    solution = packed if packed.exists() else solution
    if not solution.exists():
        set_aside(solution.name, "it is not there: no gap")
        return None
    found = re.search(r"(?im)^\s*cost\s*:?\s*(\d+)", text_of(solution))
    if found is None:
        set_aside(solution.name, "it says no cost: no gap")
    return int(found[1]) if found else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description="The routes agent's planning.")
    parser.add_argument("folder", type=Path, nargs="?", help="instances of CVRPLIB's form")
    parser.add_argument("--seconds", type=float, default=10, help="for each instance")
    parser.add_argument("--days", default="100-109", help="generated days, without a folder")
    options = parser.parse_args(arguments)
    first, _, last = options.days.partition("-")
    rows = (
        instances(options.folder, options.seconds)
        if options.folder
        else days(int(first), int(last or first))
    )
    print("\n".join(rows))


if __name__ == "__main__":
    run(main)
