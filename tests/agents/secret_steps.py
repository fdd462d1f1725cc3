"""Steps that have a secret, and give it away in every way that a step has."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from temporalio import activity
from temporalio.exceptions import ApplicationError
from typing_extensions import override

from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    NoEvidence,
    Untrusted,
    decide,
    notify,
    read,
    secret,
    write,
)
from handrail.testing import Outside

TOKEN = "CARRIER_TOKEN"  # noqa: S105  # its name


class Leak(Event):
    """Which step gives it away, and how."""

    number: str
    step: str = ""
    how: str = "result"

    @property
    @override
    def key(self) -> str:
        return self.number


class Book(Action):
    """Book."""

    what: str


class Found(NoEvidence):
    """What a read returns."""


def leaked(how: str) -> Any:
    """The secret, or something like it, or an error with it."""
    value = secret(TOKEN).get_secret_value()
    coded = base64.b64encode(f"user:{value}".encode()).decode()
    match how:
        case "result":
            return f"the answer to {value}"
        case "base64":
            return f"Authorization: Basic {coded}"
        case "url":
            return f"https://carrier.example.com/?key={quote(value, safe='')}"
        case "error":
            raise Final(f"401 for {value}")
        case "cause":
            raise Final("401") from ValueError(coded)
        case "details":
            raise ApplicationError("401", {"headers": coded}, non_retryable=True)
        case "heartbeat":
            activity.heartbeat(f"with {value}", {"token": [coded]})
            return "beaten"
        case _:
            return f"{len(value)} characters"


@read(secrets=(TOKEN,))
async def look(how: str) -> str:
    """Look with the token."""
    return leaked(how)


@read(secrets=(TOKEN,), local=False, timeout=timedelta(seconds=20))
async def look_openly(how: str) -> str:
    """Look with the token, where the Web UI shows it."""
    said = leaked(how)
    if how == "heartbeat":
        await asyncio.sleep(1)
    return said


@read
async def pry() -> str:
    """Look with a token that is another step's."""
    return leaked("result")


@decide(secrets=(TOKEN,))
async def choose(how: str) -> Decision[Book, NoEvidence]:
    """Ask a model with the token."""
    return Decision(
        action=Book(what="it"), rationale=leaked(how), confidence=1, evidence=NoEvidence()
    )


@decide
async def plainly(text: Untrusted | None) -> Decision[Book, NoEvidence]:
    """Choose without any."""
    del text
    return Decision(action=Book(what="it"), rationale="so", confidence=1, evidence=NoEvidence())


@write(idempotent=True, secrets=(TOKEN,))
async def book(action: Book, effect: Effect) -> str:
    """Book with the token; the event's `how` is the case's number."""
    await Outside.current().put("book", effect.key, action.model_dump(mode="json"))
    return leaked(effect.case.partition("-")[2])


@notify(secrets=(TOKEN,))
async def tell(how: str) -> str:
    """Tell with the token."""
    return leaked(how)
