"""The first experiment: every fault is aimed at one boundary of one case."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tests.chaos.lab import Lab
from tests.chaos.plan import Trial

PATIENCE = timedelta(seconds=90)
"""After which a case counts as wedged."""

_LATE = timedelta(seconds=1)
"""A zombie that has just thawed may still do harm: it must have had the time for it."""


async def run(lab: Lab, trials: Sequence[Trial], lanes: int, *, naive: bool = False) -> None:
    """Run the trials: one at a time in each lane, so that no fault hits another case."""
    label = "naive" if naive else "lane"
    await asyncio.gather(
        *(_run_lane(lab, f"{label}{n}", trials[n::lanes], naive=naive) for n in range(lanes))
    )


async def _run_lane(lab: Lab, name: str, trials: Sequence[Trial], *, naive: bool) -> None:
    lane = lab.open_lane(name, trials, naive=naive)
    for trial in trials:
        await lab.run(lane, trial, PATIENCE)
        await lab.quiet(lane)
    await asyncio.sleep(_LATE.total_seconds())
    lab.close_lane(lane)
