"""`python -m workers.guards`: the run, its table, and what it wrote into docs/demonstration.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from workers.guards.run import run
from workers.guards.table import Report, into_page


def main() -> int:
    """Run every guard; 0 if each fired and nothing was booked that was not let pass."""
    parser = argparse.ArgumentParser(description="Every guard fires on the shipments agent.")
    parser.add_argument("--home", type=Path, help="an empty directory to keep the run in")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    options = parser.parse_args()
    begun = time.monotonic()
    if options.home is not None:
        report = asyncio.run(run(options.home.absolute(), _say))
    else:
        with tempfile.TemporaryDirectory(prefix="guards-") as home:
            report = asyncio.run(run(Path(home), _say))
    _say(f"\n{report.summary} ({time.monotonic() - begun:.0f} s)")
    if report.faults:
        _say("\n".join(f"FAILED {fault}" for fault in report.faults))
        return 1
    if not options.no_page:
        into_page(report)
        _say("written into docs/demonstration.md")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


__all__ = ["Report", "main"]

if __name__ == "__main__":
    sys.exit(main())
