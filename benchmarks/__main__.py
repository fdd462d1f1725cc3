"""`python -m benchmarks [--quick] [--json FILE]`: measure, and print the report."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.plan import FULL, QUICK, Plan, Results, run
from benchmarks.report import as_json, machine, markdown
from handrail.runtime import configure_logging


async def _measure(plan: Plan) -> Results:
    with tempfile.TemporaryDirectory(prefix="handrail-bench-") as home:
        # Handrail's own log, as its worker writes it. The file stays open to the end: the
        # thread that writes to it does too.
        configure_logging("console", fd=os.open(Path(home, "bench.log"), os.O_WRONLY | os.O_CREAT))
        results = await run(plan, Path(home), _progress)
    # The SDK's threads may abort the process while the interpreter ends.
    await asyncio.sleep(0.1)
    return results


def _progress(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the benchmark. It fails when a contender does not do its work, never for speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, about a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    where, begun = machine(), time.monotonic()
    results = asyncio.run(_measure(plan))
    took = time.monotonic() - begun
    print(markdown(results, plan, where, took))
    if given.json is not None:
        figures = json.dumps(as_json(results, plan, where, took), indent=1)
        given.json.write_text(figures + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
