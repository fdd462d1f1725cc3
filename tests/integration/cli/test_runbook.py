"""The operator's night: each page of the runbook, followed word by word, with its fault at hand."""

from __future__ import annotations

import functools
import os
import resource
import signal
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import Fleet, State
from handrail.client import ensure_stewards
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.deposits_steps import Tenancy
from tests.agents.fleets import LEAD, orders, policy, put_policy
from tests.agents.orders_steps import Order
from tests.agents.poison import pause_in_temporal, unpause_in_temporal
from tests.agents.tools import reset
from tests.integration.agent.test_afterwards import deposits
from tests.integration.cli.runbook_tools import (
    APART,
    REHEARSALS,
    SECTIONS,
    Fault,
    Night,
    at,
    ends,
    rehearses,
    typing_as,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("short_grace")]

GIVEN = policy(
    stuck={"after": "1s"}, breakers=[{"after": "2 refusals per hour", "then": "supervised"}]
)
LARGE = Decimal(300)


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
    met = await eventually(night.stage.ledger.incidents)
    yield Fault("(?s)supervised.*breaker.*of +orders, pay\n", words={"ID": met[0].id})
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


@rehearses("A case was reset in Temporal")
async def a_reset(night: Night) -> AsyncGenerator[Fault]:
    case, ana = await night.start(amount=LARGE), Human("ana@example.com")
    assert (await ana.approve(case, await case.gate())).accepted
    await ends(case)
    await reset(night.stage, case)
    yield Fault("(?s)waiting.*reset +20.*: a test.*not written twice.*/pay/1: done", case)
    await ends(case, State.STOPPED)
    assert night.outside.doubled() == []


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


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    found = Fleet(*orders(tmp_path, GIVEN).agents.values(), *deposits(tmp_path).agents.values())
    typing_as(found, tmp_path, monkeypatch)
    return found


async def test_every_page_of_the_night(  # noqa: PLR0917  # fixtures
    run_fleet: RunFleet,
    outside: Outside,
    fleet: Fleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trust = Trust(proof="unproven", keyring=Keyring(tmp_path / "trusted.json"))
    async with run_fleet(fleet, trust=trust) as stage:
        at(stage, monkeypatch)
        night = Night(stage, outside, capsys)
        for section in (each for each in SECTIONS if each not in APART):
            async with REHEARSALS[section](night) as fault:
                await night.follow(section, fault)
