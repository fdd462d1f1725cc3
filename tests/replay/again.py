"""Replays every recorded history in a process of its own: `python -m tests.replay.again`.

A workflow derives what it does from more than its own code. Each of these is the same in every
process that may go on with a case, or does not reach a command:

- models: an action, its digest and its evidence are JSON that an activity made once, and the
  history has them (`agent.decided`); the classes of today only read them, and where they do not
  take them, the nearest is taken and nothing raises;
- readings of amendments and answers: made by an activity, and kept (`readings-are-kept`);
- digests: SHA-256 of JSON with sorted keys, of texts, whole numbers and floats as Python writes
  them (their shortest form, which no release has changed since 3.1); never of a model;
- sets: tested for membership, or sorted before anything is made of them; `undos`, gates, rulings
  and questions are lists, tuples and dicts, which keep the order in which they were filled;
- `hash()`: of no value that outlives a process; ids are of `workflow.uuid4`, which is seeded
  by the run;
- schemas of forms, and words of faults, which are pydantic's: shown, noted in the log of the
  case, or in the arguments of an activity, none of which a replay compares;
- the policy: never read in a workflow; what it says comes back from the door with a verdict.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import pydantic

from handrail.agent import verbs
from handrail.testing import replay
from tests.replay.record import HISTORIES, SHORT_RUN, fleet
from tests.replay.scenes import SCENES, SHORT

SHORT_RUNS = tuple(name for name, (_, _, kind) in SCENES.items() if kind == SHORT)
LONG_RUN = verbs.LONG_RUN


async def faults(directory: Path) -> dict[str, str | None]:
    """Of each recorded history, why the code does not do again what it did; None if it does."""
    found: dict[str, str | None] = {}
    agents = fleet(directory)
    for path in sorted(HISTORIES.glob("*.json")):
        verbs.LONG_RUN = SHORT_RUN if path.stem.startswith(SHORT_RUNS) else LONG_RUN
        found[path.stem] = await replay(agents, path, directory)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        said = {"pydantic": pydantic.VERSION, "faults": asyncio.run(faults(Path(name)))}
    json.dump(said, sys.stdout)
