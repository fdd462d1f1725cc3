"""A bank that does what it was asked to some time after it was asked, and writes to it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from handrail import Action, Effect, Ledger, write
from handrail.actions import Receipt, RulingRecord, Undoes, digest_of, undo_key
from handrail.agent import Write
from handrail.guardrails import effects
from handrail.guardrails.effects import Doubt
from handrail.wire import Attempt, DoubtAnswer
from tests.agents.passed import passed

KEY = "pay:1/pay/1"
SHORT = timedelta(seconds=0.3)
SETTLES = timedelta(seconds=1.5)


class Pay(Action):
    """Pay."""

    amount: int


class Bank:
    """An outside system that does what it was asked to some time after it was asked."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.numbers: list[int] = []
        self.late: list[asyncio.Task[None]] = []
        self.delay = 0.0

    async def ask(self, effect: Effect, answers_after: float = 0) -> str:
        self.numbers.append(effect.attempt)
        self.late.append(asyncio.create_task(self._do(effect.key)))
        await asyncio.sleep(self.delay + answers_after)
        return effect.key

    async def _do(self, key: str) -> None:
        await asyncio.sleep(self.delay)
        self.effects.append(key)

    async def look(self, action: Pay, effect: Effect) -> str | None:
        return effect.key if effect.key in self.effects else None

    async def all_done(self) -> None:
        await asyncio.gather(*self.late)


def paying(bank: Bank, **options: Any) -> Write[Pay, str]:
    given: dict[str, Any] = {"timeout": SHORT} | options

    @write(**given)
    async def pay(action: Pay, effect: Effect) -> str:
        return await bank.ask(effect)

    return pay


def findable(bank: Bank, **options: Any) -> Write[Pay, str]:
    return paying(bank, **{"find": bank.look, "settles": SETTLES} | options)


def attempt_at(step: Write[Any, Any], undoes: Undoes | None = None, **more: Any) -> Attempt:
    key = undo_key(KEY) if undoes else KEY
    digest = digest_of(step.name, {"amount": 1})
    return Attempt(case="pay:1", key=key, digest=digest, undoes=undoes, **more)


async def once(ledger: Ledger, step: Write[Any, Any], **more: Any) -> Receipt | Doubt:
    steps = more.pop("steps", ())
    recorder = more.pop("recorder", None)
    given = passed(step.name, Pay(amount=1), attempt_at(step, **more))
    return await effects.once(ledger, step, *given, recorder, steps=steps)


def answered(doubt: Doubt, at: datetime) -> dict[str, Any]:
    ruled = RulingRecord(
        verb="answer", gate="g", by="ana@example.com", at=at, accepted=True, note="", answer="do it"
    )
    said = DoubtAnswer(answer="do it", by="ana@example.com", token=doubt.token)
    return {"rulings": (ruled,), "doubt": said}
