"""`python -m tests.rollouts`: rollouts of good and bad builds, and what ran under them.

For each kind of new build: a real `handrail worker` of the old build, 60 cases of it and some that
wait for people; a `handrail worker` of the new build, `handrail rollout`, and cases all the time,
until the new build is current or taken back. Meanwhile workers of both are killed by SIGKILL and
started again. Counted is what Temporal and the outside system's own books say.
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
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.common import SearchAttributeKey

from handrail.client import BuildView, Operator, why_unready
from handrail.runtime import EmbeddedServer
from handrail.testing import CaseHandle, Human, Outside, Stage, eventually, running, server
from tests.agents.rolled import AGENT, built
from tests.agents.rolled_steps import Parcel

ANA = Human("ana@example.com")
DEPLOYMENT = "parcels-workers"
VERSION = SearchAttributeKey.for_keyword("TemporalWorkerDeploymentVersion")
FORESEEN = {"good": "done", "refused": "back", "wrong": "back", "fails": "back"} | {
    "stuck": "back",
    "gone": "back",
}
PATIENCE = timedelta(minutes=6)
WAITING, BEFORE = 3, 60
COLUMNS = ("ended", "old", "new", "bad", "share", "kills", "waited", "lost", "doubled", "seconds")


@dataclass(frozen=True)
class Row:
    """What came of one rollout. `waited`: open cases of the old build that ended on it."""

    kind: str
    ended: str
    old: int
    new: int
    bad: int
    share: str
    kills: int
    waited: int
    lost: int
    doubled: int
    seconds: float
    why: str

    @property
    def clean(self) -> bool:
        """Whether it ended as it should, and no case was lost, doubled or moved."""
        kept = self.waited == WAITING and not (self.lost or self.doubled)
        share = "100%" if self.ended == "done" else "0%"
        return self.ended == FORESEEN[self.kind] and self.share == share and kept


class Rollout:
    """One rollout, from `b1` to a `b2` of a kind."""

    def __init__(self, kind: str, stage: Stage) -> None:
        self._kind = kind
        self._stage = stage
        self._books = Outside(stage.directory / "outside.db")
        self._operator = Operator(stage.client, by=ANA.address)
        self._workers: dict[str, Process] = {}
        self._number = 0
        self.kills = 0

    async def run(self) -> Row:
        """Roll out, kill, and count."""
        try:
            return await self._run()
        finally:
            for process in self._workers.values():
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _run(self) -> Row:
        await self._start("b1", "good")
        await self._handrail("rollout", "b1", "--every", "1s")
        await eventually(lambda: self._stands("done"), what="the first build")
        started = await self._cases(BEFORE)
        await asyncio.gather(*(each.outcome() for each in started))
        waiting = await self._cases(WAITING, valuable=True)
        for each in waiting:
            await each.gate()
        await self._start("b2", "good" if self._kind == "gone" else self._kind)
        began = time.monotonic()
        options = ("--cases", "8", "--every", "1s", "--why", self._kind)
        await self._handrail("rollout", "b2", "--to", "50%", *options)
        await self._until_over()
        seconds = round(time.monotonic() - began, 1)
        for each in waiting:
            await ANA.approve(each)
            await each.outcome()
        await self._settled()
        return await self._count(waiting, seconds)

    async def _until_over(self) -> None:
        """Let cases come, and kill a worker of each build."""
        rounds = 0
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while not await self._stands("done", "back", "left"):
                await self._cases(4)
                rounds += 1
                if rounds == 2 and self._kind == "gone":
                    await self._kill("b2")
                elif rounds in {2, 5} and self._kind != "gone":
                    build = "b1" if rounds == 2 else "b2"
                    await self._kill(build)
                    await self._start(build, "good" if build == "b1" else self._kind)
                await asyncio.sleep(0.5)

    async def _stands(self, *ends: str) -> bool:
        (seen,) = (await self._operator.rollouts()).deployments
        return seen.stand in ends

    async def _cases(self, count: int, *, valuable: bool = False) -> list[CaseHandle]:
        first, self._number = self._number, self._number + count
        return [
            await self._stage.start(AGENT, Parcel(number=f"{n:05}", valuable=valuable))
            for n in range(first, self._number)
        ]

    async def _settled(self) -> None:
        """Wait for the cases that can end."""
        if self._kind in {"stuck", "gone"}:
            return  # some of the new build's cannot: it is gone, or cannot run them

        async def none() -> bool:
            query = "HandrailState IS NOT NULL AND ExecutionStatus = 'Running'"
            return (await self._stage.client.count_workflows(query)).count == 0

        await eventually(none, what="the end of all cases")

    async def _kill(self, build: str) -> None:
        self._workers[build].kill()
        await self._workers[build].wait()
        self.kills += 1

    async def _start(self, build: str, kind: str) -> None:
        given = self._environment | {
            "ROLLOUTS_KIND": kind,
            "TEMPORAL_DEPLOYMENT_NAME": DEPLOYMENT,
            "TEMPORAL_WORKER_BUILD_ID": build,
        }
        with (self._stage.directory / f"{build}.log").open("ab") as log:
            self._workers[build] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "handrail", "worker"),
                env=os.environ | given,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        async def ready() -> bool:
            return not await why_unready(self._stage.client, DEPLOYMENT, build, "")

        await eventually(ready, what=f"a worker of {build}")

    @property
    def _environment(self) -> dict[str, str]:
        room = self._stage.directory
        return {
            "ROLLOUTS_ROOM": str(room),
            "OUTSIDE_WORLD": str(self._books.path),
            "HANDRAIL_FLEET": "tests.rollouts.worker:fleet",
            "HANDRAIL_HOME": str(room / "home"),
            "HANDRAIL_LEDGER_URL": f"sqlite:///{room}/ledger.db",
            "HANDRAIL_PAYLOAD_DIR": str(room / "payloads"),
            "HANDRAIL_PROOF": "unproven",
            "TEMPORAL_ADDRESS": self._stage.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self._stage.client.namespace,
        }

    async def _handrail(self, *words: str) -> None:
        """Say it by the command line, as its owner."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "handrail", *words, "--by", "boss@example.com"),
            env=os.environ | self._environment | {"ROLLOUTS_KIND": "good"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"handrail {' '.join(words)}: {said.decode()}")

    async def _count(self, waiting: list[CaseHandle], seconds: float) -> Row:
        (seen,) = (await self._operator.rollouts()).deployments
        old, new = (_of(build, seen.builds) for build in ("b1", "b2"))
        sent = Counter(call.key for call in self._books.calls("send") if call.new)
        moved = [await _build_of(self._stage.client, each.id) for each in waiting]
        ran = await self._stage.client.count_workflows("HandrailState IS NOT NULL")
        return Row(
            kind=self._kind,
            ended=seen.stand,
            old=old.cases,
            new=new.cases,
            bad=round((new.bad or 0) * new.cases),
            share=new.share,
            kills=self.kills,
            waited=moved.count("b1"),
            lost=self._number - ran.count,
            doubled=sum(count > 1 for count in sent.values()),
            seconds=seconds,
            why=seen.why,
        )


def _of(build: str, builds: tuple[BuildView, ...]) -> BuildView:
    return next(each for each in builds if each.build == build)


async def _build_of(client: Client, case: str) -> str:
    found = await client.get_workflow_handle(case).describe()
    return (found.typed_search_attributes.get(VERSION) or "").rpartition(":")[2]


async def trial(kind: str, at: EmbeddedServer, room: Path) -> Row:
    """Try one kind in a namespace and a folder of its own."""
    directory = room / kind
    directory.mkdir()
    async with running(built(str(directory)), at, directory, workers=False) as stage:
        row = await Rollout(kind, stage).run()
    print(line(row), file=sys.stderr, flush=True)
    return row


async def experiment(kinds: list[str]) -> list[Row]:
    """Try the kinds, one after the other."""
    with tempfile.TemporaryDirectory(prefix="handrail-rollouts-") as name:
        room = Path(name)
        async with server(room / "server") as at:
            return [await trial(kind, at, room) for kind in kinds]


def line(row: Row) -> str:
    """One line of the table, and why it ended so."""
    return f"{row.kind:8} " + " ".join(f"{getattr(row, n)!s:>8}" for n in COLUMNS) + f"  {row.why}"


def main() -> int:
    """Run, print, and return the exit code: 1 where a rollout did not end as it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.rollouts", description=__doc__)
    parser.add_argument("--kind", action="append", choices=list(FORESEEN))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = asyncio.run(experiment(given.kind or list(FORESEEN)))
    if given.json:
        print(json.dumps([asdict(row) | {"clean": row.clean} for row in rows]))
    else:
        print(f"{'build':8} " + " ".join(f"{name:>8}" for name in COLUMNS))
        print("\n".join(map(line, rows)))
    return 0 if all(row.clean for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
