"""Which policy is in force: of the highest version, and of equal ones the last loaded."""

from __future__ import annotations

import asyncio

from handrail import Ledger


async def load(ledger: Ledger, version: int, sha: str, agent: str = "a") -> str:
    row = await ledger.loaded(agent, version, sha * 64, f"{agent} v{version} {sha}", f"text {sha}")
    return row.label


async def test_the_highest_version_is_in_force_and_no_older_one_brings_itself_back(
    ledger: Ledger,
) -> None:
    assert await ledger.policies("a") == []
    assert await load(ledger, 1, "x") == "a v1 x"
    assert await load(ledger, 2, "y") == "a v2 y"
    assert await load(ledger, 1, "x") == "a v2 y"
    assert await load(ledger, 9, "z", "b") == "b v9 z"
    assert [row.text for row in await ledger.policies("a")] == ["text y", "text x"]


async def test_of_one_version_the_last_loaded_is_in_force(ledger: Ledger) -> None:
    assert await load(ledger, 1, "x") == "a v1 x"
    await asyncio.sleep(0.01)
    assert await load(ledger, 1, "y") == "a v1 y"
    await asyncio.sleep(0.01)
    assert await load(ledger, 1, "x") == "a v1 x"
    first, second = await ledger.policies("a")
    assert first.first < second.first < first.loaded
    situation = await ledger.situation("a", "a:1")
    assert (situation.label, situation.sha) == (first.label, first.sha)


async def test_many_workers_that_load_at_once_agree(url: str) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        await asyncio.gather(*(load((one, two)[n % 2], n % 5, str(n % 5)) for n in range(20)))
        for each in (one, two):
            rows = await each.policies("a")
            assert [row.version for row in rows] == [4, 3, 2, 1, 0]
