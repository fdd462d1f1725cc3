"""The share of the door: what stands around one write, stage by stage.

The door of the contender's agent is called as its activity calls it, on the same kind of
ledger, and the engine's own named boundaries say when each stage was reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, cast

from temporalio.testing import ActivityEnvironment

from benchmarks.contender import HANDRAIL, PASSING, alert, project
from handrail import Ledger
from handrail.actions import Action, Decision, digest_of
from handrail.agent import Write
from handrail.failpoints import listen
from handrail.guardrails import Door
from handrail.policy import PolicyFile
from handrail.wire import Attempt

STAGES = {
    ("start", "write:arrived"): "into the step",
    ("write:arrived", "write:judged"): "judged: is it stopped or begun, checks, rules",
    ("write:judged", "write:before-intent"): "logged, and who it is that writes",
    ("write:before-intent", "write:after-intent"): "the intent is committed",
    ("write:after-intent", "write:before-effect"): "nothing stands against it",
    ("write:before-effect", "write:after-effect"): "the effect itself",
    ("write:after-effect", "write:before-receipt"): "the receipt is made",
    ("write:before-receipt", "write:after-receipt"): "the receipt is committed",
    ("write:after-receipt", "write:answering"): "the answer is made",
    ("write:answering", "end"): "out of the step",
}
"""From which boundary to which, and what happens between them."""


@dataclass(frozen=True)
class Stage:
    """A stage of a write: medians in microseconds, on the clock and of CPU (all threads)."""

    what: str
    clock: float
    cpu: float


class NotWritten(Exception):
    """A write did not pass: what was measured is something else."""


Mark = tuple[str, int, int]
WORKFLOW = "GuardedFreight"


async def profile(home: Path, writes: int) -> list[Stage]:
    """Make writes through the door, and say how long each stage took."""
    agent = HANDRAIL.fleet.agent(HANDRAIL.queue)
    step = cast("Write[Any, Any]", project("guarded_steps").rebook)
    async with Ledger(f"sqlite:///{home / 'door.db'}") as ledger:
        door = Door(
            agent=agent.name,
            shape=agent.shape,
            steps=agent.steps,
            policy=PolicyFile(agent.policy, agent.shape),
            ledger=ledger,
        )
        run = next(a for a in door.activities() if cast("Any", a).__name__ == step.name)
        rounds = [await _timed(run, *_attempt(step, number)) for number in range(writes)]
    return _stages(rounds[writes // 10 :])


def _attempt(step: Write[Any, Any], number: int) -> tuple[Action, Attempt]:
    event = alert(f"DOOR-{number:06}", PASSING)
    freight = project("freight")
    decision = cast("Decision[Any, Any]", freight.chosen(event, freight.looked_up(event.key)))
    case = f"{HANDRAIL.queue}:{event.key}"
    action = cast("Action", decision.action)
    digest = digest_of(step.name, action.model_dump(mode="json"))
    return action, Attempt(
        case=case, key=f"{case}/{step.name}/1", digest=digest, basis=decision.basis()
    )


async def _timed(run: Callable[..., Any], action: Action, attempt: Attempt) -> list[Mark]:
    marks: list[Mark] = []

    def mark(boundary: str, case: str) -> None:
        del case
        marks.append((boundary, time.perf_counter_ns(), time.process_time_ns()))

    listen(mark)
    environment = ActivityEnvironment()
    # As of its own case, for which alone the door writes.
    environment.info = replace(environment.info, workflow_id=attempt.case, workflow_type=WORKFLOW)
    try:
        mark("start", "")
        answer = await environment.run(run, action, attempt)
        mark("end", "")
    finally:
        listen(None)
    if answer.receipt is None:
        raise NotWritten(f"the door did not write {attempt.key}: {answer.why or answer.verdict}")
    return marks


def _stages(rounds: list[list[Mark]]) -> list[Stage]:
    found: list[Stage] = []
    for position, pair in enumerate(zip(rounds[0], rounds[0][1:], strict=False)):
        names = (pair[0][0], pair[1][0])
        clock = median(r[position + 1][1] - r[position][1] for r in rounds) / 1000
        cpu = median(r[position + 1][2] - r[position][2] for r in rounds) / 1000
        found.append(Stage(STAGES.get(names, " to ".join(names)), clock, cpu))
    return found
