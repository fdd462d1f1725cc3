"""Plays every scene, and keeps the history of each run: `python -m tests.replay.record`.

Only after a change that is meant to be incompatible, with a patch for the open cases.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from temporalio import workflow
from temporalio.client import WorkflowFailureError

from handrail import Fleet
from handrail.agent import invoke, verbs
from handrail.oversight import Keyring, Trust
from handrail.testing import Outside, Stage, record, running, server
from tests.agents.errands import errands
from tests.agents.fleets import (
    LEAD,
    careless,
    clerk,
    fetcher,
    filing,
    halls,
    handing,
    odd,
    orders,
    policy,
)
from tests.injection.toolbox_run import agent as assistant
from tests.replay.scenes import BEFORE_NAMES, KEYED, OLDER, SCENES, SHORT, TAKEN_OVER, Play

HISTORIES = Path(__file__).parent / "histories"
SHORT_RUN = 20
ROLES = {
    "lead": LEAD | {"deadline": {"after": "8h", "then": "escalate", "to": "operations"}},
    "operations": {"people": ["cy@example.com"], "deadline": {"after": "24h", "then": "refuse"}},
}


PROVEN_LEAD = LEAD | {"deputies": ["cy@example.com"], "clock": "stops"}
CURIOUS = policy(
    agent="curious", proof="required", drafter="may not approve", roles={"lead": PROVEN_LEAD}
)
PLANTED = policy(
    agent="planted",
    proof="required",
    planted="100%",
    actions={"ship": {"autonomy": "supervised"}},
)


def fleet(directory: Path) -> Fleet:
    """All agents of the scenes."""
    named = [
        orders(directory, policy(agent=a, roles=ROLES)) for a in ("orders", "patient", "standing")
    ]
    named += [orders(directory, CURIOUS), orders(directory, PLANTED), odd(directory)]
    named += [clerk(directory), clerk(directory, "helper"), handing(directory)]
    named += [halls(directory), fetcher(directory), careless(directory)]
    named += [Fleet(assistant(directory)), errands(directory), filing(directory)]
    return Fleet(*(agent for each in named for agent in each.agents.values()))


def trust(directory: Path) -> Trust:
    """Those of the scenes who have keys."""
    keyring = Keyring(directory / "trusted.json")
    for human in KEYED.values():
        if human.key is not None:
            keyring.trust(human.key.public())
    return Trust(keyring, "unproven")


def as_of_old(patch: str) -> bool:
    """Do as the code did before there was any patch."""
    del patch
    return False


def as_before(late: str) -> Callable[[str], bool]:
    """Do as the code did before one patch."""
    patched = workflow.patched
    return lambda patch: patch != late and patched(patch)


async def play(name: str, stage: Stage, outside: Outside, number: int) -> None:
    """Play one scene to its end, and keep every run of its case."""
    played, end, _ = SCENES[name]
    case = await played(Play(stage, outside, str(number)))
    if end is not None:
        with contextlib.suppress(WorkflowFailureError):
            await case.outcome()
        view = await case.view()
        if view.state is not end:
            raise AssertionError(f"{name} ended as {view.state}, not as {end}: {view.why}")
    runs = stage.client.list_workflows(f"WorkflowId = '{case.id}'")
    found = sorted([run async for run in runs], key=lambda run: run.start_time)
    for position, run in enumerate(found, 1):
        handle = stage.client.get_workflow_handle(case.id, run_id=run.run_id)
        suffix = f"-{position}" if len(found) > 1 else ""
        await record(handle, HISTORIES / f"{name}{suffix}.json")


@contextlib.asynccontextmanager
async def playing() -> AsyncGenerator[tuple[Stage, Outside]]:
    """A stage with all agents, and an outside world."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        outside = Outside(directory / "outside.db")
        with outside.installed():
            async with (
                server(directory / "server") as started,
                running(fleet(directory), started, directory, trust=trust(directory)) as stage,
            ):
                yield stage, outside


async def main(names: list[str]) -> None:
    """Play the scenes of these names, or all."""
    async with playing() as (stage, outside):
        for number, name in enumerate(SCENES, 1):
            if names and name not in names:
                continue
            sys.stderr.write(f"{name}\n")
            long_run, fresh, patched = verbs.LONG_RUN, invoke.FRESH, workflow.patched
            if SCENES[name][2] == SHORT:
                verbs.LONG_RUN = SHORT_RUN
            if SCENES[name][2] == TAKEN_OVER:
                invoke.FRESH = 0
            if SCENES[name][2] == OLDER:
                workflow.patched = as_of_old
            if SCENES[name][2] == BEFORE_NAMES:
                workflow.patched = as_before(BEFORE_NAMES)
            await play(name, stage, outside, number)
            verbs.LONG_RUN, invoke.FRESH, workflow.patched = long_run, fresh, patched


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(sys.argv[1:]))
