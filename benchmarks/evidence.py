"""`python -m benchmarks.evidence`: how often evidence deceives whoever looks after every case.

Thousands of simulated pilots and agents at work, each looked at after every single case: false
promotions and false step-backs beside what is stated, and how many cases it takes until a real
worsening is noticed. Beside it what most would write: a z-test, looked at each time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

from handrail.evidence import (
    Worsening,
    WorseningTest,
    agreement_path,
    population_stability,
    worse_than_before,
)

ERROR = 0.05
RUNS, QUICK = 2_000, 300
Z = 1.6448536269514722
"""Of a one-sided test at 5 %."""

_FEWEST = 30
"""Whoever knows the z-test does not use it of less."""

Draws = Iterator[bool]
Look = Callable[[list[bool]], int | None]
"""After how many of these cases a rule acts; None if it never does."""


@dataclass(frozen=True)
class Figure:
    """One row: how often a rule acted, of `runs`, and after how many cases."""

    what: str
    rule: str
    runs: int
    acted: float
    stated: float | None
    half: float | None
    most: float | None
    """Cases until it acted: the median, and what nine in ten do not pass."""

    @property
    def kept(self) -> bool:
        """Whether it acted no more often than is stated."""
        return self.stated is None or self.acted <= self.stated


# Rules: ours, and the naive ones


def promotes(goal: float) -> Look:
    """Ours: the agreement's lower bound has met the goal."""

    def look(disagree: list[bool]) -> int | None:
        path = agreement_path((not each for each in disagree), ERROR)
        return next((each.n for each in path if each.low >= goal), None)

    return look


def promotes_naively(goal: float) -> Look:
    """The z-test of a share above the goal, after each case."""

    def look(disagree: list[bool]) -> int | None:
        agreed = 0
        for n, each in enumerate(disagree, 1):
            agreed += not each
            if n >= _FEWEST and agreed / n - goal >= Z * (goal * (1 - goal) / n) ** 0.5:
                return n
        return None

    return look


def steps_back(allowed: float) -> Look:
    """Ours: more are bad than the share that somebody declared."""

    def look(bad: list[bool]) -> int | None:
        test = WorseningTest(allowed, ERROR)
        return next((n for n, each in enumerate(bad, 1) if test.add(each)), None)

    return look


def steps_back_from(before: list[bool]) -> Look:
    """Ours: more are bad than before."""

    def look(bad: list[bool]) -> int | None:
        found: Worsening = worse_than_before(before, bad, ERROR)
        return found.alarm

    return look


def steps_back_naively(allowed: float) -> Look:
    """The z-test of a share above the one before, after each case."""

    def look(bad: list[bool]) -> int | None:
        seen = 0
        for n, each in enumerate(bad, 1):
            seen += each
            if n >= _FEWEST and seen / n - allowed >= Z * (allowed * (1 - allowed) / n) ** 0.5:
                return n
        return None

    return look


# Simulations


def simulate(
    what: str,
    rule: str,
    runs: int,
    one: Callable[[random.Random], tuple[list[bool], Look]],
    *,
    stated: float | None = ERROR,
    since: int = 0,
) -> Figure:
    """Run a rule on many agents; `since`: where the worsening is, cases are counted from there.

    Each rule of a scenario is given the same agents.
    """
    chance = random.Random(what)  # noqa: S311  # a simulation, the same each time
    acted = [
        at for bad, look in (one(chance) for _ in range(runs)) if (at := look(bad)) is not None
    ]
    took = [at - since for at in acted if at > since]
    enough = len(took) > runs / 2
    half, most = (median(took), quantiles(took, n=10)[-1]) if enough else (None, None)
    # Whoever acts before there is anything is wrong, also where acting is right later.
    wrong = [at for at in acted if at <= since] if since else acted
    return Figure(what, rule, runs, len(wrong) / runs, stated, half, most)


def draws(chance: random.Random, number: int, share: float) -> list[bool]:
    """So many cases, bad with this chance."""
    return [chance.random() < share for _ in range(number)]


def scenarios(runs: int) -> Iterator[Figure]:
    """All of them, one after the other."""
    for goal in (0.9, 0.95, 0.99):
        for rule, look in (("handrail", promotes(goal)), ("z-test", promotes_naively(goal))):
            what = f"agrees in {goal:.0%}, no better than the goal, 2,000 cases"
            yield simulate(what, rule, runs, lambda c, g=goal, k=look: (draws(c, 2_000, 1 - g), k))
    for goal, true in ((0.9, 0.97), (0.95, 0.99)):
        for rule, look in (("handrail", promotes(goal)), ("z-test", promotes_naively(goal))):
            what = f"agrees in {true:.0%}, goal {goal:.0%}: cases until it is proposed"
            yield simulate(
                what,
                rule,
                runs,
                lambda c, t=true, k=look: (draws(c, 2_000, 1 - t), k),
                stated=None,
            )
    yield from _unchanged(runs)
    yield from _worse(runs)
    yield _drift(runs)


def _unchanged(runs: int) -> Iterator[Figure]:
    for share in (0.01, 0.05, 0.2):
        rules = (("handrail", steps_back(share)), ("z-test", steps_back_naively(share)))
        for rule, look in rules:
            what = f"{share:.0%} bad, as declared, 3,000 cases"
            yield simulate(what, rule, runs, lambda c, s=share, k=look: (draws(c, 3_000, s), k))
    for share in (0.02, 0.1):
        what = f"{share:.0%} bad, as in the 300 cases before, 3,000 cases"
        yield simulate(what, "handrail", runs, lambda c, s=share: _pair(c, s, naive=False))
        yield simulate(what, "z-test", runs, lambda c, s=share: _pair(c, s, naive=True))


def _pair(chance: random.Random, share: float, *, naive: bool) -> tuple[list[bool], Look]:
    before, after = draws(chance, 300, share), draws(chance, 3_000, share)
    if naive:
        return after, steps_back_naively(max(sum(before) / 300, 1 / 300))
    return after, steps_back_from(before)


def _worse(runs: int) -> Iterator[Figure]:
    for allowed, later, since in (
        (0.02, 0.06, 0),
        (0.02, 0.1, 0),
        (0.02, 0.1, 200),
        (0.02, 0.1, 2_000),
        (0.05, 0.2, 500),
        (0.05, 0.5, 500),
    ):
        rules = (("handrail", steps_back(allowed)), ("z-test", steps_back_naively(allowed)))
        for rule, look in rules:
            when = f"after {since:,} cases" if since else "at once"
            what = f"{allowed:.0%} bad, then {later:.0%} {when}: cases until it is noticed"

            def one(
                chance: random.Random,
                a: float = allowed,
                b: float = later,
                s: int = since,
                k: Look = look,
            ) -> tuple[list[bool], Look]:
                return draws(chance, s, a) + draws(chance, 2_000, b), k

            stated = ERROR if since else None
            yield simulate(what, rule, runs, one, stated=stated, since=since)

    for allowed, later in ((0.02, 0.1), (0.02, 0.3), (0.1, 0.3)):
        what = f"{allowed:.0%} in 300 cases, then {later:.0%} at once: cases until it is noticed"

        def worse(
            chance: random.Random, a: float = allowed, b: float = later
        ) -> tuple[list[bool], Look]:
            return draws(chance, 2_000, b), steps_back_from(draws(chance, 300, a))

        yield simulate(what, "handrail", runs, worse, stated=None)


def _drift(runs: int) -> Figure:
    chance = random.Random("drift")  # noqa: S311  # a simulation
    sizes = (60, 120, 500)
    found = [
        population_stability(
            [chance.gauss(0, 1) for _ in range(300)],
            [chance.gauss(0, 1) for _ in range(sizes[run % 3])],
        ).drifted
        for run in range(runs)
    ]
    what = "values as before (60 to 500 against 300): one look"
    return Figure(what, "handrail", runs, sum(found) / runs, 0.003, None, None)


def table(found: list[Figure]) -> str:
    """The figures in Markdown."""
    head = "| what is true | rule | runs | acts wrongly | stated | cases, median | nine in ten |"
    rows = [
        f"| {f.what} | {f.rule} | {f.runs:,} | {_wrong(f)} | {_share(f.stated)} "
        f"| {_cases(f.half)} | {_cases(f.most)} |"
        for f in found
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def _wrong(figure: Figure) -> str:
    if figure.stated is None:
        return "-"
    return f"{figure.acted:.2%}" if figure.kept else f"**{figure.acted:.2%}**"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _cases(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"


def main() -> int:
    """Run the simulations. It fails when Handrail's own act wrongly more often than stated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} runs instead of {RUNS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    given = parser.parse_args()
    found = list[Figure]()
    for each in scenarios(QUICK if given.quick else RUNS):
        print(f"evidence: {each.what}: {each.rule}", file=sys.stderr, flush=True)
        found.append(each)
    print(table(found))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    return int(any(not each.kept for each in found if each.rule == "handrail"))


if __name__ == "__main__":
    sys.exit(main())
