"""Steps of an agent that pays deposits back, and reads back what the bank made of it."""

from __future__ import annotations

from decimal import Decimal

from typing_extensions import override

from handrail import Action, Decision, Effect, Event, decide, write
from handrail.actions import NoEvidence
from handrail.testing import Outside

BANK = "deposit"


class Tenancy(Event):
    """A tenancy that has ended. The bank books another amount for what begins with ODD."""

    number: str
    deposit: Decimal = Decimal(500)

    @property
    @override
    def key(self) -> str:
        return self.number


class PayBack(Action):
    """Pay a deposit back."""

    tenancy: str
    amount: Decimal


@decide
async def settle(tenancy: Tenancy) -> Decision[PayBack, NoEvidence]:
    """What to pay back."""
    amount = tenancy.deposit
    return Decision(
        action=PayBack(tenancy=tenancy.number, amount=amount) if amount else None,
        rationale="Nothing was damaged.",
        confidence=0.9,
        evidence=NoEvidence(),
    )


async def booked(action: PayBack, effect: Effect, result: str) -> str | None:
    """Ask the bank what it booked under this key."""
    found = await Outside.current().find(BANK, effect.key)
    if found != result:
        return f"the bank knows of {found}, and said {result}"
    calls = Outside.current().calls(BANK)
    amount = next(call.body for call in calls if call.new and call.key == effect.key)
    return None if amount == str(action.amount) else f"the bank booked {amount}"


@write(idempotent=True)
async def claim(action: PayBack, effect: Effect) -> str:
    """Claim a deposit again that was paid back."""
    return await Outside.current().put("claim", effect.key, str(action.amount))


@write(idempotent=True, undo=claim, verify=booked)
async def pay_back(action: PayBack, effect: Effect) -> str:
    """Pay a deposit back."""
    amount = action.amount * (10 if action.tenancy.startswith("ODD") else 1)
    return await Outside.current().put(BANK, effect.key, str(amount))
