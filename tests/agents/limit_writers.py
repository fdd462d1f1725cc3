"""Writers that press against the limits of one agent, each with a ledger of its own.

Each writer begins writes until nothing fits any more; a third of them fail and are given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from handrail import Ledger, LedgerUnavailable, Receipt
from handrail.ledger import Intent, OverLimit
from handrail.wire import Limit

HOUR = timedelta(hours=1)
CUSTOMERS = ("C1", "C2", "C3")
SHARES = ("0.30", "0.10")
LIMITS = (
    Limit("amount", Decimal(9), HOUR, "amount: at most 9 EUR per hour", unit="EUR"),
    Limit("amount", Decimal(5), HOUR, "amount: at most 5 USD per hour", unit="USD"),
    Limit(
        "amount",
        Decimal("3.5"),
        HOUR,
        "amount: at most 3.5 EUR per hour per customer",
        per="action.customer",
        unit="EUR",
    ),
    Limit(None, Decimal(1000), HOUR, "count: at most 1000 per hour", whole=True),
)


async def press(url: str, number: int, limits: Sequence[Limit] = LIMITS) -> Counter[str]:
    """Begin writes until none fits any more."""
    chance = random.Random(number)  # noqa: S311  # seeded, not secret
    done: Counter[str] = Counter()
    async with contextlib.AsyncExitStack() as stack:
        ledger = await _opened(stack, url)
        full = False
        while not full:
            full = True
            for currency in ("EUR", "USD"):
                for customer in chance.sample(CUSTOMERS, len(CUSTOMERS)):
                    for share in SHARES:
                        action = {"amount": share, "currency": currency, "customer": customer}
                        key = f"a:{number}/pay/{done.total()}"
                        full &= not await _one(ledger, _intent(key, action), limits, chance, done)
    return done


async def _opened(stack: contextlib.AsyncExitStack, url: str) -> Ledger:
    """A ledger, however many others are just opening theirs."""
    while True:
        try:
            return await stack.enter_async_context(Ledger(url))
        except LedgerUnavailable:
            await asyncio.sleep(0.05)


async def _one(
    ledger: Ledger,
    intent: Intent,
    limits: Sequence[Limit],
    chance: random.Random,
    done: Counter[str],
) -> bool:
    """One write: it is done, or fails and is given back. False if it does not fit."""
    while True:
        try:
            await ledger.begin(intent, limits)
            break
        except OverLimit:
            done["refused"] += 1
            return False
        except LedgerUnavailable:
            await asyncio.sleep(chance.random() / 10)
    fails = chance.random() < 1 / 3
    done["given back" if fails else "done"] += 1
    now = datetime.now(UTC)
    receipt = Receipt(key=intent.key, step="pay", digest=intent.digest, at=now)
    while True:
        try:
            if fails:
                await ledger.abandon(intent.key, intent.owner, "it failed")
            else:
                await ledger.finish(receipt)
        except LedgerUnavailable:
            await asyncio.sleep(chance.random() / 10)
        else:
            return True


def _intent(key: str, action: dict[str, str]) -> Intent:
    now = datetime.now(UTC)
    case = key.partition("/")[0]
    return Intent(key, case, "a", "pay", "d" * 64, action, "a v1", f"owner of {key}", now)


def press_together(url: str, first: int, number: int) -> Counter[str]:
    """Be a process of so many writers: how many writes were done, given back and refused."""

    async def together() -> list[Counter[str]]:
        return await asyncio.gather(*(press(url, first + n) for n in range(number)))

    return sum(asyncio.run(together()), Counter[str]())
