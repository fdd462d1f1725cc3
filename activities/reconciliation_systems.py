"""The books and the bank's tray, as the steps reach them over HTTP (`RECONCILIATION_BOOKS_URL`)."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import httpx2

from activities.reconciliation_match import Item
from activities.reconciliation_statements import BankStatement, Line, statements_in
from handrail import Final

BOOKS_URL = "http://127.0.0.1:8596"
"""Where the books are when `RECONCILIATION_BOOKS_URL` does not say."""

PATIENCE = timedelta(seconds=5)
_LATER = frozenset((408, 425, 429))

_parsed = functools.lru_cache(maxsize=512)(statements_in)


class Delivered(NamedTuple):
    """A statement, and the file that it came in."""

    file: str
    statement: BankStatement


class Tray(NamedTuple):
    """What the bank has delivered: each statement once, and what is set aside, with its fault."""

    good: Sequence[BankStatement]
    aside: Sequence[Delivered]

    @property
    def lines(self) -> list[Line]:
        """All lines that may be used, in the order in which they came."""
        order = sorted(self.good, key=lambda each: (each.day, each.id))
        return [line for each in order for line in each.lines]


def sorted_out(files: Sequence[dict[str, str]], accounts: Sequence[str]) -> Tray:
    """Part the statements of files that may be used from those that may not."""
    good: dict[str, BankStatement] = {}
    aside: list[Delivered] = []
    for file in files:
        for each in _parsed(file["text"]):
            wrong = each.fault
            if not wrong and each.account not in accounts:
                wrong = "it is of another account"
            if not wrong and good.setdefault(each.id, each) != each:
                wrong = "it came before, with other lines"
            if wrong:
                aside.append(Delivered(file["name"], each.model_copy(update={"fault": wrong})))
    return Tray(list(good.values()), aside)


async def tray(until: date | None = None) -> Tray:
    """What the bank has delivered until a day."""
    given = {"until": str(until)} if until else {}
    accounts = [each["number"] for each in await call("GET", "/accounts")]
    return sorted_out(await call("GET", "/files", params=given), accounts)


async def items(invoice: str = "") -> list[Item]:
    """The items of the books, or the one of a number."""
    given = {"id": invoice} if invoice else {}
    return [Item.model_validate(each) for each in await call("GET", "/items", params=given)]


async def posted(**where: Any) -> list[dict[str, Any]]:
    """The postings of the books, or those of a line, of a key or since a time."""
    return await call("GET", "/postings", params=where)


def books_url() -> str:
    """Where the books are."""
    return os.environ.get("RECONCILIATION_BOOKS_URL") or BOOKS_URL


@functools.cache
def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=books_url(), timeout=PATIENCE.total_seconds())


async def disconnect() -> None:
    """Close the connections to the books; the next step opens new ones."""
    if _client.cache_info().currsize:
        await _client().aclose()
        _client.cache_clear()


async def call(method: str, path: str, **given: Any) -> Any:
    """Ask the books for something.

    Raises:
        Final: if they decline, with their own words. They did nothing then.
        httpx2.HTTPError: if they cannot answer now; a write may or may not have happened.
    """
    response = await _client().request(method, path, **given)
    if response.is_client_error and response.status_code not in _LATER:
        raise Final(f"the books decline: {response.text[:300]}")
    response.raise_for_status()
    return response.json()
