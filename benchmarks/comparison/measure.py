"""What a case costs on each contender: loads in turns, with the CPU of all its processes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.comparison.process import Cost, Running
from benchmarks.stats import in_turn

PASSING, HELD = "20", "300"
"""Extra cost in EUR of a case that nobody needs to see, and of one that waits for a human."""

AT_ONCE = 16


@dataclass(frozen=True)
class Plan:
    """How much is run. `alone`, `many`, `held`: cases a round; `kills`: cases a kill test."""

    rounds: int
    alone: int
    many: int
    held: int
    rest: float
    kills: int


FULL = Plan(rounds=6, alone=10, many=96, held=48, rest=3.0, kills=5)
QUICK = Plan(rounds=2, alone=5, many=32, held=16, rest=1.0, kills=3)


@dataclass(frozen=True)
class Round:
    """One contender in one round. CPU in milliseconds a case; at rest, a second.

    `one`: the time of a case alone; `rate`: cases a second, 16 at once; `passes` and `held`: of
    cases that pass and of cases that wait for an approval, 16 at once.
    """

    one: float
    rate: float
    passes: Cost
    held: Cost
    rest: Cost


@dataclass
class Measured:
    """All rounds of a contender, in order; the memory is that at the end, in MiB."""

    rounds: list[Round] = field(default_factory=list[Round])
    memory: tuple[float, float] = (0.0, 0.0)


_numbers: Iterator[int] = itertools.count(1)


def keys(number: int) -> list[str]:
    """Keys that no case has had."""
    return [f"AWB-{next(_numbers):06}" for _ in range(number)]


async def rounds(
    plan: Plan, running: Sequence[Running], say: Callable[[str], None]
) -> dict[str, Measured]:
    """Warm all of them, and then run the rounds, in which they take turns."""
    found = {each.contender.name: Measured() for each in running}
    for each in running:
        await each.ask("run", keys(2 * AT_ONCE), cost=PASSING, at_once=AT_ONCE)
        await _held(each, AT_ONCE)
        await each.quiet()
        say(f"{each.contender.name}: warm")
    for number in range(plan.rounds):
        for each in in_turn(running, number):
            found[each.contender.name].rounds.append(await _round(plan, each))
        say(f"round {number + 1} of {plan.rounds}: measured")
    for each in running:
        found[each.contender.name].memory = each.memory()
    return found


async def _round(plan: Plan, running: Running) -> Round:
    alone: list[float] = await running.ask("run", keys(plan.alone), cost=PASSING, at_once=1)
    await running.quiet()
    before, begun = running.cpu(), time.perf_counter()
    await running.ask("run", keys(plan.many), cost=PASSING, at_once=AT_ONCE)
    seconds, passes = time.perf_counter() - begun, running.cpu().since(before)
    await running.quiet()
    held = await _held(running, plan.held)
    await running.quiet()
    before = running.cpu()
    await asyncio.sleep(plan.rest)
    rest = running.cpu().since(before)
    return Round(
        one=median(alone),
        rate=plan.many / seconds,
        passes=_each(passes, plan.many),
        held=_each(held, plan.held),
        rest=_each(rest, plan.rest),
    )


async def _held(running: Running, number: int) -> Cost:
    """Let cases wait, and approve them. What they cost while they wait is within it."""
    named, before = keys(number), running.cpu()
    await running.ask("start", named, cost=HELD, at_once=AT_ONCE)
    await running.quiet()
    await running.ask("approve", named, at_once=AT_ONCE)
    return running.cpu().since(before)


def _each(cost: Cost, number: float) -> Cost:
    return Cost(cost.worker / number, cost.server / number)
