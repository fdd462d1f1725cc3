"""`python -m tests.chaos`: run the crash laboratory and say what came of it."""

import argparse
import asyncio
import json
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from temporalio.runtime import Runtime, TelemetryConfig

from handrail.runtime import core_logs
from tests.chaos import aimed, plan, storm
from tests.chaos.human import Human
from tests.chaos.judge import Row, Verdict, judge, percentile, recover, table
from tests.chaos.lab import Journal, Lab, laboratory
from tests.chaos.plan import Trial
from tests.chaos.worlds import WORLDS

LANES = 8
CONTROL_LANES = 2
SHARES = (0.5, 0.95, 1)


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    seed: int
    only: str | None
    cases: int
    kills: int
    freezes: int
    short: bool
    json: bool
    keep: bool
    limit: timedelta


@dataclass(frozen=True)
class Result:
    """What came of a whole run."""

    aimed: list[Verdict]
    others: list[Verdict]
    storm: list[Verdict]
    naive: list[Verdict]
    journal: Journal
    took: timedelta


async def experiment(options: Options, room: Path) -> Result:
    """Run the aimed faults, the control and the storm."""
    rng = random.Random(options.seed)
    began = time.monotonic()
    if options.short:
        trials, controls = plan.short(rng), plan.naive(rng, 1)
    else:
        trials = plan.aimed(rng, kills=options.kills, freezes=options.freezes, only=options.only)
        controls = [] if options.only else plan.naive(rng, 3)
    relayed = [] if options.short or options.only not in {None, plan.REACH} else plan.naive_reach()
    storms = plan.quiet(rng, 0 if options.only else options.cases)
    async with laboratory(room) as lab:
        say(options, f"{len(trials)} aimed cases in {LANES} lanes, {len(controls)} controls")
        # Where nobody answers any more, nothing that is judged would be of the engine.
        async with asyncio.TaskGroup() as group:
            human = group.create_task(Human(lab).answer_all())
            await asyncio.gather(
                aimed.run(lab, trials, LANES), aimed.run(lab, controls, CONTROL_LANES, naive=True)
            )
            await asyncio.gather(
                _elsewhere(lab, options, plan.others(options.only)),
                aimed.run(lab, relayed, 1, naive=True, world=plan.REACH),
            )
            say(options, f"aimed: {time.monotonic() - began:.0f} s; a storm: {len(storms)} cases")
            if storms:
                await storm.run(lab, storms, rng)
            human.cancel()
        journal, verdicts = lab.journal, judged(lab)
    recover(journal, verdicts)
    took = timedelta(seconds=time.monotonic() - began)
    sorts = {name: [v for v in verdicts if v.case.startswith(name)] for name in _LANES}
    elsewhere = [v for v in verdicts if not v.case.startswith(_LANES)]
    return Result(sorts["lane"], elsewhere, sorts["storm"], sorts["naive"], journal, took)


_LANES = ("lane", "storm", "naive")


async def _elsewhere(lab: Lab, options: Options, trials: list[Trial]) -> None:
    """Run what takes another world than one machine with a sound ledger."""
    runs: list[Coroutine[Any, Any, None]] = []
    for world, made in WORLDS.items():
        mine = [trial for trial in trials if trial.world == world != "one"]
        missing = made.missing() if mine else ""
        if missing:
            say(options, f"skipped, {len(mine)} cases: {missing}")
        elif mine and not options.short:
            say(options, f"{len(mine)} cases in the world {world!r}")
            runs.append(aimed.run(lab, mine, made.lanes, world=world))
    await asyncio.gather(*runs)


def judged(lab: Lab) -> list[Verdict]:
    """Judge every lane on the trials that it ran."""
    lanes = lab.lanes.values()
    return [verdict for lane in lanes for verdict in judge(lab.journal, lane, lane.ran)]


def violations(result: Result, options: Options) -> list[str]:
    """Everything that must not be, in words."""
    found = [f"{v.case}: {fault}" for v in everything(result) for fault in v.faults]
    for what in ("kill", "freeze"):
        late = percentile(seconds(result, what), 0.95)
        if late > options.limit:
            found.append(f"recovery p95 after a {what} is {late.total_seconds():.1f} s")
    blind = [v for v in result.naive if v.trial.world == plan.REACH and v.count.done < 2]
    found += [f"{v.case}: the control did not double: the laboratory is blind" for v in blind]
    if result.naive and not any(v.count.done > 1 for v in result.naive):
        found.append("the control did not double: the laboratory is blind")
    compared = result.journal.compared
    found += [
        f"{c.lane}: ledger and histories differ: {row}" for c in compared for row in c.differing
    ]
    found += [f"{c.lane}: a row was taken out and not missed" for c in compared if c.blind]
    return found


def everything(result: Result) -> tuple[Verdict, ...]:
    """Every case but the controls."""
    return (*result.aimed, *result.others, *result.storm)


def seconds(result: Result, after: str = "") -> list[float]:
    """The recovery times after one sort of blow, or after all."""
    verdicts = (*result.aimed, *result.storm)
    return [r.seconds for v in verdicts for r in v.recoveries if r.after.startswith(after)]


def say(options: Options, text: str) -> None:
    """Say how far it is, where people read it."""
    print(text, file=sys.stderr if options.json else sys.stdout, flush=True)


def show(result: Result, options: Options) -> None:
    """Print the table and the sums."""
    head = f"{'boundary':32} {'kind':9} {'fault':7}"
    print(f"\n{head}  cases planned fired asked false  lost doubled  recovery p50 p95 max (s)")
    shown = {"": [*result.aimed, *result.storm], "control: ": result.naive}
    for verdict in result.others:
        shown.setdefault(f"{verdict.trial.world}: ", []).append(verdict)
    for title, verdicts in shown.items():
        for row in table(verdicts):
            print(line(title, row))
    ran = everything(result)
    blows = result.journal.blows
    kills = sum(blow.what == "kill" for blow in blows)
    print(
        f"\nseed {options.seed}: {len(ran)} cases, {kills} kills and "
        f"{len(blows) - kills} freezes in {result.took.total_seconds():.0f} s; "
        f"effects {sum(v.count.done + v.count.undone for v in ran)} from "
        f"{sum(v.count.calls for v in ran)} calls; "
        f"asked in doubt {sum(v.asked for v in ran)}, falsely {sum(v.false for v in ran)}; "
        f"ledgers accepted {sum(a.kind == 'ledger' for a in result.journal.asked)}; "
        f"control doubled {sum(v.count.done > 1 for v in result.naive)} of {len(result.naive)}"
    )
    print(evidence(result))
    print("seconds from the restart, or the thaw, to the next progress (p50 p95 max):")
    sorts = sorted({r.after for v in ran for r in v.recoveries})
    for after in ("kill", "freeze", *sorts):
        times = seconds(result, after)
        print(f"  after a {after:18} {len(times):5} times: {spread(times)}")


def evidence(result: Result) -> str:
    """How the ledgers stand against Temporal's histories."""
    compared = result.journal.compared
    ledgers = Counter(each.database for each in compared)
    controls = [each.blind for each in compared if each.blind is not None]
    return (
        f"rows of {sum(c.cases for c in compared)} cases against their histories, in "
        f"{' and '.join(f'{n} ledgers of {name}' for name, n in sorted(ledgers.items()))}: "
        f"{sum(len(c.differing) for c in compared)} differ; "
        f"{sum(c.lost for c in compared)} ends that died with a worker were made again; "
        f"a row taken out was noticed in {controls.count(False)} of {len(controls)}"
    )


def line(title: str, row: Row) -> str:
    """One row of the table."""
    times = spread([recovery.seconds for recovery in row.recoveries])
    return (
        f"{title + row.target:32} {row.kind:9} {row.what:7}  {row.cases:5} {row.planned:7} "
        f"{row.fired:5} {row.asked:5} {row.false:5} {row.lost:5} {row.doubled:7}  {times}"
    )


def spread(times: list[float]) -> str:
    """Median, 95th percentile and maximum."""
    return " ".join(f"{percentile(times, share).total_seconds():6.2f}" for share in SHARES)


def as_json(result: Result, options: Options, wrong: list[str]) -> dict[str, Any]:
    """The same for programs."""
    verdicts = {
        "aimed": result.aimed,
        "others": result.others,
        "storm": result.storm,
        "control": result.naive,
    }
    return {
        "seed": options.seed,
        "seconds": result.took.total_seconds(),
        "violations": wrong,
        "recovery": {
            what: {str(p): percentile(seconds(result, what), p).total_seconds() for p in SHARES}
            for what in ("kill", "freeze")
        },
        "evidence": [asdict(each) for each in result.journal.compared],
        "rows": {name: [asdict(row) for row in table(given)] for name, given in verdicts.items()},
    }


def main() -> int:
    """Run, print, and return the exit code: 1 on any violation."""
    options = arguments()
    # By itself Temporal's core says what it says on stdout, where the figures go.
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=core_logs("WARN"))))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    say(options, f"chaos: seed {options.seed} (run it again with --seed {options.seed})")
    room = Path(tempfile.mkdtemp(prefix="handrail-chaos-"))
    result = asyncio.run(experiment(options, room))
    wrong = violations(result, options)
    if options.json:
        print(json.dumps(as_json(result, options, wrong)))
    else:
        show(result, options)
        print("\n".join(["", "violations:", *wrong]) if wrong else "no violations")
    if options.keep or wrong:
        say(options, f"everything is kept in {room}")
    else:
        shutil.rmtree(room)
    return 1 if wrong else 0


def arguments() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--only", choices=[*plan.targets(), "take-over", "roll-back", *plan.OTHERS])
    parser.add_argument("--cases", type=int, help="of the storm")
    parser.add_argument("--kills", type=int, default=4, help="at each boundary, for each kind")
    parser.add_argument("--freezes", type=int, default=2, help="the same")
    parser.add_argument("--short", action="store_true", help="about a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep databases, logs and journal")
    parser.add_argument("--limit", type=float, default=5, help="seconds of recovery, p95")
    given: dict[str, Any] = vars(parser.parse_args())
    if given["cases"] is None:
        given["cases"] = 15 if given["short"] else 300
    given["limit"] = timedelta(seconds=given["limit"])
    return Options(**given)


if __name__ == "__main__":
    sys.exit(main())
