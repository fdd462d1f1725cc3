"""The operator's night: each page of the runbook, followed word by word, with its fault at hand."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import resource
import shlex
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handrail import Fleet, State
from handrail.cli.app import run
from handrail.client import ensure_stewards
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import CaseHandle, Human, Outside, Stage, crashing_worker, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.deposits_steps import Tenancy
from tests.agents.fleets import LEAD, orders, policy, put_policy
from tests.agents.orders_steps import Order
from tests.agents.poison import pause_in_temporal, unpause_in_temporal
from tests.integration.agent.test_afterwards import deposits

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("short_grace")]

DOCS = Path(__file__).parents[3] / "docs"
RULES = DOCS.parent / "deploy" / "prometheus-rules.yaml"
PAGE = (DOCS / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
GIVEN = policy(
    stuck={"after": "1s"}, breakers=[{"after": "2 refusals per hour", "then": "supervised"}]
)
LARGE = Decimal(300)
LOOKS = 20
"""How often somebody looks before they do not see it."""


def typed(section: str) -> list[list[str]]:
    """The blocks of a page: the first is what is looked at, the others are what is done."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in blocks]


@dataclass
class Fault:
    """What is wrong. `seen`: what is to be read; `by_hand`: lines of others' programs, done so."""

    seen: str
    case: CaseHandle | None = None
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    by_hand: Mapping[str, Callable[[], Awaitable[Any]]] = field(
        default_factory=dict[str, Callable[[], Awaitable[Any]]]
    )
    mended: Callable[[], object] = lambda: None


@dataclass
class Night:
    """An operator at the shell."""

    stage: Stage
    outside: Outside
    capsys: pytest.CaptureFixture[str]
    number: int = 0

    async def start(self, *parts: str, **more: Any) -> CaseHandle:
        self.number += 1
        order = {"number": f"n{self.number}", "parts": parts or ("pay",), **more}
        return await self.stage.start("orders", Order.model_validate(order))

    async def type(self, line: str, fault: Fault) -> tuple[str, int]:
        # Nobody sits here for half a minute.
        line = line.partition("  #")[0].strip().replace("--for 30s", "--for 0s")
        for name, value in {"CASE": fault.case and fault.case.id, **fault.words}.items():
            line = re.sub(rf"\b{name}\b", str(value), line)
        program, *argv = shlex.split(line)
        if program != "handrail":
            await fault.by_hand[line]()
            return "", 0
        self.capsys.readouterr()
        code = await asyncio.to_thread(run, argv)
        said = self.capsys.readouterr()
        return f"$ {line}\n{said.out}{said.err}", code

    async def follow(self, section: str, fault: Fault) -> None:
        looks, *orders = typed(section)

        said = ""
        for _ in range(LOOKS):
            said = "".join([(await self.type(line, fault))[0] for line in looks])
            if re.search(fault.seen, said):
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError(f"{section}: nowhere {fault.seen!r} in\n{said}")
        fault.mended()
        for block in orders:
            for line in block:
                for _ in range(LOOKS):
                    said, code = await self.type(line, fault)
                    if code == 0:
                        break
                    assert "until it ends with 0" in line, said
                    await asyncio.sleep(0.2)

    async def id_of_incident(self, case: CaseHandle) -> str:
        async def found() -> Any:
            return await self.stage.ledger.incidents(case=case.id)

        return str((await eventually(found))[0].id)


Rehearsal = Callable[[Night], contextlib.AbstractAsyncContextManager[Fault]]
REHEARSALS: dict[str, Rehearsal] = {}


def rehearses(section: str) -> Callable[[Callable[[Night], AsyncGenerator[Fault]]], Rehearsal]:
    def kept(fn: Callable[[Night], AsyncGenerator[Fault]]) -> Rehearsal:
        REHEARSALS[section] = contextlib.asynccontextmanager(fn)
        return REHEARSALS[section]

    return kept


async def ends(case: CaseHandle, state: State = State.DONE) -> None:
    assert (await case.outcome()).status is state


@rehearses("An outside system is down")
async def a_stuck_write(night: Night) -> AsyncGenerator[Fault]:
    night.outside.break_down("ship", times=10_000, says="502 Bad Gateway")
    case = await night.start("ship")
    yield Fault("502 Bad Gateway", case, mended=lambda: night.outside.mend("ship"))
    await ends(case)


@rehearses("The server is away")
async def no_server(night: Night) -> AsyncGenerator[Fault]:
    where = os.environ["TEMPORAL_ADDRESS"]
    case = await night.start(amount=LARGE)
    gate = await case.gate()
    os.environ["TEMPORAL_ADDRESS"] = "127.0.0.1:1"

    async def started() -> None:
        os.environ["TEMPORAL_ADDRESS"] = where

    try:
        yield Fault(
            "(?s)127.0.0.1:1.*No Temporal server answers at 127.0.0.1:1",
            by_hand={"systemctl start temporal": started},
        )
    finally:
        await started()
    assert (await Human("ana@example.com").approve(case, gate)).accepted
    await ends(case)


@rehearses("The ledger cannot be written")
async def a_full_disk(night: Night) -> AsyncGenerator[Fault]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    lift = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
    try:
        case = await night.stage.fleet.start(
            night.stage.client, "orders", Order.model_validate({"number": "disk"})
        )
        yield Fault("(?i)ledger.*(disk|full|I/O)", mended=lift)
    finally:
        lift()
    await ends(night.stage.case(case.case))


@rehearses("A policy is broken")
async def a_broken_policy(night: Night) -> AsyncGenerator[Fault]:
    path = night.stage.directory / "orders.yaml"
    path.write_text("agent: orders\nvershun: 1\n")
    case = await night.start()
    mended = functools.partial(put_policy, night.stage.directory, GIVEN)
    yield Fault("(?s)vershun.*orders.yaml:2: vershun.*did you mean version", case, mended=mended)
    await ends(case)


@rehearses("A breaker went off")
async def too_much_is_refused(night: Night) -> AsyncGenerator[Fault]:
    await ensure_stewards(night.stage.client, night.stage.fleet.agents)
    for _ in range(3):
        await ends(await night.start(amount="5000"), State.REFUSED)
    yield Fault("(?s)supervised.*breaker")
    await ends(await night.start())


@rehearses("Something is stopped")
async def a_stop(night: Night) -> AsyncGenerator[Fault]:
    await night.type("handrail stop orders --by ops@example.com --why 'odd amounts'", Fault(""))
    case = await night.start()
    yield Fault("(?s)orders.*ops@example.com.*odd amounts", case)
    await ends(case)


@rehearses("A case is paused")
async def a_pause(night: Night) -> AsyncGenerator[Fault]:
    case = await night.start("wait")
    await case.send("pause", {"by": "cy@example.com", "why": "month end"})
    yield Fault("(?s)paused.*paused by cy@example.com.*month end", case)
    assert (await case.view()).state is State.WORKING


@rehearses("A case is paused by Temporal")
async def a_pause_of_temporals(night: Night) -> AsyncGenerator[Fault]:
    case, client = await night.start(amount=LARGE), night.stage.client
    await case.gate()
    await pause_in_temporal(client, case.id)
    line = f"temporal workflow unpause --workflow-id {case.id}"
    unpause = functools.partial(unpause_in_temporal, client, case.id)
    yield Fault("(?s)paused \\(by Temporal\\).*ann@ui", case, by_hand={line: unpause})
    assert (await Human("ana@example.com").approve(case, await case.gate())).accepted
    await ends(case)


@rehearses("Nobody knows whether a write happened")
async def a_lost_answer(night: Night) -> AsyncGenerator[Fault]:
    night.outside.break_down("post", "after")
    case = await night.start("post")
    words = {"GATE": (await case.gate()).gate, "ID": await night.id_of_incident(case)}
    yield Fault(f"(?s){words['GATE']}.*cannot be asked", case, words)
    await ends(case)
    assert night.outside.doubled() == []


@rehearses("A write is not as it should be")
async def a_wrong_booking(night: Night) -> AsyncGenerator[Fault]:
    case = await night.stage.start("deposits", Tenancy(number="ODD-1"))
    await ends(case)
    yield Fault("the bank booked 5000", case, {"ID": await night.id_of_incident(case)})

    async def undone() -> bool:
        return (await case.view()).state is State.ROLLED_BACK

    await eventually(undone)
    assert len(night.outside.effects("claim")) == 1


@rehearses("A question runs out")
async def an_open_question(night: Night) -> AsyncGenerator[Fault]:
    case = await night.start(amount=LARGE)
    gate = (await case.gate()).gate
    yield Fault(f"(?s){case.id}.*left.*{gate}", case, {"GATE": gate})
    await ends(case)


@rehearses("A question ran out")
async def a_late_answer(night: Night) -> AsyncGenerator[Fault]:
    short = {"lead": {"people": LEAD["people"], "deadline": {"after": "1s", "then": "refuse"}}}
    put_policy(night.stage.directory, GIVEN | {"roles": short})
    case = await night.start(amount=LARGE)
    await ends(case, State.EXPIRED)
    put_policy(night.stage.directory, GIVEN)
    yield Fault(f"(?s){case.id}.*expired.*nobody", case)
    assert (await Human("ana@example.com").approve(case, await case.gate())).accepted
    await ends(case)


@rehearses("A case failed")
async def a_failure(night: Night) -> AsyncGenerator[Fault]:
    night.outside.break_down("ship", says="final: there is no such van")
    case = await night.start("ship", "post")
    await ends(case, State.FAILED)
    log = night.stage.directory / "home" / "worker.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.0Z} [warning ] {case.id}: no such van\n")
    yield Fault("(?s)failed.*there is no such van.*warning.*no such van", case)

    async def again() -> bool:
        return (await case.view()).state is State.DONE

    await eventually(again)
    assert night.outside.doubled() == []


@rehearses("A key is lost")
async def a_lost_key(night: Night) -> AsyncGenerator[Fault]:
    put_policy(night.stage.directory, GIVEN | {"proof": "required"})
    keyring, now = Keyring(night.stage.directory / "trusted.json"), datetime.now(UTC)
    key, other = (SigningKey.new(f"{who}@example.com", now) for who in ("ana", "bo"))
    for each in (key, other):
        keyring.trust(each.public())
    case = await night.start(amount=LARGE)
    seen = await case.gate()
    await case.send("pause", {})
    await case.until(lambda view: view.state is State.PAUSED)
    assert (await Human("ana@example.com", key).approve(case, seen)).accepted
    yield Fault(key.kid, case, {"KEY": key.kid})
    await case.send("resume", {})
    again = await case.gate(but=seen)
    assert (await Human("bo@example.com", other).approve(case, again)).accepted
    await ends(case)


@rehearses("A worker is gone or frozen")
async def a_frozen_worker(night: Night) -> AsyncGenerator[Fault]:
    fleet, directory = "tests.agents.fleets:orders_in", night.stage.directory
    async with crashing_worker(night.stage, fleet, arguments=[str(directory)]) as worker:
        await ensure_stewards(night.stage.client, night.stage.fleet.agents)
        await ends(await night.start())
        worker.send(signal.SIGSTOP)
        case = await night.start()
        kill, start = "systemctl kill -s KILL handrail-worker", "systemctl start handrail-worker"

        async def killed() -> None:
            worker.send(signal.SIGKILL)
            await worker.ended()

        yield Fault(
            "\n[^\n]*orders[^\n]*UTC +orders", case, by_hand={kill: killed, start: worker.restart}
        )
        await ends(case)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    found = Fleet(*orders(tmp_path, GIVEN).agents.values(), *deposits(tmp_path).agents.values())
    module = ModuleType("night")
    vars(module)["fleet"] = found
    monkeypatch.setitem(sys.modules, "night", module)
    monkeypatch.setenv("HANDRAIL_FLEET", "night:fleet")
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HANDRAIL_KEYRING", str(tmp_path / "trusted.json"))
    monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    return found


def at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", stage.client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)


async def test_every_page_of_the_night(  # noqa: PLR0917  # fixtures
    run_fleet: RunFleet,
    outside: Outside,
    fleet: Fleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frozen = "A worker is gone or frozen"
    trust = Trust(proof="unproven", keyring=Keyring(tmp_path / "trusted.json"))
    async with run_fleet(fleet, trust=trust) as stage:
        at(stage, monkeypatch)
        night = Night(stage, outside, capsys)
        for section in SECTIONS:
            if section == frozen:
                continue
            async with REHEARSALS[section](night) as fault:
                await night.follow(section, fault)
    alone = orders(tmp_path, GIVEN)
    vars(sys.modules["night"])["fleet"] = alone
    async with run_fleet(alone, trust=trust, workers=False) as stage:
        at(stage, monkeypatch)
        night = Night(stage, outside, capsys, 100)
        async with REHEARSALS[frozen](night) as fault:
            await night.follow(frozen, fault)


def test_every_page_is_rehearsed_and_every_alert_has_one() -> None:
    assert SECTIONS.keys() == REHEARSALS.keys()
    alerts = re.findall(r"alert: (\w+)", RULES.read_text())
    assert [name for name in alerts if f"`{name}`" not in PAGE] == []
