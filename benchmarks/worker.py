"""The worker of one contender, as a process of its own: `python -m benchmarks.worker`.

It is driven by lines on stdin, and answers each with one line of JSON on stdout:
`entered` gives when each write was entered, and forgets it. At the end of stdin it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from pathlib import Path

from benchmarks.contender import ALL, HANDRAIL, project
from handrail.cli.context import COLLECTS_AFTER
from handrail.runtime import configure_logging, run


async def _serve(queue: str, address: str, home: Path) -> None:
    contender = ALL[queue]
    client = await contender.connect(address, home)
    entered: dict[str, int] = project("freight").entered
    async with contender.working(client, home):
        _say("ready")
        while await asyncio.to_thread(sys.stdin.readline):
            _say(entered)
            entered.clear()


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the worker until stdin ends."""
    parser = argparse.ArgumentParser(prog="benchmarks.worker")
    parser.add_argument("queue", choices=sorted(ALL))
    parser.add_argument("address")
    parser.add_argument("home", type=Path)
    given = parser.parse_args()
    lines = configure_logging("console")
    # Each as its users have it: `handrail worker` brings an event loop, and looks for garbage less.
    start = asyncio.run
    if ALL[given.queue] is HANDRAIL:
        start = run
        gc.set_threshold(COLLECTS_AFTER)
    start(_serve(given.queue, given.address, given.home))
    # The SDK may abort while the interpreter ends; everything is finished here.
    lines.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
