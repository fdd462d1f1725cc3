"""64 writers in 8 processes, each with a ledger of its own, against one set of limits."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Ledger
from tests.agents.limit_writers import CUSTOMERS, press_together

PROCESSES = 8
WRITERS = 8


async def _crowd(url: str) -> Counter[str]:
    loop = asyncio.get_running_loop()
    forking = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(PROCESSES, forking) as pool:
        found = [
            loop.run_in_executor(pool, press_together, url, n * WRITERS, WRITERS)
            for n in range(PROCESSES)
        ]
        async with asyncio.timeout(400):
            return sum(await asyncio.gather(*found), Counter[str]())


def _rows(connection: sa.Connection) -> list[Any]:
    return list(connection.execute(sa.text("select state, action from handrail_effects")))


def _totals(connection: sa.Connection) -> list[Any]:
    query = "select k.name, c.grp, c.total from handrail_counted c join handrail_counters k"
    return list(connection.execute(sa.text(f"{query} on k.id = c.counter")))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_64_writers_fill_every_limit_exactly_and_are_never_over(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    on_sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/l.db" if on_sqlite else request.getfixturevalue("postgres_url")
    async with Ledger(url):
        pass
    counts = await _crowd(url)
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        rows, totals = _rows(connection), _totals(connection)
    used: dict[str, Decimal] = defaultdict(Decimal)
    by_customer: dict[str, Decimal] = defaultdict(Decimal)
    for state, text in rows:
        if state != "not_done":
            action = json.loads(text)
            used[action["currency"]] += Decimal(action["amount"])
            if action["currency"] == "EUR":
                by_customer[action["customer"]] += Decimal(action["amount"])
    # None over, none lost: what is done fills each limit to the last tenth.
    assert used == {"EUR": Decimal(9), "USD": Decimal(5)}
    assert all(by_customer[each] <= Decimal("3.5") for each in CUSTOMERS)
    assert Counter(state for state, _ in rows) == {
        "done": counts["done"],
        "not_done": counts["given back"],
    }
    assert counts["given back"] > 10
    # Nor was it over at any moment in between.
    for name, group, total in totals:
        caps = {'["EUR"]': Decimal(9), '["USD"]': Decimal(5)}
        if json.loads(name)[0] == "amount":
            per_customer = caps.get(group, Decimal("3.5"))
            assert group.startswith('["USD", ') or Decimal(total) <= per_customer
