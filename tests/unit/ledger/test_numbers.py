"""Numbers that a limit is asked to add: those that nobody could write out are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import Ledger
from handrail.ledger import Intent, OverLimit
from handrail.ledger.entries import number
from handrail.wire import Limit

LIMIT = Limit("amount", Decimal(100), timedelta(hours=1), "amount: at most 100 per hour")


@pytest.mark.parametrize("amount", ["1E+9999999999", "1E+1000000", "0E+99999999", "1E-1000000"])
async def test_a_number_that_would_fill_the_memory_when_written_out_is_refused(
    tmp_path: Path, amount: str
) -> None:
    intent = Intent(
        key="a:1/pay/1",
        case="a:1",
        agent="a",
        step="pay",
        digest="d" * 64,
        action={"amount": amount},
        policy="a v1",
        owner="one",
        deadline=datetime(2026, 1, 1, tzinfo=UTC),
    )
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        with pytest.raises(OverLimit, match="not a number that can be added") as found:
            await ledger.begin(intent, [LIMIT])
        assert len(str(found.value)) < 200
        assert await ledger.effect("a:1/pay/1") is None


@pytest.mark.parametrize("given", ["0", "0.00", "-12.50", "1E+3", 12, 0.1, "9" * 60, "1E-60"])
def test_ordinary_numbers_are_taken_as_they_are(given: str | float) -> None:
    assert number(given) == Decimal(str(given))
