"""The run itself: one scene after another, and what nobody may have got past."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path

from handrail.actions import Kind
from handrail.ledger import EffectState
from handrail.oversight import OrderState
from handrail.states import State
from handrail.testing import CaseHandle
from workers.guards import after, before
from workers.guards.owner import AGENT
from workers.guards.policies import Change, Doc, rebook
from workers.guards.rows import NotFired, Row, require
from workers.guards.site import Site, site
from workers.guards.table import Comparison, Report

Say = Callable[[str], None]
Scene = Callable[[Site], Awaitable[list[Row]]]

SCENES: tuple[Scene, ...] = (
    before.refused,
    before.held,
    before.source,
    before.data_check,
    before.duplicate,
    after.reviewed,
    after.secret,
    before.stopped,
    before.older,
    before.autonomy,
    after.silenced,
    before.scope,
    before.limits,
    before.unusual,
    after.breaker,
)


def stricter(doc: Doc) -> None:
    """A policy that asks people from 100 EUR on."""
    rebook(doc)["hold"][0].update(when="action.extra_cost > 100", why="costs more than 100 EUR")


def looser(doc: Doc) -> None:
    """A policy that asks from 500 EUR on, and nobody about pharma."""
    rules = rebook(doc)["hold"]
    rules[0].update(when="action.extra_cost > 500", why="costs more than 500 EUR")
    del rules[1]


DIFFERENT: tuple[tuple[str, Change], ...] = (
    ("stricter: asks from 100 EUR on", stricter),
    ("looser: asks from 500 EUR on, and nobody about pharma", looser),
)


async def run(home: Path, say: Say) -> Report:
    """Make every guard fire in `home`, which must be empty."""
    async with site(home) as here:
        play = Play(here, say)
        await play.all((before.harmless, after.nearly))
        # It goes on after a minute, while the others are at work.
        waiting = await play.used_up()
        await play.all(SCENES)
        if waiting is not None:
            await play.one("budget: goes on", lambda _: _went_on(waiting))
        await play.one("nothing else was booked", nothing_else)
        compared = await play.compared()
        booked = len(await here.freight.booked())
        return Report(play.rows, compared, play.faults, len(here.cases), booked)


class Play:
    """Plays scenes, and goes on where one fails."""

    def __init__(self, here: Site, say: Say) -> None:
        self.here = here
        self.say = say
        self.rows: list[Row] = []
        self.faults: list[str] = []

    async def all(self, scenes: tuple[Scene, ...]) -> None:
        """Play several, by their names."""
        for scene in scenes:
            await self.one(scene.__name__, scene)

    async def one(self, name: str, scene: Scene) -> None:
        """Play one; a guard that did not fire is a fault."""
        try:
            rows = await scene(self.here)
        # Whatever it was that went wrong, the guard was not seen to fire.
        except Exception as error:  # noqa: BLE001
            self.faults.append(f"{name}: {type(error).__name__}: {error}")
            self.say(self.faults[-1])
            await self.here.restore()
            return
        self.rows += rows
        for row in rows:
            self.say(f"{row.guard:28} {row.consignment:9} {row.said}")

    async def used_up(self) -> CaseHandle | None:
        """The case that waits for its budget, while the rest goes on."""
        found: list[CaseHandle] = []

        async def scene(here: Site) -> list[Row]:
            rows, case = await after.used_up(here)
            found.append(case)
            return rows

        await self.one("used_up", scene)
        return found[0] if found else None

    async def compared(self) -> list[Comparison]:
        """What other policies would have decided otherwise of all of this."""
        found: list[Comparison] = []

        async def scene(here: Site) -> list[Row]:
            found.extend(await _compared(here))
            return []

        await self.one("policy diff", scene)
        return found


async def _went_on(case: CaseHandle) -> list[Row]:
    outcome = await case.outcome()
    require(outcome.status is State.DONE, f"it did not go on: {outcome.why}")
    return []


async def nothing_else(here: Site) -> list[Row]:
    """Whatever the carrier booked for the agent was let pass, and the ledger knows it.

    Raises:
        NotFired: if not, with the keys of the bookings.
    """
    booked = await here.freight.booked()
    passed = {
        row.key
        for row in await here.ledger.verdicts(AGENT)
        if row.kind is Kind.PASS and not row.pilot and row.key
    }
    unasked = sorted(booked.keys() - passed)
    require(not unasked, f"booked and not let pass: {', '.join(unasked)}")
    rows = [row for case in here.cases for row in await here.ledger.effects(case.id)]
    done = {row.key for row in rows if row.state is EffectState.DONE}
    require(done == booked.keys(), f"the ledger and the carrier differ: {done ^ booked.keys()}")
    held = {key for key in booked if not await _by_right(here, key)}
    require(not held, f"held, and booked without an approval: {', '.join(sorted(held))}")
    return []


async def _by_right(here: Site, key: str) -> bool:
    """Whether nothing held a booking, or a human approved exactly it."""
    row = next(r for r in await here.ledger.verdicts(AGENT) if r.key == key and r.kind is Kind.PASS)
    if all(finding.kind is not Kind.HOLD for finding in row.findings):
        return True
    view = await CaseHandle(here.client, row.case).view()
    return any(r.accepted and r.digest == row.digest for r in view.rulings)


async def _compared(here: Site) -> list[Comparison]:
    """`handrail policy diff` on this run, from the agent's own policy to others."""
    here.policies.change()
    _, second = await here.owner.full("it is over")
    require(second.stand is OrderState.IN_FORCE, f"not set: {second.note}")
    late = await here.freight.take(before.cheap, what="one that runs alone")
    # The policy in force is the last one that a worker has judged by.
    await (await here.start(late.alert)).outcome()
    found: list[Comparison] = []
    for number, (name, change) in enumerate(DIFFERENT):
        path = here.home / f"other-{number}.yaml"
        path.write_text(here.policies.text(change, version=1_000 + number))
        document = json.loads(await _handrail("policy", "diff", str(path), "--json"))
        require(document["differ"] > 0, f"{name}: nothing would have been decided otherwise")
        found.append(Comparison(name, document))
    return found


async def _handrail(*args: str) -> str:
    """What a command of Handrail says."""
    command = [sys.executable, "-m", "handrail", *args]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    if process.returncode:
        raise NotFired(f"handrail {' '.join(args)}: {errors.decode()[-400:]}")
    return output.decode()
