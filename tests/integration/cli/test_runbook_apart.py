"""The operator's night, pages for which a world is needed: clocks, mail, other code, a backup."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import RetryPolicy

from handrail import State
from handrail.client import ensure_stewards
from handrail.oversight import Keyring, Trust
from handrail.runtime import SEARCH_ATTRIBUTES, EmbeddedServer
from handrail.testing import Human, Outside, Stage, crashing_worker, eventually, free_ports
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy
from tests.integration.cli.cli_tools import HANDRAIL, Forked
from tests.integration.cli.night_fleets import as_it_is, changed
from tests.integration.cli.runbook_tools import (
    APART,
    PAGE,
    REHEARSALS,
    RULES,
    SECTIONS,
    Fault,
    Night,
    at,
    ends,
    rehearses,
    typing_as,
)
from tests.integration.inbox.messages_tools import follow, inbox, mail_server, settings
from tests.integration.runtime.test_ledger_held import backup, held

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("short_grace")]

GIVEN = policy(stuck={"after": "1s"})
LARGE = Decimal(300)
ROOT = Path(__file__).parents[3]
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
KILL, START = "systemctl kill -s KILL handrail-worker", "systemctl start handrail-worker"


class Worker:
    """`handrail worker`, as an operator starts it. `code`: of which fleet; `more`: variables."""

    def __init__(self, stage: Stage, code: str = "as_it_is", **more: str) -> None:
        self._directory, self._more = stage.directory, more
        self.code = code
        self.log = stage.directory / "handrail-worker.log"
        self._process: Forked | subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, and wait until it is ready, or does not want to be."""
        module = self._directory / "nightfleet.py"
        module.write_text(
            f"from tests.integration.cli import night_fleets as made\n"
            f"fleet = made.{self.code}({str(self._directory)!r})\n"
        )
        self.log.touch()
        before = self.log.stat().st_size
        process = self._process = await asyncio.to_thread(self._begun)

        async def said() -> bool:
            over = process.ended() if isinstance(process, Forked) else process.poll() is not None
            return over or "ready" in self.log.read_bytes()[before:].decode()

        await eventually(said, within=timedelta(seconds=60))

    def _begun(self) -> Forked | subprocess.Popen[bytes]:
        known = {
            "HANDRAIL_FLEET": "nightfleet:fleet",
            "HANDRAIL_PROOF": "unproven",
            "PYTHONPATH": f"{self._directory}:{ROOT}",
        }
        env = dict(os.environ) | known | self._more
        if not self._more:
            return Forked("worker", cwd=self._directory, env=env, log=self.log)
        # What is loaded before a program is loaded into no fork.
        with self.log.open("ab") as log:
            argv = [*HANDRAIL, "worker"]
            return subprocess.Popen(argv, cwd=self._directory, env=env, stdout=log, stderr=log)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        if isinstance(self._process, subprocess.Popen):
            await asyncio.to_thread(self._process.wait)


async def doctor(machine: Mapping[str, str]) -> str:
    """What the doctor says where it is typed on another machine."""
    known = {"HANDRAIL_FLEET": "nightfleet:fleet", "PYTHONPATH": f"{ROOT}:{Path.cwd()}"}
    made = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "handrail", "doctor", "--live"),
        env={**os.environ, **known, **machine},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await made.communicate()
    return said.decode()


@contextlib.asynccontextmanager
async def worker(stage: Stage, code: str = "as_it_is", **more: str) -> AsyncGenerator[Worker]:
    made = Worker(stage, code, **more)
    await made.start()
    try:
        yield made
    finally:
        await made.kill()


@rehearses("A worker is gone or frozen")
async def a_frozen_worker(night: Night) -> AsyncGenerator[Fault]:
    fleet, directory = "tests.agents.fleets:orders_in", night.stage.directory
    async with crashing_worker(night.stage, fleet, arguments=[str(directory)]) as process:
        await ensure_stewards(night.stage.client, night.stage.fleet.agents)
        await ends(await night.start())
        process.send(signal.SIGSTOP)
        case = await night.start()

        async def killed() -> None:
            process.send(signal.SIGKILL)
            await process.ended()

        by_hand = {KILL: killed, START: process.restart}
        said = "(?s)\n[^\n]*orders[^\n]* ago +orders.*its worker is frozen"
        yield Fault(said, case, by_hand=by_hand)
        await ends(case)


async def a_wrong_clock(night: Night, wrong: str, says: str) -> AsyncGenerator[Fault]:
    clock = night.stage.directory / "clock"
    clock.write_text(f"{wrong}\n")
    machine = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    async def right() -> None:
        (night.stage.directory / "new").write_text("+0s\n")
        (night.stage.directory / "new").rename(clock)

    async with worker(night.stage, **machine):
        assert f"that of this machine is {says} the server's" in await doctor(machine)
        case = await night.start()
        seen = f"(?s)the clock of \\S+ is {says} the server's.*ok +clock"
        yield Fault(seen, case, by_hand={"timedatectl set-ntp true": right})
        await ends(case)
    assert night.outside.doubled() == []


CLOCK = "The clock of a machine is wrong"
rehearses(CLOCK)(functools.partial(a_wrong_clock, wrong="+10m", says="0:10:00 ahead of"))
BEHIND = contextlib.asynccontextmanager(
    functools.partial(a_wrong_clock, wrong="-2h", says="2:00:00 behind")
)


@rehearses("Messages do not go out")
async def a_dead_mail_server(night: Night) -> AsyncGenerator[Fault]:
    stage = night.stage
    async with worker(stage), mail_server() as mail, inbox(stage, settings(stage.directory, mail)):
        await mail.stop()
        case = await night.start(amount=LARGE)
        gate = await case.gate()
        told = await follow(stage, gate)

        async def given_up() -> bool:
            return len((await told.book()).unreached()) > 1

        await eventually(given_up)
        yield Fault(
            f"(?s)bad +messages.*{gate.gate}[^)]*@example.com: the mail server.*connecting",
            case,
            by_hand={"systemctl start postfix": mail.start},
        )
        people = ["ana@example.com", "bo@example.com"]
        asked = {f"asked {each} mail" for each in people}

        async def reached() -> bool:
            return asked <= {*await told.said()} and not (await told.book()).unreached()

        await eventually(reached)
        # The owner hears that nobody could be reached, where it took long until it was mended.
        assert {*await told.said()} - asked <= {"owner boss@example.com mail"}
        assert [len(mail.to(each)) for each in people] == [1, 1]
        assert (await Human(people[0]).approve(case, gate)).accepted
        await ends(case)


@rehearses("A case does not replay")
async def other_code(night: Night) -> AsyncGenerator[Fault]:
    stage = night.stage
    async with worker(stage) as process:
        case = await night.start(amount=LARGE)
        gate = await case.gate()
        await process.kill()
        process.code = "changed"
        await process.start()
        vars(sys.modules["night"])["fleet"] = changed(str(stage.directory))

        async def before() -> None:
            process.code = "as_it_is"
            vars(sys.modules["night"])["fleet"] = as_it_is(str(stage.directory))
            await process.start()

        yield Fault(f"(?s)bad +replay +{case.id}.*TMPRL1100", case, by_hand={START: before})
        assert (await Human("ana@example.com").approve(case, gate)).accepted
        await ends(case)


@rehearses("The ledger was put back from a backup")
async def an_older_ledger(night: Night) -> AsyncGenerator[Fault]:
    stage, file, old = night.stage, night.stage.directory / "ledger.db", "old.db"
    async with worker(stage) as process:
        await ends(await night.start())
        backup(file, stage.directory / old)
        await ends(await night.start())
        between = await night.start("post", "wait")
        await between.until(lambda view: len(view.receipts) == 1)
        await held(stage, least=3)
        await process.kill()
        backup(stage.directory / old, file)
        await process.start()
        case = await night.start()
        yield Fault("(?s)went back.*orders went back from 3 to 1", case)
        await ends(case)
        await between.send("stop", {"by": "cy@example.com"})
        await ends(between, State.STOPPED)
    assert night.outside.doubled() == []
    assert len(night.outside.effects("pay")) == 3


@rehearses("Temporal lost its database")
async def an_empty_server(night: Night) -> AsyncGenerator[Fault]:
    stage, (port, ui_port) = night.stage, free_ports()
    kept, order = stage.directory / "server", '{"number": "lost", "parts": ["pay"]}'
    start = f"handrail start orders '{order}' --wait"
    there = {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}", "TEMPORAL_NAMESPACE": "default"}
    process = Worker(stage, **there)
    async with contextlib.AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in there.items():
            patch.setenv(name, value)
        async with EmbeddedServer(kept, port=port, ui_port=ui_port):
            await process.start()
            stack.push_async_callback(process.kill)
            said, code = await night.type(start, Fault(""))
            assert code == 0, said
        shutil.rmtree(kept)
        bare = EmbeddedServer(kept, port=port, ui_port=ui_port)
        server = await stack.enter_async_context(bare)
        await forget_attributes(server.address)

        async def anew() -> None:
            await process.kill()
            await process.start()

        by_hand = {"systemctl restart handrail-worker": anew}
        yield Fault("bad +search attributes", by_hand=by_hand)
        said, code = await night.type(start, Fault(""))
        assert code == 1
        assert "Temporal knows orders:lost no more" in said
        assert (await night.type(start.replace("lost", "new"), Fault("")))[1] == 0
    assert len(night.outside.effects("pay")) == 2


async def forget_attributes(address: str) -> None:
    """Take from a new server what only we give it: another's would lack it."""
    client = await Client.connect(address)
    await client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(
            namespace="default", search_attributes=sorted(SEARCH_ATTRIBUTES)
        )
    )


async def rehearse(
    rehearsal: contextlib.AbstractAsyncContextManager[Fault], night: Night, section: str
) -> None:
    async with rehearsal as fault:
        await night.follow(section, fault)


@pytest.mark.parametrize("section", sorted(APART))
async def test_a_page_of_the_night_that_needs_a_world(  # noqa: PLR0917  # fixtures
    section: str,
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if section == CLOCK and FAKETIME is None:
        pytest.skip("a wrong clock takes libfaketime (apt-get install faketime)")
    # Nobody sits here for three minutes, nor for ten.
    quick = RetryPolicy(initial_interval=timedelta(seconds=0.2), maximum_attempts=2)
    monkeypatch.setattr("handrail.inbox.channels.workflow.TRIES", quick)
    monkeypatch.setattr("handrail.inbox.channels.again.AGAIN", timedelta(seconds=2))
    fleet = orders(tmp_path, GIVEN)
    typing_as(fleet, tmp_path, monkeypatch)
    trust = Trust(proof="unproven", keyring=Keyring(tmp_path / "trusted.json"))
    async with run_fleet(fleet, trust=trust, workers=False) as stage:
        at(stage, monkeypatch)
        night = Night(stage, outside, capsys)
        await rehearse(REHEARSALS[section](night), night, section)
        if section == CLOCK:
            await rehearse(BEHIND(night), night, section)


def test_every_page_is_rehearsed_and_every_alert_has_one() -> None:
    importlib.import_module("tests.integration.cli.test_runbook")
    assert SECTIONS.keys() == REHEARSALS.keys()
    alerts = re.findall(r"alert: (\w+)", RULES.read_text())
    assert [name for name in alerts if f"`{name}`" not in PAGE] == []
