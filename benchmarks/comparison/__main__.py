"""`python -m benchmarks.comparison [--quick] [--only NAME] [--json FILE]`: print the tables."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.comparison import environments
from benchmarks.comparison.contenders import ALL, Contender
from benchmarks.comparison.keeps import Keeps, Trial, tried
from benchmarks.comparison.measure import FULL, QUICK, Measured, Plan, rounds
from benchmarks.comparison.process import Running
from benchmarks.comparison.report import as_json, figures, markdown
from benchmarks.comparison.servers import backend
from benchmarks.report import machine
from handrail.runtime import configure_logging


async def compare(
    contenders: Sequence[Contender], plan: Plan, home: Path
) -> tuple[dict[str, Measured], dict[str, Keeps]]:
    """Measure all of them in turns; then try what each keeps, all at once."""
    async with contextlib.AsyncExitStack() as stack:
        trials: list[Trial] = []
        for number, contender in enumerate(contenders):
            place = home / str(number)
            place.mkdir()
            started = await stack.enter_async_context(backend(contender, place))
            trials.append(Trial(contender, started, place))
        running = [await Running.start(t.contender, t.backend, t.home) for t in trials]
        measured = await rounds(plan, running, _progress)
        for each in running:
            await each.stop()
        _progress(f"what each keeps is being tried; what it costs:\n{figures(measured)}")
        keeps = await asyncio.gather(*(tried(trial, plan.kills) for trial in trials))
    return measured, {t.contender.name: kept for t, kept in zip(trials, keeps, strict=True)}


def _progress(what: str) -> None:
    print(f"comparison: {what}", file=sys.stderr, flush=True)


def ready(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that can run here; of the others it is said what they need."""
    for name in {each.environment for each in contenders if each.environment}:
        try:
            environments.make(name)
        except (OSError, subprocess.CalledProcessError) as error:
            _progress(f"the environment {name} cannot be made: {error}")
    for each in contenders:
        if each.missing is not None:
            _progress(f"{each.name} is left out; it needs {each.missing}")
    return [each for each in contenders if each.missing is None]


def main() -> None:
    """Compare, and print the tables. It fails when a contender does not do its work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small rounds")
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds instead")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="Handrail and this one; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    given = parser.parse_args()
    first, *others = ALL
    if given.only:
        others = [each for each in others if each.name in given.only]
        if len(others) < len(set(given.only)):
            parser.error(f"--only takes one of: {', '.join(each.name for each in ALL[1:])}")
    contenders, where = ready([first, *others]), machine()
    plan = QUICK if given.quick else FULL
    plan = replace(plan, rounds=given.rounds or plan.rounds)
    configure_logging("console")
    with tempfile.TemporaryDirectory(prefix="comparison-", ignore_cleanup_errors=True) as home:
        measured, keeps = asyncio.run(compare(contenders, plan, Path(home)))
    print(f"{where}.\n")
    print(markdown({each.name: each for each in contenders}, measured, keeps, plan))
    if given.json is not None:
        text = json.dumps(as_json(measured, keeps, plan, where), indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # The SDK's threads may abort the process while the interpreter ends.


if __name__ == "__main__":
    main()
