"""`python -m tests.integrity`: attack Handrail in every way we know, and count what came of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from handrail.oversight import Trust
from handrail.runtime import EmbeddedServer
from handrail.testing import Outside, running, server
from tests import redteam
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order
from tests.integrity import control, deploys, hostile, offline, policies
from tests.integrity.policies import ANA, BO, STRICT, known
from tests.redteam import Report


@dataclass(frozen=True)
class Size:
    """How many of each."""

    offline: int
    online: int
    flood: int
    texts: int
    control: int


FULL = Size(offline=100_000, online=5_000, flood=10_100, texts=200, control=2_000)
SHORT = Size(offline=3_000, online=120, flood=0, texts=24, control=200)


@dataclass
class Results:
    """What came of each part. `control` is that of a weakened engine, and must not be clean."""

    parts: dict[str, Report]
    control: Report
    took: timedelta

    def wrong(self) -> list[str]:
        """Everything that must not be, in words."""
        found = [f"{name}: not clean" for name, part in self.parts.items() if not part.clean]
        if self.control.accepted == 0:
            found.append("the control found nothing in a weakened engine: the suite is blind")
        return found


async def everything(size: Size, seed: int, home: Path, *, quiet: bool) -> Results:
    """Make all attacks, offline and end to end."""
    began = time.monotonic()
    parts: dict[str, Report] = {}

    def done(name: str, report: Report) -> None:
        parts[name] = report
        say(f"{name}: {report.attacks:,} attacks, {report.accepted} accepted", quiet=quiet)

    done("offline", await offline.attack(size.offline, seed))
    async with server(home / "server") as up:
        for quorum in (1, 2):
            where = home / f"quorum{quorum}"
            done(
                f"end to end, quorum of {quorum}",
                await online(up, where, seed + quorum, size.online // 2, quorum, size.flood),
            )
        done("policies", await policies.attack(up, home, seed))
        done("new runs and new code", await deploys.attack(up, home, seed))
        done("hostile texts", await hostile.attack(up, home, size.texts, seed))
    weak = await control.attack(size.control, seed)
    say(f"control: {weak.attacks:,} attacks, {weak.accepted:,} accepted", quiet=quiet)
    return Results(parts, weak, timedelta(seconds=time.monotonic() - began))


async def online(  # noqa: PLR0917  # where, how many, and how many people it takes
    up: EmbeddedServer, directory: Path, seed: int, rulings: int, quorum: int, flood: int
) -> Report:
    """Attack a fleet on the real server, as users do."""
    keyring, people = known(directory, (ANA, BO))
    document = policy(roles={"lead": LEAD | {"quorum": quorum}}, **STRICT)
    with Outside(directory / "outside.db").installed() as outside:
        fleet = orders(directory, document)
        async with running(fleet, up, directory, trust=Trust(keyring=keyring)) as stage:
            more: dict[str, Any] = {
                "approvers": people,
                "keyring": keyring,
                "books": outside.effects,
                "seed": seed,
            }
            report = await redteam.attack(stage, "orders", order, rulings=rulings, **more)
            if flood and quorum == 1:
                report.add(await redteam.flood(stage, "orders", flooded, signals=flood, **more))
    return report


def order(number: int) -> Order:
    """An order that waits for people."""
    return Order(number=f"a{number}", amount=Decimal(300))


def flooded(number: int) -> Order:
    """Another one."""
    return Order(number=f"f{number}", amount=Decimal(300))


def say(text: str, *, quiet: bool) -> None:
    """Say how far it is, where people read it."""
    print(text, file=sys.stderr if quiet else sys.stdout, flush=True)


def show(results: Results) -> None:
    """Print the tables and the sums."""
    whole = Report(next(iter(results.parts.values())).seed)
    for part in results.parts.values():
        whole.add(part)
    print(f"\n{whole.markdown()}\n")
    weak = results.control
    print(
        f"Control, an engine that looks at no signature: {weak.accepted:,} of {weak.attacks:,} "
        f"accepted. All of it took {results.took.total_seconds():.0f} s."
    )


def as_json(results: Results, seed: int) -> dict[str, Any]:
    """The same for programs."""
    return {
        "seed": seed,
        "seconds": results.took.total_seconds(),
        "wrong": results.wrong(),
        "parts": {name: _row(part) for name, part in results.parts.items()},
        "control": _row(results.control),
    }


def _row(report: Report) -> dict[str, Any]:
    whole = asdict(report) | {"took": report.took.total_seconds()}
    return whole | {"attacks": report.attacks, "accepted": report.accepted, "clean": report.clean}


def main() -> int:
    """Attack, print, and return the exit code: 1 if anything was accepted that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.integrity", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--short", action="store_true", help="under a minute")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(
        wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    say(f"integrity: seed {given.seed} (run it again with --seed {given.seed})", quiet=given.json)
    home = Path(tempfile.mkdtemp(prefix="handrail-integrity-"))
    size = SHORT if given.short else FULL
    results = asyncio.run(everything(size, given.seed, home, quiet=given.json))
    wrong = results.wrong()
    if given.json:
        print(json.dumps(as_json(results, given.seed)))
    else:
        show(results)
        print("\n".join(wrong) if wrong else "nothing was accepted that must not be")
    shutil.rmtree(home, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
