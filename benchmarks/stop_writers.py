"""A worker process under load: many writes at a time, through a door and a ledger of its own.

`python -m benchmarks.stop_writers URL HOME NUMBER WRITERS`. It answers each line on its input
with a line of JSON: the times, in nanoseconds, at which effects have begun since the line
before, and how often the door said that all is stopped.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handrail import Action, Effect, Ledger, LedgerUnavailable, write
from handrail.actions import digest_of
from handrail.guardrails import Door
from handrail.oversight import Trust
from handrail.policy import AgentShape, PolicyFile, WriteShape
from handrail.runtime import configure_logging
from handrail.wire import Attempt, WriteResult, WriteResultKind
from tests.agents.activity import activity_of

AGENT = "payer"
STEP = "pay"
POLICY = """\
agent: payer
version: 1
owner: owner@example.com
proof: unproven
actions:
  pay:
    autonomy: full
    irreversible: it is a measurement
    refuse: [{when: action.amount > 5000, why: more than anybody may spend}]
    hold: [{when: action.amount > 200, why: costs more than 200 EUR, for: lead}]
roles:
  lead: {people: [ana@example.com], deadline: {after: 8h, then: refuse}}
"""

SENDING = 0.002
"""Seconds that the outside system takes to answer."""

LOOKING = 0.02
"""Seconds after which a writer that was stopped tries again."""


class Pay(Action):
    """Pay an amount."""

    amount: int


@write(idempotent=True)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay, as far as anybody outside can tell."""
    del action, effect
    SEEN.begun.append(time.time_ns())
    await asyncio.sleep(SENDING)
    return "paid"


@dataclass
class Seen:
    """What happened since somebody asked."""

    begun: list[int] = field(default_factory=list[int])
    stopped: int = 0

    def told(self) -> str:
        """It in a line; from now on it is counted anew."""
        line = json.dumps({"begun": self.begun, "stopped": self.stopped})
        self.begun, self.stopped = [], 0
        return line


SEEN = Seen()


def door(ledger: Ledger, home: Path) -> Door:
    """The door of an agent that pays."""
    shape = AgentShape(AGENT, {STEP: WriteShape(STEP, Pay)})
    policy = PolicyFile(home / "payer.yaml", shape)
    return Door(AGENT, shape, [pay], policy, ledger, trust=Trust(proof="unproven"))


async def writing(run: Any, name: str) -> None:
    """Write one after the other, each in a case of its own. Stopped, try it again."""
    action = Pay(amount=20)
    digest = digest_of(STEP, action.model_dump(mode="json"))
    for number in itertools.count():
        case = f"{AGENT}:{name}-{number}"
        attempt = Attempt(case=case, key=f"{case}/{STEP}/1", digest=digest)
        while not await _written(run, action, attempt):
            SEEN.stopped += 1
            await asyncio.sleep(LOOKING)


async def _written(run: Any, action: Pay, attempt: Attempt) -> bool:
    try:
        answer: WriteResult = await activity_of(attempt.case).run(run, action, attempt)
    except LedgerUnavailable:
        return False  # tried again, as Temporal would
    if answer.kind not in {WriteResultKind.WRITTEN, WriteResultKind.STOPPED}:
        raise RuntimeError(f"the door said {answer.kind}: {answer.verdict.why()}")
    return answer.kind is WriteResultKind.WRITTEN


async def main(url: str, home: Path, number: str, writers: int) -> None:
    """Write until the input ends."""
    loop = asyncio.get_running_loop()
    # Handrail's own log, as its worker writes it.
    log = os.open(home / f"writer-{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    configure_logging("json", fd=log)
    async with Ledger(url) as ledger:
        run = next(a for a in door(ledger, home).activities() if getattr(a, "__name__", "") == STEP)
        tasks = [asyncio.create_task(writing(run, f"{number}-{each}")) for each in range(writers)]
        while await loop.run_in_executor(None, sys.stdin.readline):
            for task in tasks:
                if task.done():
                    task.result()
            print(SEEN.told(), flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def now() -> datetime:
    """The time of this machine, which all processes of a measurement share."""
    return datetime.now(UTC)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    os._exit(0)
