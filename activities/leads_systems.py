"""The leads agent's systems: records of the CRM (Tryton), the shop and the directory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import date
from typing import Any

import httpx2

from activities import tryton
from activities.leads_quality import Record
from handrail import Final

LEADS_URL = "http://127.0.0.1:8570"
"""Where the shop and the directory are when `LEADS_URL` does not say."""
MOST = 2000
"""How many records of the CRM a round looks at."""
OURS = ["OR", ["code", "like", "P-%"], ["code", "like", "L-%"]]

_TRIES, _LONGEST_S = 20, 5.0
_FIELDS = ("code", "name", "contact_mechanisms.value", "addresses.city")
_LIMITED = 429


async def put(code: str, was: Record, now: Record) -> None:
    """Make a record `now` where it is `was`.

    Raises:
        Final: it is neither.
    """
    has = await record_at(code)
    if has == now:
        return
    if has != was:
        raise Final(f"somebody has changed {code} meanwhile: it is theirs")
    party = await party_of(code)
    change: dict[str, Any] = {}
    for field, told, value in (
        ("contact_mechanisms", {"value": now.mail}, party["contact_mechanisms"]),
        ("addresses", {"city": now.city}, party["addresses"]),
    ):
        kind = {"type": "email"} if field == "contact_mechanisms" and not value else {}
        ids = [each["id"] for each in value[:1]]
        change[field] = [["write", ids, told]] if ids else [["create", [told | kind]]]
    if not now.mail:
        change["contact_mechanisms"] = [["delete", [e["id"] for e in party["contact_mechanisms"]]]]
    await tryton.call("PUT", f"party.party/{party['id']}", change)


async def in_use(code: str, *, active: bool) -> None:
    """Take a record into use or out of it."""
    where = [["code", "=", code], ["active", "in", [True, False]]]
    for party in await tryton.search("party.party", where, ("code",), most=1):
        path = f"party.party/{party['id']}"
        await tryton.call("PUT", path, {"active": active}, unused=True)


async def called(until: Sequence[date]) -> set[str]:
    """The customers for whom there are calls until these days."""
    days = [["description", "like", f"call % for % until {day}"] for day in until]
    most = MOST * len(days)
    calls = await tryton.search("sale.opportunity", [["OR", *days]], ("description",), most=most)
    return {each["description"].split(" ")[3] for each in calls}


async def records(domain: list[Any]) -> list[Record]:
    """The records in use that a domain finds, up to `MOST`."""
    found = await tryton.search("party.party", domain, _FIELDS, most=MOST)
    return [_read(party) for party in found]


async def record_at(code: str) -> Record:
    """The record of a code.

    Raises:
        Final: there is none in use.
    """
    return _read(await party_of(code))


async def party_of(code: str) -> dict[str, Any]:
    """The party of a code, as Tryton has it.

    Raises:
        Final: there is none in use.
    """
    found = await tryton.search("party.party", ["code", "=", code], _FIELDS, most=1)
    if not found:
        raise Final(f"Tryton has no party {code} in use")
    return found[0]


def _read(party: dict[str, Any]) -> Record:
    mails, places = party["contact_mechanisms"] or (), party["addresses"] or ()
    return Record(
        code=party["code"],
        name=party["name"] or "",
        mail=next((each["value"] or "" for each in mails), ""),
        city=next((each["city"] or "" for each in places), ""),
    )


async def ask(path: str, **params: str) -> httpx2.Response:
    """Ask the shop or the directory; who is told to come back later does, when it was told.

    Raises:
        Final: if it declines.
        httpx2.HTTPError: if it cannot answer now.
    """
    url = os.environ.get("LEADS_URL") or LEADS_URL
    async with httpx2.AsyncClient(base_url=url, timeout=tryton.PATIENCE.total_seconds()) as client:
        answer = await client.get(path, params=params)
        for _ in range(_TRIES):
            if answer.status_code != _LIMITED:
                break
            later = answer.headers.get("Retry-After", "1")
            await asyncio.sleep(min(float(later) if later.isdigit() else 1.0, _LONGEST_S))
            answer = await client.get(path, params=params)
    if answer.is_client_error and answer.status_code != _LIMITED:
        raise Final(f"{path} answered {answer.status_code}: {answer.text[:200]}")
    return answer.raise_for_status()
