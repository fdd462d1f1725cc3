"""`python -m tests.deploys`: deploys of changed models under waiting cases, and what came of them.

For each change: a real `handrail worker` brings cases to where they wait for people, and is ended
by SIGKILL. Half of them are approved while nobody works, the others when a worker process
with the changed models is there. Counted is what the outside system's own books say.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.service import RPCError

from handrail import State
from handrail.actions import as_json
from handrail.oversight import CaseView, GateView
from handrail.runtime import EmbeddedServer
from handrail.testing import CaseHandle, Human, Outside, Stage, eventually, running, server
from tests.agents import shifting

ANA, BO = Human("ana@example.com"), Human("bo@example.com")
PATIENCE = timedelta(minutes=4)
"""For all cases of one deploy. What has not been written then is wedged."""

LANES = 2
COLUMNS = (
    *("cases", "approved", "asked", "amended"),
    *("other", "wrong", "doubled", "wedged", "seconds"),
)
FORESEEN = {"done": "as approved", "asked": "asked again", "amended": "amended"}


@dataclass(frozen=True)
class Row:
    """What came of the cases of one change. `other`: not what the change should lead to."""

    change: str
    cases: int
    approved: int
    asked: int
    amended: int
    other: int
    wrong: int
    doubled: int
    wedged: int
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether each was written once, as people last approved it, or asked as it should."""
        return not (self.other or self.wrong or self.doubled or self.wedged)


class Deploy:
    """One deploy, of one change or more, under as many waiting cases of each as are wanted."""

    def __init__(self, changes: Sequence[str], cases: int, stage: Stage) -> None:
        self._changes = changes
        self._wanted = cases
        self._stage = stage
        self._books = Outside(stage.directory / "outside.db")
        self._approved: dict[str, Any] = {}
        """What people last said yes to, of each case."""
        self._how: dict[str, Counter[str]] = {what: Counter() for what in changes}

    async def run(self) -> list[Row]:
        """Wait, kill, deploy, approve, and count."""
        began = time.monotonic()
        old = await self._worker("before")
        try:
            waiting = await self._waiting()
        finally:
            old.kill()
            await old.wait()
        for _, case, seen in waiting[::2]:
            await case.send("approve", ANA.ruling(seen))
        new = await self._worker("after")
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                for _, case, seen in waiting[1::2]:
                    await case.send("approve", ANA.ruling(seen))
                for what, case, seen in waiting:
                    self._how[what][await self._carried(what, case, seen)] += 1
        except (TimeoutError, RPCError) as error:
            say(f"{error}; {self._log('after')[-3_000:]}")
        finally:
            new.kill()
            await new.wait()
        seconds = round(time.monotonic() - began, 1)
        return [self._count(what, seconds) for what in self._changes]

    async def _worker(self, code: str) -> Process:
        room = self._stage.directory
        given = {
            "DEPLOYS_ROOM": str(room),
            "DEPLOYS_CODE": code,
            "DEPLOYS_CHANGES": "|".join(self._changes),
            "OUTSIDE_WORLD": str(self._books.path),
            "HANDRAIL_FLEET": "tests.deploys.worker:fleet",
            "HANDRAIL_HOME": str(room / "home"),
            "HANDRAIL_LEDGER_URL": f"sqlite:///{room}/ledger.db",
            "HANDRAIL_PAYLOAD_DIR": str(room / "payloads"),
            "HANDRAIL_LOG_FORMAT": "json",
            "HANDRAIL_PROOF": "unproven",
            "TEMPORAL_ADDRESS": self._stage.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self._stage.client.namespace,
        }
        with (room / f"{code}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "handrail", "worker"),
                env=os.environ | given,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        async def ready() -> bool:
            return process.returncode is not None or '"ready"' in self._log(code)

        await eventually(ready, within=PATIENCE, what="a worker")
        return process

    def _log(self, code: str) -> str:
        return (self._stage.directory / f"{code}.log").read_text(encoding="utf-8")

    async def _waiting(self) -> list[tuple[str, CaseHandle, GateView]]:
        of = {f"{at}-{n}": w for at, w in enumerate(self._changes) for n in range(self._wanted)}
        cases = [
            (what, await self._stage.start("shifting", shifting.Came(what=what, number=number)))
            for number, what in of.items()
        ]
        return [(what, case, await case.gate()) for what, case in cases]

    async def _carried(self, what: str, case: CaseHandle, seen: GateView) -> str:
        """Answer what is asked again. What came of the case."""

        def on(view: CaseView) -> bool:
            return settling(view) or any(gate.gate != seen.gate for gate in view.gates)

        self._approved[case.id] = seen.action
        view = await case.until(on)
        if not view.gates:
            return "as approved"
        (again,) = view.gates
        if again.before != (seen.action if again.action != seen.action else None):
            return "asked without what was approved"
        how = await self._again(what, case, again)
        await case.until(settling)
        return how

    async def _again(self, what: str, case: CaseHandle, again: GateView) -> str:
        self._approved[case.id] = again.action
        if (await BO.approve(case, again)).accepted:
            return "asked again"
        new = shifting.CHANGES[what].after
        action = as_json(new.model_validate({"to": "DE1"} if "to" in new.model_fields else {}))
        self._approved[case.id] = action
        amended = await BO.amend(case, {}, again, action=action)
        return "amended" if amended.accepted else f"not amended: {amended.note}"

    def _count(self, what: str, seconds: float) -> Row:
        mine = f"shifting:{self._changes.index(what)}-"
        written: dict[str, list[Any]] = {}
        for call in self._books.calls("till"):
            if call.key.startswith(mine):
                written.setdefault(call.key, []).append(call.body)
        how = self._how[what]
        return Row(
            change=what,
            cases=self._wanted,
            approved=how["as approved"],
            asked=how["asked again"],
            amended=how["amended"],
            other=how.total() - how[FORESEEN[shifting.CHANGES[what].becomes]],
            wrong=sum(self._approved.get(case) not in did for case, did in written.items()),
            doubled=sum(len(did) > 1 for did in written.values()),
            wedged=self._wanted - len(written),
            seconds=seconds,
        )


def settling(view: CaseView) -> bool:
    """Whether all is written."""
    return view.state is State.SETTLING


async def deploy(changes: Sequence[str], cases: int, at: EmbeddedServer, room: Path) -> list[Row]:
    """Try a deploy in a namespace and a folder of its own."""
    directory = room / changes[0].replace(" ", "-")
    directory.mkdir()
    before = shifting.deployed(directory, after=False, only=changes)
    async with running(before, at, directory, workers=False) as stage:
        rows = await Deploy(changes, cases, stage).run()
    say("\n".join(map(line, rows)))
    return rows


async def experiment(deploys: Sequence[Sequence[str]], cases: int) -> list[Row]:
    """Try the deploys, each of its changes, two at a time."""
    free = asyncio.Semaphore(LANES)
    with tempfile.TemporaryDirectory(prefix="handrail-deploys-") as name:
        room = Path(name)
        async with server(room / "server") as at:

            async def one(changes: Sequence[str]) -> list[Row]:
                async with free:
                    return await deploy(changes, cases, at, room)

            return [row for rows in await asyncio.gather(*map(one, deploys)) for row in rows]


def line(row: Row) -> str:
    """One line of the table."""
    return f"{row.change:28} " + " ".join(f"{getattr(row, name):8}" for name in COLUMNS)


def say(text: str) -> None:
    """Tell whoever watches."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run, print, and return the exit code: 1 where a case was not written as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploys", description=__doc__)
    parser.add_argument("--cases", type=int, default=50, help="that wait, for each change")
    parser.add_argument("--change", action="append", choices=list(shifting.CHANGES))
    parser.add_argument("--together", action="store_true", help="all changes by one deploy")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    changes = given.change or list(shifting.CHANGES)
    deploys = [changes] if given.together else [[what] for what in changes]
    rows = asyncio.run(experiment(deploys, given.cases))
    if given.json:
        print(json.dumps([asdict(row) | {"clean": row.clean} for row in rows]))
    else:
        head = " ".join(f"{name:>8}" for name in COLUMNS)
        print(f"{'change':28} {head}")
        print("\n".join(map(line, rows)))
    return 0 if all(row.clean for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
