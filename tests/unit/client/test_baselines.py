"""Baselines: who may set one where the policies are known, and that the same changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from handrail import Ledger
from handrail.client import Operator
from handrail.evidence import EventLog, LoggedEvent
from handrail.exceptions import InvalidRequest, NotPermitted

ANA, BO = "ana@example.com", "bo@example.com"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class People:
    """Ana controls the agent, and Bo does not."""

    def known(self) -> frozenset[str]:
        return frozenset({"pay"})

    def agents(self, who: str) -> frozenset[str]:
        return frozenset({"pay"})

    def controls(self, who: str) -> frozenset[str]:
        return frozenset({"pay"} if who == ANA else ())

    def deputies(self, agent: str, who: str) -> frozenset[str]:
        return frozenset()

    def role(self, agent: str, name: str) -> frozenset[str]:
        return frozenset()


async def test_who_does_not_control_the_agent_sets_no_baseline(ledger: Ledger) -> None:
    ana, bo = (Operator(None, ledger, by=who, directory=People()) for who in (ANA, BO))
    with pytest.raises(NotPermitted, match="does not control pay; nothing was recorded"):
        await bo.set_baseline("pay", "minutes_per_case", "1", source="my feeling")
    kept = await ana.set_baseline("pay", "minutes_per_case", Decimal("12.5"), source="a study")
    assert (await bo.baselines("pay")).baselines == (kept,)


async def test_the_same_figure_again_is_the_same_row_and_another_takes_its_place(
    ledger: Ledger,
) -> None:
    ana = Operator(None, ledger, by=ANA, clock=lambda: NOW)
    log = EventLog("log.csv", [LoggedEvent("1", "a", NOW), LoggedEvent("1", "b", NOW)])
    first = await ana.import_baseline("pay", log)
    assert await ana.import_baseline("pay", log) == first
    await ana.set_baseline("pay", "touches_per_case", "3", source="a study")
    # The log's own is in force again when it is imported again, though it was there before.
    later = Operator(None, ledger, by=ANA)
    await later.import_baseline("pay", log)
    every = (await ana.baselines("pay", every=True)).baselines
    touches = [each for each in every if each.name == "touches_per_case"]
    assert [(e.amount, e.kind, e.replaced is None) for e in touches] == [
        ("2", "log", False),
        ("3", "declared", False),
        ("2", "log", True),
    ]


@pytest.mark.parametrize("currency", [None, "", "euro"])
async def test_costs_without_a_currency_keep_nothing(ledger: Ledger, currency: str | None) -> None:
    ana = Operator(None, ledger, by=ANA)
    log = EventLog("log.csv", [LoggedEvent("1", "a", NOW, cost=Decimal(5))])
    with pytest.raises(InvalidRequest, match="--currency EUR"):
        await ana.import_baseline("pay", log, currency)
    assert (await ana.baselines("pay")).baselines == ()
