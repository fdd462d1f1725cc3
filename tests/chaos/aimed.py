"""The first experiment: every fault is aimed at one boundary of one case."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tests.chaos.histories import compare
from tests.chaos.lab import Lab
from tests.chaos.plan import Trial, World

PATIENCE = timedelta(seconds=90)
"""After which a case counts as wedged."""

_LATE = timedelta(seconds=1)
"""A zombie that has just thawed may still do harm: it must have had the time for it."""


async def run(
    lab: Lab, trials: Sequence[Trial], lanes: int, *, naive: bool = False, world: World = "one"
) -> None:
    """Run the trials: one at a time in each lane, so that no fault hits another case."""
    label = "lane" if world == "one" else world
    if naive:
        label = "naive" if world == "one" else f"naive-{world}"
    shares = ((f"{label}{n}", trials[n::lanes]) for n in range(lanes))
    await asyncio.gather(
        *(_run_lane(lab, name, share, naive=naive, world=world) for name, share in shares if share)
    )


async def _run_lane(
    lab: Lab, name: str, trials: Sequence[Trial], *, naive: bool, world: World
) -> None:
    lane = await lab.open_lane(name, trials, naive=naive, world=world)
    for trial in trials:
        await lab.run(lane, trial, PATIENCE)
        await lab.quiet(lane)
    await asyncio.sleep(_LATE.total_seconds())
    if not naive:
        lab.journal.compared.append(await compare(lab, lane, control=name.endswith("0")))
    lab.close_lane(lane)
