"""What a sum limit costs with 100,000 effects in its window, as a ratio to an empty window.

`python -m benchmarks.limits [URL]`: on a SQLite file of its own, or on the empty database that
is named. Both ledgers are asked in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from handrail import Ledger
from handrail.ledger import Intent
from handrail.wire import Limit

MANY = 100_000
ROUNDS = 300
DAY = timedelta(days=1)
LIMITS = (
    Limit("amount", Decimal(10**12), DAY, "amount: at most 10^12 EUR per day", unit="EUR"),
    Limit(
        "amount", Decimal(10**12), DAY, "the same per customer", per="action.customer", unit="EUR"
    ),
    Limit(None, Decimal(10**9), DAY, "count: at most 10^9 per day"),
)


def _intent(agent: str, number: int) -> Intent:
    action = {"amount": f"{number % 997}.25", "customer": f"C{number % 50}", "currency": "EUR"}
    return Intent(
        key=f"{agent}:{number}/pay/1",
        case=f"{agent}:{number}",
        agent=agent,
        step="pay",
        digest="d" * 64,
        action=action,
        policy="bench v1",
        owner="bench",
        deadline=datetime.now(UTC),
    )


def _fill(url: str) -> None:
    """Put the many effects there, as a worker leaves them."""
    now = datetime.now(UTC).timestamp()
    rows = [
        {
            "key": intent.key,
            "case_id": intent.case,
            "agent": "many",
            "step": "pay",
            "digest": intent.digest,
            "action": json.dumps(intent.action),
            "policy": intent.policy,
            "state": "done",
            "owner": "bench",
            "deadline": now,
            "begun": now - 80_000 + number / 2,
        }
        for number in range(MANY)
        for intent in [_intent("many", number)]
    ]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(sa.table("handrail_effects", *map(sa.column, rows[0]))), rows)
    engine.dispose()


async def _begin(ledger: Ledger, intent: Intent) -> float:
    began = time.perf_counter()
    await ledger.begin(intent, LIMITS)
    return (time.perf_counter() - began) * 1_000


async def measure(url: str) -> str:
    """Fill a ledger, and measure; what came out, in words."""
    async with Ledger(url) as ledger:
        _fill(url)
        first = await _begin(ledger, _intent("many", MANY))
        few: list[float] = []
        many: list[float] = []
        for number in range(MANY + 1, MANY + ROUNDS):
            few.append(await _begin(ledger, _intent("few", number)))
            many.append(await _begin(ledger, _intent("many", number)))
    ratio = statistics.median(many) / statistics.median(few)
    return (
        f"a write begins in {statistics.median(few):.2f} ms with an empty window, in "
        f"{statistics.median(many):.2f} ms with {MANY:,} effects in it: {ratio:.2f} times "
        f"(p95 {statistics.quantiles(few, n=20)[-1]:.2f} and "
        f"{statistics.quantiles(many, n=20)[-1]:.2f} ms); "
        f"counting them once, when they are limited for the first time: {first / 1_000:.1f} s"
    )


def main() -> None:
    """Print what came out."""
    with tempfile.TemporaryDirectory() as home:
        urls = sys.argv[1:] or [f"sqlite:///{Path(home)}/ledger.db"]
        for url in urls:
            print(f"{sa.make_url(url).get_backend_name()}: {asyncio.run(measure(url))}")


if __name__ == "__main__":
    main()
