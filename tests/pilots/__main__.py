"""`python -m tests.pilots FOLDER`: see README.md."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from handrail.client.pilot_views import ClassView
from tests.pilots.coding_pilot import halves, piloted


async def main(folder: Path) -> None:
    """Run it, and print a line for each month."""
    coder, measured = halves(folder)
    print(f"{len(measured)} cases to be measured, split by case")
    classes: tuple[ClassView, ...] = ()
    with tempfile.TemporaryDirectory() as home:
        async for seen in piloted(coder, measured, Path(home)):
            found = seen.pilot.agreement
            share = f"{found.needs} more" if found.share is None else f"{found.share:.1%}"
            line = f"{seen.at:%Y-%m-%d}  {found.n:6} cases  {share}  at least {found.low:.1%}"
            print(line, *seen.done.proposed, sep="  ")
            classes = seen.pilot.classes
    for each in classes:
        print(f"{each.kind}: {each.same} of {each.agreement.n} as people did")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
