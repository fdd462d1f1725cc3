"""The figures as `handrail autonomy` shows them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handrail import Ledger, Receipt
from handrail.cli.autonomy import document, figure_lines, track_records
from handrail.cli.context import operator
from handrail.cli.output import PLAIN
from handrail.evidence import ErrorShare, TrackRecord
from handrail.ledger import Intent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def found(**more: Any) -> TrackRecord:
    names = (
        "written alone covered settled drawn reviewed waiting overdue unproven right harmless "
        "found_wrong incidents open_incidents rolled_back planted caught missed"
    )
    given: dict[str, Any] = dict.fromkeys(names.split(), 0) | {
        "agent": "payers",
        "step": "pay",
        "until": None,
        "wrong": None,
        "faulty": None,
    }
    return TrackRecord(**given | more)


def said(**more: Any) -> list[str]:
    return [" ".join(line.plain.split()) for line in figure_lines(found(**more))]


def test_of_a_write_that_nobody_reviews_only_its_number_is_said() -> None:
    assert said(written=4, alone=3, rolled_back=1) == ["pay 4 written, 3 alone, 1 rolled back"]


def test_all_that_is_known_is_said_with_its_interval() -> None:
    assert said(
        written=900,
        alone=800,
        settled=700,
        drawn=40,
        reviewed=36,
        waiting=4,
        overdue=1,
        unproven=2,
        right=30,
        harmless=4,
        found_wrong=2,
        wrong=ErrorShare(0.0123, 0.001, 0.0456),
        faulty=ErrorShare(0.05, 0.02, 1.0),
        incidents=3,
        open_incidents=1,
        planted=5,
        caught=4,
    ) == [
        "pay 900 written, 800 alone, 0 rolled back",
        (
            "looked at 36 of 40 drawn: 30 right, 4 harmless, 2 wrong; 4 wait, 1 too long: they "
            "count as wrong above; 2 do not prove themselves"
        ),
        "wrong 1.2 % (95 %: 0.1 to 4.6 %) of 700 that ran alone",
        "5 % (95 %: 2 to 100 %) with those that did no harm",
        "incidents 3, 1 open",
        "planted 4 of 5 caught",
    ]


def test_for_programs_shares_and_times_are_plain() -> None:
    told = document(found(until=NOW, wrong=ErrorShare(0.1, 0.0, 0.4)))
    assert (told["until"], told["wrong"]) == (
        "2026-03-01T12:00:00Z",
        {"guess": 0.1, "low": 0.0, "high": 0.4},
    )


async def test_of_writes_that_were_never_made_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))

    async def known(*steps: str) -> list[TrackRecord]:
        async with operator(PLAIN, lacking=[]) as somebody:
            return await track_records(somebody, "payers", steps)

    assert await known("pay") == []
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        intent = Intent("payers:1/pay/1", "payers:1", "payers", "pay", "d" * 64, {}, "v1", "", NOW)
        await ledger.begin(intent)
        await ledger.finish(Receipt(key=intent.key, step="pay", digest="d" * 64, at=NOW))
    told = await known("pay", "ship")
    assert [(each.step, each.written) for each in told] == [("pay", 1)]
    (tmp_path / "ledger.db").write_bytes(b"no database at all, but a file of that name")
    for name in ("ledger.db-wal", "ledger.db-shm"):
        await asyncio.to_thread((tmp_path / name).unlink, missing_ok=True)
    assert await known("pay") == []
