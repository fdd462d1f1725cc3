"""Steps of a small agent that pays invoices at a till, which is a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from datetime import timedelta
from decimal import Decimal
from typing import Any

from typing_extensions import override

from handrail import Action, Decision, Effect, Event, decide, notify, read, write
from handrail.actions import Wire


class Invoice(Event):
    id: str
    amount: Decimal
    text: str = "it is due"

    @property
    @override
    def key(self) -> str:
        return self.id


class Pay(Action):
    """Pay an invoice."""

    invoice: str
    amount: Decimal
    text: str


class Cash(Action):
    """Pay cash, which nobody can trace."""

    invoice: str


class Bill(Wire):
    text: str


def _post(path: str, body: dict[str, Any]) -> Any:
    url = f"http://127.0.0.1:{os.environ['TILL_PORT']}{path}"
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  # http, to ourselves
        return json.loads(answer.read())


@read
async def look(invoice: Invoice) -> str:
    return invoice.text


@decide
async def choose(invoice: Invoice) -> Decision[Pay, Bill]:
    action = Pay(invoice=invoice.id, amount=invoice.amount, text=invoice.text)
    return Decision(
        action=action, rationale=invoice.text, confidence=0.9, evidence=Bill(text=invoice.text)
    )


@write(idempotent=True)
async def take_back(action: Pay, effect: Effect) -> str:
    of = effect.undoes.key if effect.undoes else ""
    return await asyncio.to_thread(_post, "/cancel", {"key": of})


@write(undo=take_back, idempotent=True, timeout=timedelta(seconds=25))
async def pay(action: Pay, effect: Effect) -> str:
    body = {"key": effect.key, "invoice": action.invoice, "amount": str(action.amount)}
    return await asyncio.to_thread(_post, "/pay", body)


@write
async def cash(action: Cash, effect: Effect) -> str:
    del action
    return await asyncio.to_thread(_post, "/cash", {"key": effect.key, "amount": "13"})


@notify
async def tell(paid: str) -> None:
    del paid
