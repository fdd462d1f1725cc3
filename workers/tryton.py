"""Tryton as a system of the demonstrations: its database, its key, and what they put into it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2

from handrail.runtime import System

URL = "http://127.0.0.1:8580"
"""Where Tryton is when `TRYTON_URL` does not say."""

PATIENCE = timedelta(seconds=50)
"""How long to wait for a Tryton that is away, or starts."""

_AGAIN = timedelta(milliseconds=200)
_KEY, _SECRET = "TRYTON_KEY", "HANDRAIL_SECRET_TRYTON_KEY"


def system() -> System:
    """Tryton, where the agents will look for it, with a key that they and it know alone.

    Makes its database first, where this machine has none yet: that takes about 40 s, once.

    Raises:
        subprocess.CalledProcessError: if it cannot be made.
    """
    key = os.environ.setdefault(_SECRET, secrets.token_urlsafe(32))
    os.environ[_KEY] = key
    making = (sys.executable, "-m", "world.tryton.database")
    subprocess.run(making, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own module
    at = urlsplit(url())
    where = ("--host", at.hostname or "127.0.0.1", "--port", str(at.port or 80))
    serving = ("{python}", "-m", "world.tryton.service", "--dir", "{home}/tryton")
    return System(name="tryton", argv=(*serving, *where), ready="tryton listens on")


def url() -> str:
    """Where Tryton is."""
    return os.environ.get("TRYTON_URL") or URL


async def call(method: str, path: str, content: Any = None, **params: Any) -> Any:
    """Ask Tryton for something as the demonstration, also when it dies and comes back.

    Raises:
        httpx2.HTTPStatusError: if it declines.
        TimeoutError: if it stays away.
    """
    headers = {"Authorization": f"bearer {os.environ[_SECRET]}"}
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            try:
                async with httpx2.AsyncClient(base_url=url(), timeout=10) as client:
                    answer = await client.request(
                        method,
                        f"/erp/rest/model/{path}",
                        json=content,
                        headers=headers,
                        params=params,
                    )
            except httpx2.TransportError:
                await asyncio.sleep(_AGAIN.total_seconds())
                continue
            answer.raise_for_status()
            return answer.json() if answer.content else None


async def search(model: str, domain: Sequence[Any], *fields: str) -> list[dict[str, Any]]:
    """Everything of a model that a domain finds."""
    asked = urlsafe_b64encode(json.dumps(list(domain)).encode()).decode()
    return await call("GET", model, d=asked, f=list(fields))


_housing = asyncio.Lock()


async def company() -> tuple[int, int]:
    """The company in Tryton and its currency; made, with the user in it, where there is none."""
    async with _housing:  # two demonstrations may have one Tryton between them
        fields = ("id", "currency.id")
        for each in await search("company.company", [], *fields):
            return each["id"], each["currency"]["id"]
        money = {"name": "Euro", "code": "EUR", "symbol": "E"}
        currency = (await call("POST", "currency.currency", money))["id"]
        firm = (await call("POST", "party.party", {"name": "The house", "code": "HOUSE"}))["id"]
        of = {"party": firm, "currency": currency}
        made = (await call("POST", "company.company", of))["id"]
        [user] = await search("res.user", [["login", "=", "admin"]], "id")
        works = {"companies": [["add", [made]]], "company": made}
        await call("PUT", f"res.user/{user['id']}", works)
        return made, currency
