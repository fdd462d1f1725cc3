"""Limits are looked at before a human is asked, and counted in the moment a write begins."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from handrail import Action, Effect, Ledger, check, write
from handrail.actions import Kind, digest_of
from handrail.guardrails.context import WriteContext
from handrail.guardrails.door import Door
from handrail.policy import AgentShape, Facts, PolicyFile, WriteShape
from handrail.wire import Attempt, WriteResult, WriteResultKind
from tests.agents.activity import activity_of


class Pay(Action):
    """Pay somebody."""

    amount: int


paid: list[int] = []


@write(idempotent=True)
async def pay(action: Pay, effect: Effect) -> None:
    paid.append(action.amount)


@check
async def broken(action: Pay) -> str | None:
    raise ConnectionError("the bank is away")


SHAPE = AgentShape(agent="payers", writes={"pay": WriteShape("pay", Pay)})
POLICY = """\
agent: payers
version: 1
owner: boss@example.com
actions:
  pay:
    autonomy: full
    irreversible: it is a test
    limits: {amount: 10 per day, count: 3 per day}
roles: {lead: {people: [ana@example.com], deadline: {after: 1h, then: refuse}}}
"""


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    (tmp_path / "payers.yaml").write_text(POLICY)
    paid.clear()
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


PAY = "payers:1/pay/"


def attempt_at(amount: int, key: str) -> Attempt:
    digest = digest_of("pay", {"amount": amount})
    return Attempt(case="payers:1", key=key, digest=digest)


async def write_it(door: Door, amount: int, key: str) -> WriteResult:
    attempt = attempt_at(amount, key)
    return await activity_of("payers:1").run(door.write, pay, Pay(amount=amount), attempt)


async def test_what_passes_is_refused_as_it_begins_when_a_limit_is_reached(
    tmp_path: Path, ledger: Ledger
) -> None:
    door = Door("payers", SHAPE, [pay], PolicyFile(tmp_path / "payers.yaml", SHAPE), ledger)
    written = [await write_it(door, amount, PAY + str(amount)) for amount in (1, 4, 5)]
    assert [answer.kind for answer in written] == [WriteResultKind.WRITTEN] * 3
    fourth = await write_it(door, 0, PAY + "10")
    assert fourth.kind is WriteResultKind.REFUSED
    assert fourth.verdict.findings[-1].check == "limit: count: at most 3 per day"
    assert paid == [1, 4, 5]
    assert await ledger.effect(PAY + "10") is None


async def test_a_key_counts_once_however_often_it_is_tried(tmp_path: Path, ledger: Ledger) -> None:
    door = Door("payers", SHAPE, [pay], PolicyFile(tmp_path / "payers.yaml", SHAPE), ledger)
    for _ in range(4):
        assert (await write_it(door, 6, PAY + "1")).kind is WriteResultKind.WRITTEN
    assert (await write_it(door, 4, PAY + "2")).kind is WriteResultKind.WRITTEN
    assert paid == [6, 4]


async def test_no_human_is_asked_about_what_a_limit_refuses(tmp_path: Path, ledger: Ledger) -> None:
    policy = PolicyFile(tmp_path / "payers.yaml", SHAPE)
    door = Door("payers", SHAPE, [pay], policy, ledger, [broken])
    for amount, kind in ((10, Kind.HOLD), (11, Kind.REFUSE)):
        facts = Facts("pay", Pay(amount=amount), None, None, case="payers:1", requester=None)
        verdict = (
            await door.pipeline.judge(
                WriteContext("payers", policy.current(), facts, attempt_at(amount, "k"))
            )
        ).verdict
        assert verdict.kind is kind
