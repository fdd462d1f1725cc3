"""Approve X, then execute Y: by continue-as-new, and by a deploy of other code."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from handrail import Action, Agent, Effect, Fleet, State, write
from handrail.agent import verbs
from handrail.oversight import Trust
from handrail.runtime import EmbeddedServer
from handrail.testing import Outside, running
from tests import redteam
from tests.agents.fleets import WORKFLOWS, orders, policy, put_policy
from tests.agents.orders_steps import Order, choose, look_up
from tests.integrity.policies import ANA, BO, STRICT, known, paused
from tests.redteam import Report
from tests.redteam.arena import Arena

INSTALMENTS = 5
CASE = Order(number="d1", amount=Decimal(300))


class Pay(Action):
    """Pay for an order, and a tip that nobody was asked about."""

    order: str
    amount: Decimal
    tip: Decimal = Decimal(100)


@write(idempotent=True)
async def unpay(action: Pay, effect: Effect) -> str:
    """Give the money back."""
    return await Outside.current().put("refund", effect.key, action.model_dump(mode="json"))


@write(idempotent=True, undo=unpay)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay, as the next version of the code does."""
    return await Outside.current().put("pay", effect.key, action.model_dump(mode="json"))


@contextmanager
def short_runs() -> Generator[None]:
    """Continue as new after a few steps instead of 150."""
    before = verbs.LONG_RUN
    verbs.LONG_RUN = 20
    try:
        yield
    finally:
        verbs.LONG_RUN = before


async def over_new_runs(arena: Arena) -> None:
    """What was said of one instalment is sent about each later one, in later runs."""
    case, seen = await arena.waiting()
    heard: list[dict[str, Any]] = []
    for number in range(INSTALMENTS):
        for old in heard:
            for changes in ({}, {"gate": seen.gate}, {"gate": seen.gate, "digest": seen.digest}):
                name = "after continue-as-new"
                await arena.strike(case, "replayed", name, "approve", old | changes)
        heard.append(await arena.approve(case, seen))
        if number + 1 < INSTALMENTS:
            seen = await case.gate(but=seen)
    await arena.ends(case)


async def attack(server: EmbeddedServer, home: Path, seed: int) -> Report:
    """Both."""
    report = await _renewed(server, home / "renewed", seed)
    report.add(await _deployed(server, home / "deployed", seed))
    return report


async def _renewed(server: EmbeddedServer, directory: Path, seed: int) -> Report:
    keyring, people = known(directory, (ANA, BO))
    fleet = orders(directory, policy(agent="standing", **STRICT))
    with Outside(directory / "outside.db").installed() as outside, short_runs():
        async with running(fleet, server, directory, trust=Trust(keyring=keyring)) as stage:
            return await redteam.attack(
                stage,
                "standing",
                lambda n: Order(number=f"s{n}", amount=Decimal(300), times=INSTALMENTS),
                approvers=people,
                keyring=keyring,
                books=outside.effects,
                rulings=0,
                scripts=(over_new_runs,),
                seed=seed,
            )


async def _deployed(server: EmbeddedServer, directory: Path, seed: int) -> Report:
    """What was approved of the old code's action is not for the new code's."""
    report = Report(seed, cases=1)
    keyring, (ana, _) = known(directory, (ANA, BO))
    trust, grace = Trust(keyring=keyring), timedelta(seconds=1)
    old = orders(directory, policy(**STRICT))
    with Outside(directory / "outside.db").installed() as outside:
        async with running(old, server, directory, workers=False) as stage:
            client, ledger = stage.client, stage.ledger
            async with old.running(client, ledger, trust=trust, graceful_shutdown_timeout=grace):
                case = await stage.start("orders", CASE)
                seen = await case.gate()
                await paused(case)
                record = await ana.approve(case, seen)
                report.ruled(accepted=record.accepted, what=record.note)
            new = _next_version(directory)
            async with new.running(client, ledger, trust=trust, graceful_shutdown_timeout=grace):
                await case.send("resume", {})
                # What it would write now is another thing: people are asked again, and say no.
                await ana.reject(case, await case.gate(but=seen), why="there is no tip")
                state = (await case.outcome()).status
        report.attack("deploy", "another action by the next code", accepted=state is State.DONE)
        report.unallowed += outside.effects("pay")
    return report


def _next_version(directory: Path) -> Fleet:
    path = put_policy(directory, _only_pay())
    steps = [look_up, choose, pay, unpay]
    return Fleet(Agent("orders", WORKFLOWS["orders"], steps=steps, policy=path))


def _only_pay() -> dict[str, Any]:
    document = policy(version=2, **STRICT)
    return document | {"actions": {"pay": document["actions"]["pay"]}}
