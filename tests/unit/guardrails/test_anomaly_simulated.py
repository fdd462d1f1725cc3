"""How often what is normal flags: an agent that goes on as it did, and one that changes.

Simulated, with seeds: six kinds of agents, 2,000 writes each, learning from the 30th on, everything
watched at z = 4, the models fitted again every 25 writes. A false alarm is a write of which
anything is flagged; the shares below are of eight runs of each agent. Changes begin after 400
writes (rate and mix: 1,000) that taught; the shares are of 200 trials.

| agent    | amounts              | times                     | targets             | false alarms |
|----------|----------------------|---------------------------|---------------------|--------------|
| steady   | log-normal, s = 0.5  | all day, 5 an hour        | 8, evenly           | 0.08 %       |
| office   | log-normal, s = 1    | weekdays 8 to 18          | 300 customers, Zipf | 0.12 %       |
| batches  | three fees           | batches of ten            | always a new one    | 0.05 %       |
| rarely   | Pareto, a = 1.5      | by day, 1 % of it at night | 8, evenly          | 0.20 %       |
| waves    | small, 1 in 10 large | day and night, in waves   | 300 customers, Zipf | 0.20 %       |
| constant | always the same      | weekdays 8 to 18          | 8, evenly           | 0.04 %       |

| found among the first so many writes       | 1    | 5    | 10   |
|--------------------------------------------|------|------|------|
| amount x 10, steady                        | 0.67 | 0.98 | 1.00 |
| amount x 10, office (varies by magnitudes) | 0.09 | 0.36 | 0.97 |
| amount x 10, constant                      | 1.00 | 1.00 | 1.00 |
| a target never seen, amount x 3, steady    | 1.00 | 1.00 | 1.00 |
| the same of 300 customers, office          | 0.08 | 0.22 |      |
| at two in the night, office                | 1.00 | 1.00 | 1.00 |
| at two in the night, rarely (it does that) | 0.17 |      |      |
| confidence falls from 0.9 to 0.55, steady  | 0.63 | 0.89 | 1.00 |

Rate x 5, steady: always within two hours. A write that was 5 % of all becomes half of them: always
within thirty writes.
"""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest

from handrail.guardrails.anomaly.numbers import (
    Clock,
    Pace,
    Spread,
    amounts,
    clock,
    confidences,
    pace,
)
from handrail.guardrails.anomaly.targets import (
    LAST,
    RUN,
    ProportionChart,
    TailRun,
    Targets,
    run,
    share,
    targets,
)

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
WRITES, LEARN, EVERY, Z = 2_000, 30, 25, 4.0
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZIPF = list(accumulate(1 / (n + 1) for n in range(300)))


@dataclass(frozen=True)
class Write:
    at: datetime
    amount: float
    target: str
    sure: float
    rebooks: bool


def dice(seed: object) -> random.Random:
    return random.Random(str(seed))  # noqa: S311  # seeded, not secret


# Agents that go on as they did


def _lognormal(spread: float) -> Callable[[random.Random], float]:
    return lambda rng: round(math.exp(rng.gauss(4, spread)), 2)


def _fee(rng: random.Random) -> float:
    return rng.choice([10.0] * 8 + [25.0, 60.0])


def _pareto(rng: random.Random) -> float:
    return round(10 * rng.paretovariate(1.5), 2)


def _large_now_and_then(rng: random.Random) -> float:
    mean = 6 if rng.random() < 0.1 else 2
    return round(math.exp(rng.gauss(mean, 0.3)), 2)


AMOUNTS: dict[str, Callable[[random.Random], float]] = {
    "steady": _lognormal(0.5),
    "office": _lognormal(1),
    "batches": _fee,
    "rarely": _pareto,
    "waves": _large_now_and_then,
    "constant": lambda _: 100.0,
}


def times(kind: str, count: int, rng: random.Random) -> list[datetime]:
    """When an agent writes: a Poisson process, thinned by the time, or batches of it."""
    at, found = BEGIN, list[datetime]()
    while len(found) < count:
        at += timedelta(hours=rng.expovariate(0.4 if kind == "batches" else 8))
        if kind == "batches":
            for _ in range(2 + int(rng.expovariate(1 / 8))):
                at += timedelta(seconds=rng.expovariate(0.05))
                found.append(at)
        elif rng.random() < _chance(kind, at):
            found.append(at)
    return found[:count]


def _chance(kind: str, at: datetime) -> float:
    """How much of the rate there is at a time."""
    day = 8 <= at.hour < 18
    match kind:
        case "office" | "constant":
            wave = 0.5 + 0.5 * math.sin((at.hour - 8) / 10 * math.pi)
            return wave if day and at.weekday() < 5 else 0.0
        case "rarely":
            return 1.0 if day else 0.01
        case "waves":
            return 0.55 + 0.45 * math.sin((at.hour - 8) / 12 * math.pi)
        case _:
            return 0.6


def target(kind: str, number: int, rng: random.Random) -> str:
    match kind:
        case "batches":
            return f"new {number}"
        case "office" | "waves":
            return f"customer {bisect.bisect(ZIPF, rng.random() * ZIPF[-1])}"
        case _:
            return f"carrier {rng.randrange(8)}"


def writes(kind: str, count: int, seed: int) -> list[Write]:
    rng = dice(f"{kind}/{seed}")
    return [
        Write(
            at=at,
            amount=AMOUNTS[kind](rng),
            target=target(kind, number, rng),
            sure=min(max(rng.betavariate(18, 2), 0.0), 1.0),
            rebooks=rng.random() < 0.05,
        )
        for number, at in enumerate(times(kind, count, rng))
    ]


# What is normal of them, as the watch puts it together


@dataclass(frozen=True)
class Fitted:
    amount: Spread
    sure: Spread
    large: TailRun
    unsure: TailRun
    hour: Clock
    hours: Pace
    days: Pace
    target: Targets
    mix: ProportionChart

    @classmethod
    def of(cls, past: Sequence[Write]) -> Fitted:
        this = int(past[-1].at.timestamp() // 3_600)
        hours = Counter(int(w.at.timestamp() // 3_600) for w in past)
        whole = {hour: count for hour, count in hours.items() if min(hours) < hour < this}
        days = Counter[int]()
        for hour, count in whole.items():
            days[hour // 24] += count
        sure = [w.sure for w in past]
        return cls(
            amount=amounts("amount", [w.amount for w in past], Z),
            sure=confidences(sure, Z),
            large=run("amount", [w.amount for w in past]),
            unsure=run("confidence", sure, lowest=True),
            hour=clock((w.at for w in past), LEARN),
            hours=pace("hour", whole.values()),
            days=pace("day", [days[d] for d in sorted(days)[1:-1]]),
            target=targets("customer", [w.target for w in past]),
            mix=share("writes were rebook", [w.rebooks for w in past]),
        )

    def flags(self, write: Write, past: Sequence[Write]) -> list[str]:
        """What is flagged of a write that comes after `past`."""
        seen = [w.at for w in past]
        rebooks = sum(w.rebooks for w in past[1 - LAST :])
        # The watch reads these again each minute; here they follow each write.
        large, unsure = past[1 - RUN :], past[1 - RUN :]
        runs = replace(self.large, latest=sum(w.amount > self.large.mark for w in large))
        lows = replace(self.unsure, latest=sum(w.sure < self.unsure.mark for w in unsure))
        found = {
            "amount": self.amount.flag(write.amount),
            "sure": self.sure.flag(write.sure),
            "amounts in a row": runs.flag(write.amount),
            "unsure in a row": lows.flag(write.sure),
            "hour": self.hour.flag(write.at),
            "per hour": self.hours.flag(len(seen) - bisect.bisect(seen, write.at - HOUR) + 1),
            "per day": self.days.flag(len(seen) - bisect.bisect(seen, write.at - DAY) + 1),
            "target": self.target.flag(write.target, [(self.amount, write.amount)]),
            "mix": self.mix.flag(rebooks + 1) if write.rebooks else None,
        }
        return [what for what, why in found.items() if why is not None]


def false_alarms(kind: str, seed: int) -> Counter[str]:
    """What was flagged of an agent that goes on as it did, by what; `any` of the writes."""
    rows, found = writes(kind, WRITES, seed), Counter[str]()
    fitted: Fitted | None = None
    for number in range(LEARN, WRITES):
        past = rows[:number]
        if fitted is None or (number - LEARN) % EVERY == 0:
            fitted = Fitted.of(past)
        flags = fitted.flags(rows[number], past)
        found.update(flags)
        found["any"] += bool(flags)
    return found


@pytest.mark.parametrize("kind", AMOUNTS)
def test_an_agent_that_goes_on_as_it_did_is_hardly_flagged(kind: str) -> None:
    found = sum((false_alarms(kind, seed) for seed in range(3)), Counter[str]())
    assert found["any"] / (3 * (WRITES - LEARN)) < 0.005


# Agents that change, after 400 writes


TRIALS, TAUGHT = 40, 400


def detected(kind: str, change: Callable[[Write, random.Random], Write], of: int = 1) -> float:
    """The share of trials in which one of the next `of` writes, changed, is flagged."""
    found = 0
    for seed in range(TRIALS):
        rows, rng = writes(kind, TAUGHT + of, seed), dice(seed)
        fitted = Fitted.of(rows[:TAUGHT])
        past, after = rows[:TAUGHT], [change(each, rng) for each in rows[TAUGHT:]]
        flags = [fitted.flags(w, [*past, *after[:n]]) for n, w in enumerate(after)]
        found += any(flags)
    return found / TRIALS


def _ten_times(write: Write, rng: random.Random) -> Write:
    return replace(write, amount=write.amount * 10)


def _elsewhere(write: Write, rng: random.Random) -> Write:
    return replace(write, target=f"nobody {rng.random()}", amount=write.amount * 3)


def _at_night(write: Write, rng: random.Random) -> Write:
    night = write.at.replace(hour=2, minute=rng.randrange(60))
    return replace(write, at=night + DAY)


def _unsure(write: Write, rng: random.Random) -> Write:
    return replace(write, sure=rng.uniform(0.5, 0.6))


@pytest.mark.parametrize(
    ("kind", "change", "of", "least"),
    [
        ("steady", _ten_times, 1, 0.6),
        ("steady", _ten_times, 5, 0.9),
        ("constant", _ten_times, 1, 1.0),
        ("office", _ten_times, 10, 0.85),
        ("steady", _elsewhere, 1, 0.9),
        ("office", _at_night, 1, 0.95),
        ("steady", _unsure, 1, 0.4),
        ("steady", _unsure, 10, 0.95),
    ],
)
def test_an_agent_that_changes_is_found(
    kind: str, change: Callable[[Write, random.Random], Write], of: int, least: float
) -> None:
    assert detected(kind, change, of) >= least


def test_five_times_the_rate_is_found_within_two_hours() -> None:
    found = 0
    for seed in range(TRIALS):
        rows, rng = writes("steady", 1_000, seed), dice(seed)
        fitted, begin = Fitted.of(rows), rows[-1].at
        at, burst = begin, list[Write]()
        while at < begin + 2 * HOUR:
            at += timedelta(hours=rng.expovariate(5 * 8 * 0.6))
            burst.append(replace(rng.choice(rows), at=at))
        every = [*rows, *burst]
        found += any("per hour" in fitted.flags(w, every[: 1_000 + n]) for n, w in enumerate(burst))
    assert found == TRIALS


def test_another_mix_of_actions_is_found_within_thirty_writes() -> None:
    found = 0
    for seed in range(TRIALS):
        rows, rng = writes("steady", 1_030, seed), dice(seed)
        fitted = Fitted.of(rows[:1_000])
        after = [replace(w, rebooks=rng.random() < 0.5) for w in rows[1_000:]]
        every = [*rows[:1_000], *after]
        found += any("mix" in fitted.flags(w, every[: 1_000 + n]) for n, w in enumerate(after))
    assert found >= 0.95 * TRIALS


def test_an_agent_whose_every_target_is_new_is_not_flagged_for_one() -> None:
    fitted = Fitted.of(writes("batches", TAUGHT, 0))
    high = [(fitted.amount, 60.0)]
    assert fitted.target.flag("another new one", high) is None
