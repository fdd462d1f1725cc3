"""Steps of agents whose workflows are written carelessly."""

from __future__ import annotations

import asyncio
from typing import Annotated

from typing_extensions import override

from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    FreeText,
    NoEvidence,
    decide,
    notify,
    read,
    write,
)

DONE: list[tuple[str, str]] = []


class Ask(Event):
    """What is asked for."""

    number: str
    what: str = ""

    @property
    @override
    def key(self) -> str:
        return self.number


class Base(Action):
    """What payments have in common."""

    account: str


class Pay(Base):
    """Pay."""


class PayMore(Pay):
    """Pay more."""


class Note(Action):
    """Has the fields of a payment, in its own words."""

    account: Annotated[str, FreeText]


@read
async def look(number: str) -> str:
    """Look."""
    DONE.append(("look", number))
    return number


@decide
async def choose(number: str) -> Decision[Pay, NoEvidence]:
    """Choose whom to pay."""
    action = Pay(account=number)
    return Decision(action=action, rationale="due", confidence=1, evidence=NoEvidence())


@decide
async def sneak(number: str) -> Decision[Pay, NoEvidence]:
    """Choose whom to pay, as something else."""
    action = PayMore(account=number)
    return Decision(action=action, rationale="due", confidence=1, evidence=NoEvidence())


@write(idempotent=True)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay."""
    if action.account.startswith("slow"):
        await asyncio.sleep(1)
    DONE.append((effect.case, action.account))
    return action.account


@write(idempotent=True)
async def pay_later(action: Pay, effect: Effect) -> str:
    """Pay later."""
    return action.account


@notify
async def tell(text: str) -> None:
    """Tell somebody."""


STEPS = {"pay": pay, "pay_later": pay_later}
LISTED = [look, choose, sneak, pay, tell]
