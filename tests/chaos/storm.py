"""The second experiment: many cases at once, and everything struck at random."""

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from datetime import timedelta

from tests.chaos.histories import compare
from tests.chaos.lab import Actor, Blow, Lab, Lane
from tests.chaos.plan import Trial

LANE = "storm"
AT_ONCE = 24
PACE = timedelta(seconds=0.4)
"""From the start of one case to the next."""

PATIENCE = timedelta(minutes=4)

_START = timedelta(seconds=2)
"""Until the workers are up: a case that nobody has begun cannot be hit."""

_WORKER_FREEZES = (0.3, 1.0, 4.0, 8.0)
_SERVER_FREEZES = (0.3, 1.0, 3.0, 12.0)
# A write's timeout, and the engine's grace after it, say for how long a request may be under
# way. A system that answers the question for an effect before it has looked at an older
# request for it cannot be protected from doubles but by keys: so it stays within that time.
_OUTSIDE_FREEZES = (0.3, 1.0, 3.5)
_OUTSIDE_REST = timedelta(seconds=8)
_BETWEEN = (0.5, 3.5)


async def run(lab: Lab, trials: Sequence[Trial], rng: random.Random) -> None:
    """Run the trials under random blows; heal when the last has begun; wait for all."""
    lane = await lab.open_lane(LANE, trials, cold=True)
    await asyncio.sleep(_START.total_seconds())
    slots = asyncio.Semaphore(AT_ONCE)
    begun = asyncio.Event()
    blows = asyncio.ensure_future(_strike(lab, lane, rng, begun))

    async def one(trial: Trial) -> None:
        try:
            await lab.run(lane, trial, PATIENCE)
        finally:
            slots.release()

    running: list[asyncio.Task[None]] = []
    for trial in trials:
        await slots.acquire()
        running.append(asyncio.ensure_future(one(trial)))
        await asyncio.sleep(rng.uniform(0, 2) * PACE.total_seconds())
    begun.set()
    await asyncio.gather(*running)
    await blows
    await lab.quiet(lane)
    await asyncio.sleep(1)
    lab.journal.compared.append(await compare(lab, lane, control=True))
    lab.close_lane(lane)


async def _strike(lab: Lab, lane: Lane, rng: random.Random, begun: asyncio.Event) -> None:
    """Strike until all cases have begun. Blows overlap: a freeze outlasts the next blow."""
    freezes: list[asyncio.Task[None]] = []
    rested = 0.0
    while not begun.is_set():
        await asyncio.sleep(rng.uniform(*_BETWEEN))
        place, kill = rng.random(), rng.random() < 0.5
        if place < 0.2:
            await _strike_server(lab, rng, kill=kill)
            continue
        actor = lane.outside if place < 0.4 else rng.choice(lane.workers)
        if actor.frozen:
            continue
        if kill:
            actor.kill()
        elif actor is not lane.outside:
            freezes.append(asyncio.ensure_future(_freeze(actor, rng.choice(_WORKER_FREEZES))))
        elif time.monotonic() > rested:
            lasting = rng.choice(_OUTSIDE_FREEZES)
            rested = time.monotonic() + lasting + _OUTSIDE_REST.total_seconds()
            freezes.append(asyncio.ensure_future(_freeze(actor, lasting)))
    await asyncio.gather(*freezes)


async def _freeze(actor: Actor, lasting: float) -> None:
    actor.freeze()
    await asyncio.sleep(lasting)
    actor.thaw()


async def _strike_server(lab: Lab, rng: random.Random, *, kill: bool) -> None:
    pid = lab.server.pid
    if pid is None:
        return
    blow = Blow("server", "kill" if kill else "freeze", time.monotonic())
    lab.journal.blows.append(blow)
    lab.signal_server(pid, signal.SIGKILL if kill else signal.SIGSTOP)
    if kill:
        while lab.server.pid in {pid, None}:  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(0.02)
    else:
        await asyncio.sleep(rng.choice(_SERVER_FREEZES))
        lab.signal_server(pid, signal.SIGCONT)
    blow.healed = time.monotonic()
