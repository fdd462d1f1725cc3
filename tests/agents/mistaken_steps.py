"""Steps as a newcomer writes them."""

from __future__ import annotations

import os
import time
from datetime import datetime
from decimal import Decimal

import httpx2

from handrail import Action, Decision, Effect, Event, NoEvidence, decide, read, write


class Claim(Event):
    """Says no key."""

    number: str


class Payout(Action):
    """Its money is no Decimal, its time has no zone."""

    total_amount: float
    weight: float
    due: datetime
    api_key: str = ""
    fee: Decimal = Decimal(0)


@read
async def find_claim(number: str) -> str:
    time.sleep(0.1)  # noqa: ASYNC251  # the mistake
    httpx2.get("http://127.0.0.1:9")
    return _asked(number)


def _asked(number: str) -> str:
    return os.environ["NOBODY_SET_THIS"] + number


def find_plain(number: str) -> str:
    return number


@read
async def find_twice(number: str) -> str:  # pyright: ignore[reportRedeclaration]
    return number


@read
async def find_twice(number: str) -> str:  # noqa: F811  # the mistake
    return number


@decide
async def judge_claim(claim: Claim, count: int) -> Decision[Payout, NoEvidence]:
    raise NotImplementedError


@write(idempotent=True)
async def pay_out(action: Payout, effect: Effect) -> str:
    raise NotImplementedError
