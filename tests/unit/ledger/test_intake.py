"""The intake: what was acknowledged is there, once, and what ended holds nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handrail import Ledger, LedgerUnavailable
from handrail.ledger import IntakeRow, IntakeState, intake, intake_id

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def entry(number: int = 1, body: str = '{"number": "1"}') -> IntakeRow:
    return IntakeRow(
        id=intake_id("orders", f"hook:{number}", body),
        agent="orders",
        source=f"hook:{number}",
        received=NOW,
        state=IntakeState.WAITING,
        raw=False,
        body=body,
        headers={"content-type": "application/json"},
        requested_by="hook:shop",
        why="the server is away",
    )


async def test_an_entry_is_kept_once_and_as_it_was(url: str) -> None:
    async with Ledger(url) as ledger:
        assert await ledger.keep(entry())
        assert not await ledger.keep(entry())
        assert await ledger.intake("orders") == [entry()]
        assert await ledger.intake("others") == []
        assert await ledger.intake_entry(entry().id) == entry()
        assert await ledger.change_intake(entry().id, state=IntakeState.WRONG, why="no number")
        assert await ledger.intake(state=IntakeState.WAITING) == []
        # What a database would refuse is spelt out.
        assert await ledger.keep(entry(2, "a\x00b \ud800"))


async def test_what_ended_stays_so_and_holds_no_body(url: str) -> None:
    async with Ledger(url) as ledger:
        await ledger.keep(entry())
        ended = ledger.end_intake(entry().id, IntakeState.STARTED, NOW, case="orders:1")
        assert await ended
        assert not await ledger.end_intake(entry().id, IntakeState.DROPPED, NOW, by="ana")
        assert not await ledger.change_intake(entry().id, state=IntakeState.WAITING)
        # The same again, which is sent again: it has its case.
        assert not await ledger.keep(entry())
        assert await ledger.intake() == []
        [found] = await ledger.intake(every=True)
    assert (found.state, found.case, found.body, found.headers) == ("started", "orders:1", "", {})


async def test_what_ended_hides_nothing_that_is_open(url: str) -> None:
    async with Ledger(url) as ledger:
        kept = [replace(entry(n), received=NOW + timedelta(hours=n)) for n in range(5)]
        for each in kept:
            await ledger.keep(each)
        for each in kept[:3]:
            await ledger.end_intake(each.id, IntakeState.STARTED, NOW, case="orders:1")
        found = await ledger.intake(every=True, limit=4)
        assert [each.id for each in found] == [kept[n].id for n in (3, 4, 2, 1)]
        assert await ledger.intake(every=True, agents=["others"]) == []
        assert len(await ledger.intake(agents=["orders"])) == 2


async def test_nobody_fills_the_disk(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_KEPT", 2)
    async with Ledger(url) as ledger:
        for number in range(2):
            assert await ledger.keep(entry(number))
        with pytest.raises(LedgerUnavailable, match="2 entries wait"):
            await ledger.keep(entry(2))
