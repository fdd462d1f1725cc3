"""Faults of the guards themselves: closed, explained, and never wedged.

Whatever breaks, nothing reaches the outside world while it is broken; people see what it is and
what to do; and when it is mended the case goes on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import rule_engine
from temporalio.client import Client
from typing_extensions import override

from handrail import Fleet, State, check
from handrail.actions import Finding
from handrail.guardrails.anomaly.watch import AnomalyDetector
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import UNPROVEN, Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import orders_steps
from tests.agents.fleets import POLICY, orders, policy
from tests.agents.orders_steps import Order, Pay, Ship
from tests.integration.guardrails.faults_tools import (
    Aside,
    Postgres,
    at,
    closed,
    explained,
    goes_on,
    replace,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def own_postgres() -> Generator[Postgres]:
    """A PostgreSQL of this test alone, which may kill it."""
    with Postgres() as server:
        yield server


# The policy file


def _half(path: Path, good: bytes) -> None:
    replace(path, good[: len(good) // 2])


def _fault(path: Path, good: bytes) -> None:
    replace(path, good.replace(b'"hold"', b'"holds"'))


def _strange(path: Path, _: bytes) -> None:
    replace(path, b"\xff\xff\x00agent")


def _huge(path: Path, good: bytes) -> None:
    replace(path, good + b"\n" + b"# and so on\n" * 200_000)


BROKEN: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "half written": (_half, "this is not YAML"),
    "empty": (lambda path, _: replace(path, b""), "fix:"),
    "with a fault": (_fault, "did you mean hold?"),
    "not text": (_strange, "it is not UTF-8 text fix: save it as UTF-8"),
    "huge": (_huge, "keep it under"),
    "of another agent": (
        lambda path, good: replace(path, good.replace(b'"orders"', b'"others"')),
        "fix:",
    ),
}

GONE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a directory": (lambda path: path.mkdir(), "it cannot be read: Is a directory"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
    "a pipe": (os.mkfifo, "it is no file"),
    "deleted": (lambda _: None, "No such file"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_policy_file_that_is_broken_writes_nothing_until_it_is_whole(
    fault: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    make, says = BROKEN[fault]
    path = tmp_path / "orders.yaml"
    async with run_fleet(orders(tmp_path)) as stage:
        good = path.read_bytes()
        with at("write:arrived", lambda: make(path, good)):
            case = await stage.start("orders", Order(number="1"))
            text = await closed(case, outside, str(path), says)
        assert "fix:" in text
        replace(path, good)
        await goes_on(case, outside)


@pytest.mark.parametrize("fault", GONE)
async def test_a_policy_file_that_is_gone_writes_nothing_until_it_is_back(
    fault: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    make, says = GONE[fault]
    aside = Aside(tmp_path / "orders.yaml")
    async with run_fleet(orders(tmp_path)) as stage:
        with at("write:arrived", lambda: aside.swap(make)):
            case = await stage.start("orders", Order(number="1"))
            await closed(case, outside, str(aside.path), says, "fix:")
        aside.back()
        await goes_on(case, outside)


async def test_a_policy_file_that_is_broken_when_a_case_decides_is_explained_there(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    aside = Aside(tmp_path / "orders.yaml")
    async with run_fleet(orders(tmp_path)) as stage:
        with at("decide:before", lambda: aside.swap(lambda path: path.mkdir())):
            case = await stage.start("orders", Order(number="1"))
            await closed(case, outside, "Is a directory", "fix:")
        aside.back()
        await goes_on(case, outside)


@pytest.mark.parametrize("length", [0.25, 0.5, 0.75, 0.95])
async def test_a_policy_that_breaks_off_between_two_lines_is_not_taken_for_a_whole_one(
    length: float, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    lines = _in_lines(POLICY)
    path = tmp_path / "orders.yaml"
    async with run_fleet(orders(tmp_path)) as stage:
        replace(path, "".join(lines).encode())
        first = await stage.start("orders", Order(number="0", parts=("ship",)))
        assert (await first.outcome()).status is State.DONE
        replace(path, "".join(lines[: int(len(lines) * length)]).encode())
        case = await stage.start("orders", Order(number="1", amount=Decimal(300)))
        await closed(case, outside, "fix:")
        replace(path, "".join(lines).encode())
        await Human("ana@example.com").approve(case)
        await goes_on(case, outside)


def _in_lines(document: dict[str, Any]) -> list[str]:
    """The policy with its actions last, so that it can end too early and still be one."""
    lines = [f"{key}: {value!r}\n" for key, value in document.items() if key != "actions"]
    lines.append("actions:\n")
    for name, entry in document["actions"].items():
        lines.append(f"  {name}:\n")
        lines += [f"    {key}: {value!r}\n" for key, value in entry.items()]
    return lines


# Rules


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the engine is broken"),
        RecursionError("too deep"),
        MemoryError("no room"),
        ZeroDivisionError("by nothing"),
        AssertionError("cannot be"),
        rule_engine.errors.EvaluationError("cannot be judged"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_rule_engine_that_raises_lets_nothing_pass(
    error: Exception,
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> bool:
        raise error

    async with run_fleet(orders(tmp_path)) as stage:
        with monkeypatch.context() as patch:
            patch.setattr(rule_engine.Rule, "evaluate", broken)
            case = await stage.start("orders", Order(number="1"))
            await closed(case, outside, str(error))
            waits = bool(await case.gates())
        if waits:
            await Human("ana@example.com").approve(case)
        await goes_on(case, outside)


async def test_a_rule_that_would_take_for_ever_holds_in_no_time(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    rule = {"when": 'action.order =~ "(a|a|aa)+$"', "why": "odd"}
    document = policy(actions={"pay": {"autonomy": "full", "refuse": [rule]}})
    async with run_fleet(orders(tmp_path, document)) as stage:
        odd = await stage.start("orders", Order(number="a" * 60 + "!"))
        other = await stage.start("orders", Order(number="2"))
        assert (await other.outcome()).status is State.DONE
        gate = await odd.gate()
        assert "100 ms" in gate.why or "too long" in gate.why
        assert outside.effects("pay") == ["orders:2/pay/1"]
        await Human("ana@example.com").approve(odd)
        assert (await odd.outcome()).status is State.DONE


# Data checks


class StrangeError(BaseException):
    """Not caught by `except Exception`."""


class WordlessError(Exception):
    """An error that cannot say what it is."""

    @override
    def __str__(self) -> str:
        raise RuntimeError


RAISED: dict[str, BaseException] = {
    "an error": ValueError("the shelf cannot be seen"),
    "an exit": SystemExit("the shelf is gone"),
    "an interrupt": KeyboardInterrupt("the shelf is gone"),
    "a cancellation": asyncio.CancelledError("the shelf is gone"),
    "a generator's end": GeneratorExit("the shelf is gone"),
    "something strange": StrangeError("the shelf is strange"),
    "half a character": ValueError("the shelf \ud800"),
    "no words": WordlessError(),
}


@pytest.mark.parametrize("raised", RAISED)
async def test_a_check_that_raises_anything_at_all_holds_and_harms_no_other_case(
    raised: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    @check
    async def on_the_shelf(action: Pay) -> str | None:
        """Look at the shelf."""
        if action.order == "1":
            raise RAISED[raised]
        return None

    async with run_fleet(orders(tmp_path, checks=[on_the_shelf])) as stage:
        case = await stage.start("orders", Order(number="1"))
        gate = await case.gate()
        assert "on_the_shelf could not be checked" in gate.why
        other = await stage.start("orders", Order(number="2"))
        assert (await other.outcome()).status is State.DONE
        assert outside.effects("pay") == ["orders:2/pay/1"]
        await Human("ana@example.com").approve(case)
        assert (await case.outcome()).status is State.DONE


@pytest.mark.parametrize("raised", RAISED)
async def test_a_plant_that_raises_anything_at_all_keeps_nobody_from_the_question(
    raised: str,
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def plant(action: Ship) -> Ship:
        raise RAISED[raised]

    monkeypatch.setattr(orders_steps, "ship", dataclasses.replace(orders_steps.ship, plant=plant))
    document = policy(planted="100%", actions={"ship": {"autonomy": "supervised"}})
    async with run_fleet(orders(tmp_path, document)) as stage:
        case = await stage.start("orders", Order(number="1", parts=("ship",)))
        await Human("ana@example.com").approve(case)
        assert (await case.outcome()).status is State.DONE
        assert outside.effects("ship") == ["orders:1/ship/1"]


@pytest.mark.parametrize("ignores", [False, True], ids=["hangs", "hangs and will not be ended"])
async def test_a_check_that_hangs_holds_in_its_time(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, *, ignores: bool
) -> None:
    let_go = asyncio.Event()

    @check(timeout=timedelta(milliseconds=200))
    async def on_the_shelf(action: Pay) -> str | None:
        """Look at the shelf."""
        while not let_go.is_set():
            try:
                await asyncio.wait_for(let_go.wait(), 3_600)
            except asyncio.CancelledError:
                if not ignores:
                    raise
        return None

    async with run_fleet(orders(tmp_path, checks=[on_the_shelf])) as stage:
        try:
            case = await stage.start("orders", Order(number="1"))
            gate = await case.gate()
            assert "on_the_shelf could not be checked" in gate.why
            assert outside.effects("pay") == []
            await Human("ana@example.com").approve(case)
            await goes_on(case, outside)
        finally:
            let_go.set()


async def test_a_check_that_holds_up_its_whole_worker_lets_nothing_pass(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    @check(timeout=timedelta(milliseconds=200))
    async def on_the_shelf(action: Pay) -> str | None:
        """Look at the shelf, in a way that gives way to nobody."""
        time.sleep(1)  # noqa: ASYNC251  # that is the fault
        return None if action.order else "nothing was ordered"

    async with run_fleet(orders(tmp_path, checks=[on_the_shelf])) as stage:
        case = await stage.start("orders", Order(number="1"))
        await goes_on(case, outside)


# The ledger


LEDGER_MOMENTS = ["decide:before", "write:arrived", "write:judged", "write:before-intent"]


@pytest.mark.parametrize("moment", LEDGER_MOMENTS)
async def test_a_ledger_that_is_gone_writes_nothing_until_it_is_back(
    moment: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    aside = Aside(tmp_path / "ledger.db")
    async with run_fleet(orders(tmp_path)) as stage:
        with at(moment, lambda: aside.swap(lambda path: path.mkdir())):
            case = await stage.start("orders", Order(number="1"))
            await closed(case, outside, "replaced or deleted", "fix:", "nothing was written")
        aside.back()
        await goes_on(case, outside)


@pytest.mark.parametrize("moment", LEDGER_MOMENTS)
async def test_a_postgresql_that_is_stopped_writes_nothing_until_it_runs(
    moment: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path, own_postgres: Postgres
) -> None:
    async with run_fleet(orders(tmp_path), ledger=own_postgres.url) as stage:
        with at(moment, own_postgres.kill):
            case = await stage.start("orders", Order(number="1"))
            await closed(case, outside, "cannot be used", "fix: start the database")
        own_postgres.start()
        await goes_on(case, outside)


async def test_a_postgresql_that_dies_after_the_effect_loses_no_receipt(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, own_postgres: Postgres
) -> None:
    async with run_fleet(orders(tmp_path), ledger=own_postgres.url) as stage:
        with at("write:before-receipt", own_postgres.kill):
            case = await stage.start("orders", Order(number="1", parts=("post",)))
            await eventually(lambda: _ended(own_postgres))
        own_postgres.start()
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert len(outside.calls("post")) == 1


async def _ended(server: Postgres) -> bool:
    return not server.runs


# The keyring


@pytest.mark.parametrize("cut", [0.0, 0.5, 0.9])
async def test_a_keyring_that_is_half_written_proves_nobody_until_it_is_whole(
    cut: float, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "trusted.json")
    key = SigningKey.new("ana@example.com", datetime.now(UTC))
    keyring.trust(key.public())
    good = keyring.path.read_bytes()
    fleet = orders(tmp_path, policy(proof="required"))
    async with run_fleet(fleet, trust=Trust(keyring=keyring)) as stage:
        case = await stage.start("orders", Order(number="1", amount=Decimal(300)))
        gate = await case.gate()
        replace(keyring.path, good[: int(len(good) * cut)])
        ana = Human("ana@example.com", key)
        await case.send("approve", ana.signed("approve", case.id, ana.ruling(gate)))
        text = await closed(case, outside, "keyring", "fix:")
        assert str(keyring.path) in text
        replace(keyring.path, good)
        await goes_on(case, outside)


# A fleet with two versions of a policy


async def test_of_two_workers_with_different_files_the_older_one_writes_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """The older one holds nothing and says nothing to people: it leaves it to the other."""
    old, new = tmp_path / "old", tmp_path / "new"
    for directory in (old, new):
        directory.mkdir()
    strict = {"autonomy": "full", "refuse": [{"when": "action.amount > 40", "why": "too much"}]}
    older, newer = orders(old), orders(new, policy(version=2, actions={"pay": strict}))
    async with run_fleet(newer, workers=False) as stage:

        @contextlib.asynccontextmanager
        async def at_work(fleet: Fleet) -> AsyncGenerator[None]:
            client = await Client.connect(
                stage.client.service_client.config.target_host,
                namespace=stage.client.namespace,
                plugins=[fleet.plugin(tmp_path / "payloads")],
            )
            async with fleet.running(client, stage.ledger, trust=UNPROVEN):
                yield

        async with at_work(newer):
            first = await stage.start("orders", Order(number="0", parts=("ship",)))
            assert (await first.outcome()).status is State.DONE
        async with at_work(older):
            case = await stage.start("orders", Order(number="1"))
            await closed(
                case, outside, "orders v1", "orders v2", "is in force", "give it that file"
            )
            async with at_work(newer):
                outcome = await case.outcome()
    assert (outcome.status, outcome.why) == (State.REFUSED, "pay: too much: amount 50 > 40")
    assert outside.effects("pay") == []


# What is normal, and orders


async def test_when_nobody_can_say_what_is_normal_it_is_held(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> list[Finding]:
        raise ZeroDivisionError("no spread at all")

    watched = {"autonomy": "full", "normal": {"learn": 30, "watch": ["amount"]}}
    async with run_fleet(orders(tmp_path, policy(actions={"pay": watched}))) as stage:
        monkeypatch.setattr(AnomalyDetector, "findings", broken)
        case = await stage.start("orders", Order(number="1"))
        await closed(case, outside, "normal")
        await Human("ana@example.com").approve(case)
        await goes_on(case, outside)


GARBAGE: dict[str, dict[str, Any]] = {
    "a level that is none": {"level": "godlike"},
    "no level": {"level": None},
    "proofs that are no JSON": {"proofs": "{{{"},
    "proofs of another kind": {"proofs": '{"a": 1}'},
    "a time that is none": {"at": float("inf")},
    "a kind that is none": {"kind": "wish", "level": None},
    "a share that is none": {"rollout": -5},
    "a name of half a character": {"by": "\udcff"},
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_an_order_that_cannot_be_read_gives_no_freedom_and_no_case_is_lost(
    garbage: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    document = policy(actions={"pay": {"autonomy": "supervised"}})
    async with run_fleet(orders(tmp_path, document)) as stage:
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
            _order(db, GARBAGE[garbage])
        case = await stage.start("orders", Order(number="1"))
        await closed(case, outside, "")
        assert await eventually(lambda: explained(case))
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
            db.execute("delete from handrail_orders")
            db.commit()
        await Human("ana@example.com").approve(case)
        await goes_on(case, outside)


def _order(db: sqlite3.Connection, changes: dict[str, Any]) -> None:
    """An order that would let the agent do all alone, but for what is wrong with it."""
    row: dict[str, Any] = {
        "id": "order-no-1",
        "kind": "level",
        "agent": "orders",
        "level": "full",
        "by": "boss@example.com",
        "at": 1e9,
        "why": "",
        "proofs": "[]",
    } | changes
    columns = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" for _ in row)
    values = [v.encode(errors="surrogateescape") if v == "\udcff" else v for v in row.values()]
    db.execute(f"insert into handrail_orders ({columns}) values ({marks})", values)  # noqa: S608
    db.commit()
